"""Templates to pages. Every value is escaped; an unknown name is an error."""

from collections.abc import Mapping
from importlib import resources
from typing import Final

import minijinja

from sendryd.web.static import StaticFiles

STATIC_PREFIX: Final = "/static/"
BUNDLES: Final = {"style.css": ("tokens.css", "ui.css"), "htmx.js": ("htmx.min.js", "hx-sse.min.js")}


class Pages:
    """The templates and the static files of the dashboard."""

    def __init__(self) -> None:
        package = resources.files("sendryd.dashboard")
        self.static = StaticFiles(package / "static", STATIC_PREFIX, BUNDLES)
        folder = package / "templates"
        self._engine = minijinja.Environment(
            loader=lambda name: (folder / name).read_text("utf-8"),
            auto_escape_callback=lambda _name: True,
            undefined_behavior="strict",
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._engine.add_global("static", self.static.path)

    def render(self, template: str, values: Mapping[str, object]) -> str:
        """A page."""
        return self._engine.render_template(template, **values)
