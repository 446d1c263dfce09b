"""Templates to pages. Every value is escaped; an unknown name is an error. No error carries a value of the page: the log would keep what mails say."""

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import minijinja

from sendryd.web.static import StaticFiles

STATIC_PREFIX: Final = "/static/"
BUNDLES: Final = {"style.css": ("tokens.css", "ui.css"), "htmx.js": ("htmx.min.js", "hx-sse.min.js")}


class TemplateFailed(Exception):
    """A template cannot be rendered: its name, the line, and what is wrong there."""


class Pages:
    """The templates and the static files of the dashboard. Raises `TemplateFailed` for a template that cannot be read."""

    def __init__(self, templates: Traversable | None = None) -> None:
        package = resources.files("sendryd.dashboard")
        self.static = StaticFiles(package / "static", STATIC_PREFIX, BUNDLES)
        folder = templates or package / "templates"
        self._engine = minijinja.Environment(
            loader=lambda name: (folder / name).read_text("utf-8"),
            auto_escape_callback=lambda _name: True,
            undefined_behavior="strict",
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._engine.add_global("static", self.static.path)
        for each in folder.iterdir():
            self._load(each.name)

    def render(self, template: str, values: Mapping[str, object]) -> str:
        """A page. Raises `TemplateFailed`."""
        try:
            return self._engine.render_template(template, **values)
        except minijinja.TemplateError as error:
            raise _without_values(error) from None

    def _load(self, template: str) -> None:
        """Compiles a template, so that a mistake in it ends the start and not a request."""
        try:
            self._engine.undeclared_variables_in_template(template)
        except minijinja.TemplateError as error:
            raise _without_values(error) from None


def _without_values(error: minijinja.TemplateError) -> TemplateFailed:
    """The first line of the error: those after it list the variables."""
    return TemplateFailed(f"{error.name}, line {error.line}: {str(error).partition(chr(10))[0]}")
