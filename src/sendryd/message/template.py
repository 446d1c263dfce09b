"""Templates: `{{name}}` and more, rendered by minijinja in a box. Pure.

`{{ user.name }}`, filters, `{% if %}` and `{% for %}`; HTML-escaped in HTML; `{{{ raw }}}` for HTML that is trusted; what is missing is empty,
and so is null. A template reaches nothing but its variables, which it sees through objects that can be read and have no methods. It can neither
loop for ever nor use the memory up: each step, each element and each 64 octets of output cost the engine's fuel; what is not paid for (values
that grow or have themselves inside, deep expressions, texts compared with texts) is refused before, here, in `templatesource` and in `templatevalues`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import minijinja

from sendryd.message.plaintext import html_to_text, is_small
from sendryd.message.templatesource import Source, TemplateError, read_source
from sendryd.message.templatevalues import METHODS, NOTHING, SMALL_VALUES, Reads, TooMuchRead, are_small, check_variables, give, with_schema

__all__ = [
    "MAX_SOURCE",
    "Rendered",
    "TemplateError",
    "check_names",
    "check_template",
    "render",
    "render_all",
    "variable_names",
]

FUEL: Final = 400_000  # steps: a tenth of a second at the most, and 25 MB of output
SMALL_FUEL: Final = 10_000  # of a rendering in the event loop: some three milliseconds
SMALL_READS: Final = 10_000  # likewise
SMALL_SOURCE: Final = 16_384  # characters, likewise: of the three sources together
SMALL_TAGS: Final = 500  # likewise: opening brackets
MAX_OUTPUT: Final = 8 * 1024 * 1024  # characters: more than the largest HTML that a request may have
MAX_SOURCE: Final = 5_242_880  # characters: the contract's limit for HTML
LONG_TEXT: Final = 16_384  # characters of a variable; comparing longer ones costs more than the engine counts
MAX_SUBJECT: Final = 998  # characters with the variables in place: a line of a header
MAX_TEXT: Final = 1_048_576  # characters with the variables in place: the contract's limit for a text
CACHED: Final = 256  # sources kept as they were read, each of at most
CACHED_SIZE: Final = 65_536  # characters, which makes 16 MB
_HTML, _TEXT = "template.html", "template.txt"  # what the engine escapes for goes by the name
_MAX_REASON: Final = 200  # characters of the engine's sentences, which quote the template

_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A rendered template."""

    subject: str  # one line
    html: str | None
    text: str | None


_TOO_MUCH: Final = "the template takes too many steps or makes too much text"


def _show(value: Any) -> Any:
    if value is None or callable(value):
        return ""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else NotImplemented


def _make_engine(fuel: int) -> minijinja.Environment:
    engine = minijinja.Environment(
        fuel=fuel, debug=False, undefined_behavior="chainable", keep_trailing_newline=True, pycompat=False, finalizer=_show
    )
    for name in ("debug", "dict", "namespace", "cycler", "joiner"):  # the first shows all variables, the others hold what grows
        engine.remove_global(name)
    return engine


_ENGINE: Final = _make_engine(FUEL)
_SMALL_ENGINE: Final = _make_engine(SMALL_FUEL)


def check_template(source: str) -> None:
    """Checks that a template and each name in it are valid. Raises `TemplateError`."""
    bad_name = _read(source).bad_name
    if bad_name is not None:
        raise TemplateError(bad_name)
    variable_names(source)


def check_names(source: str) -> None:
    """Checks that each name in a text with `{{…}}` is valid, whatever its other faults. Raises `TemplateError`."""
    try:
        bad_name = _read(source).bad_name
    except TemplateError:
        return
    if bad_name is not None:
        raise TemplateError(bad_name)


def variable_names(source: str) -> tuple[str, ...]:
    """The variables that a template uses, sorted. Raises `TemplateError`."""
    try:
        return tuple(sorted(_ENGINE.undeclared_variables_in_str(_read(source).text) - {"range"}))
    except minijinja.TemplateError as error:
        raise TemplateError(_explain(error)) from None


def render(source: str, variables: Mapping[str, Any], *, is_html: bool) -> str:
    """Renders a template with its variables. Raises `TemplateError`.

    Run it in a process that can be ended; `render_small` is for the event loop.
    """
    if "{" not in source:
        return source
    read = _read(source)
    longest = check_variables(variables)
    if read.is_costly and longest > LONG_TEXT:
        raise TemplateError(
            f"variables of more than {LONG_TEXT:,} characters can be shown, not compared or walked through: make them shorter"
        )
    return _run(_ENGINE, read, variables, Reads(), is_html=is_html)


def _run(engine: minijinja.Environment, read: Source, variables: Mapping[str, Any], reads: Reads, *, is_html: bool) -> str:
    values = {name: give(value, reads) for name, value in variables.items() if value is not None}
    if values:  # the engine needs a dictionary only for variables
        values = dict.fromkeys(METHODS, NOTHING) | values
    try:
        text = engine.render_str(read.text, _HTML if is_html else _TEXT, **values)
    except minijinja.TemplateError as error:
        raise TemplateError(_TOO_MUCH if reads.left < 0 else read.bad_name or _explain(error)) from None
    except TooMuchRead:
        raise TemplateError(_TOO_MUCH) from None
    if reads.left < 0:  # the engine treats some faults as missing values
        raise TemplateError(_TOO_MUCH)
    if len(text) > MAX_OUTPUT:
        raise TemplateError(f"the result has more than {MAX_OUTPUT:,} characters: make it shorter")
    return text


def render_all(
    *, subject: str | None, html: str | None, text: str | None, schema: Mapping[str, Any] | None, variables: Mapping[str, Any]
) -> Rendered:
    """Renders a whole message; makes the text from the HTML if there is none. Raises `TemplateError`."""
    values = with_schema(schema, variables)
    made_html = None if html is None else render(html, values, is_html=True)
    made_text = None if text is None else render(text, values, is_html=False)
    if made_text is None and made_html is not None:
        made_text = html_to_text(made_html)
    return _finish(render(subject or "", values, is_html=False), made_html, made_text)


def render_small(
    *, subject: str | None, html: str | None, text: str | None, schema: Mapping[str, Any] | None, variables: Mapping[str, Any]
) -> Rendered | None:
    """Like `render_all`, for the event loop: None if it could take more than some milliseconds, whatever the input.

    Raises `TemplateError` for a fault that `render_all` would raise too.
    """
    sources = [source for source in (subject, html, text) if source is not None]
    if (
        sum(map(len, sources)) > SMALL_SOURCE
        or sum(source.count("{") for source in sources) > SMALL_TAGS
        or len(schema or ()) > SMALL_VALUES
    ):
        return None
    values = with_schema(schema, variables)
    if not are_small(values) or not all(_read(source).is_cheap for source in sources if "{" in source):
        return None
    reads = Reads(SMALL_READS)

    def fill(source: str, *, is_html: bool) -> str:
        return _run(_SMALL_ENGINE, _read(source), values, reads, is_html=is_html) if "{" in source else source

    try:
        made_html = None if html is None else fill(html, is_html=True)
        made_text = None if text is None else fill(text, is_html=False)
        made_subject = fill(subject or "", is_html=False)
    except TemplateError:  # out of fuel, or a fault that `render_all` finds too
        return None
    if made_text is None and made_html is not None:
        if not is_small(made_html):
            return None
        made_text = html_to_text(made_html)
    return _finish(made_subject, made_html, made_text)


def _finish(subject: str, html: str | None, text: str | None) -> Rendered:
    """Checks the length of the rendered texts. Raises `TemplateError`."""
    line = _BREAKS.sub(" ", subject).strip()
    for name, made, most in (("subject", line, MAX_SUBJECT), ("HTML", html, MAX_SOURCE), ("text", text, MAX_TEXT)):
        if made is not None and len(made) > most:
            raise TemplateError(
                f"the {name} has {len(made):,} characters with its variables, and at most {most:,}: make the variables shorter"
            )
    return Rendered(subject=line, html=html, text=text)


def _read(source: str) -> Source:
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"a template has at most {MAX_SOURCE:,} characters")
    return _read_cached(source) if len(source) <= CACHED_SIZE else _read_now(source)


def _read_now(source: str) -> Source:
    if _SURROGATE.search(source):
        raise TemplateError("a template holds half a character (a surrogate without its other half): take it out")
    return read_source(source)


_read_cached: Final = lru_cache(CACHED)(_read_now)


def _explain(error: minijinja.TemplateError) -> str:
    reason = str(error).partition("\n")[0].partition(" (in ")[0]
    if "out of fuel" in reason:
        reason = _TOO_MUCH
    elif reason.startswith("panic"):
        reason = "it cannot be calculated with these variables"
    reason = reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}…"
    return f"{reason}, in line {error.line}" if error.line else reason
