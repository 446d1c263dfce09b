"""Templates: `{{name}}` and more, rendered by minijinja in a box. Pure.

`{{ user.name }}`, filters, `{% if %}` and `{% for %}`; HTML-escaped in HTML; `{{{ raw }}}` for HTML that is trusted; what is missing is empty.
A template reaches nothing but its variables. Each step and each octet of output costs fuel, so that it can neither loop for ever nor use the
memory up. Multiplication is the one thing that the engine does before it counts, with lists of any length; so it is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import minijinja

from sendryd.message.plaintext import html_to_text

FUEL: Final = 400_000  # steps: ten milliseconds at the most, and 25 MB of output
MAX_OUTPUT: Final = 8 * 1024 * 1024  # characters: more than the largest HTML that a request may have
MAX_SOURCE: Final = 5_242_880  # characters: the contract's limit for HTML
MAX_DEPTH: Final = 50  # of lists and objects in variables; nobody's data is deeper, and the engine goes down by calling itself
MAX_VALUES: Final = 100_000  # in all variables together
_HTML, _TEXT = "template.html", "template.txt"  # what the engine escapes for goes by the name

# Comments and raw blocks are stepped over; quoted strings inside of a tag are part of it.
_TRIPLE: Final = re.compile(
    r"""(\{\#.*?\#\}|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\})|\{\{\{((?:"[^"]*"|'[^']*'|[^"'{}])*)\}\}\}""", re.DOTALL
)
_TAG: Final = re.compile(r"""(\{\#.*?\#\})|\{[{%]((?:"[^"]*"|'[^']*'|[^"'])*?)[%}]\}""", re.DOTALL)
_STRING: Final = re.compile(r"""("[^"]*"|'[^']*')""")
_HANDLEBARS: Final = re.compile(r"\{\{\s*[#/^>]")
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str, int, float),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "list": (list,),
    "object": (dict,),
}


class TemplateError(ValueError):
    """A template that cannot be rendered; one sentence that says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A template with its variables in place."""

    subject: str  # one line
    html: str | None
    text: str | None


def _show(value: Any) -> Any:
    if value is None:
        return ""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _make_engine() -> minijinja.Environment:
    engine = minijinja.Environment(
        fuel=FUEL, debug=False, undefined_behavior="chainable", keep_trailing_newline=True, pycompat=False, finalizer=_show
    )
    engine.remove_global("debug")  # shows all variables
    return engine


_ENGINE: Final = _make_engine()


def check_template(source: str) -> None:
    """Whether a template can be read. Raises `TemplateError`."""
    render(source, {}, is_html=True)


def variable_names(source: str) -> tuple[str, ...]:
    """The variables that a template asks for, sorted. Raises `TemplateError`."""
    try:
        return tuple(sorted(_ENGINE.undeclared_variables_in_str(_prepare(source))))
    except minijinja.TemplateError as error:
        raise TemplateError(_explain(error)) from None


def render(source: str, variables: Mapping[str, Any], *, is_html: bool) -> str:
    """A template with its variables in place. Raises `TemplateError`."""
    if "{" not in source:
        return source
    _check_variables(variables)
    try:
        text = _ENGINE.render_str(_prepare(source), _HTML if is_html else _TEXT, **variables)
    except minijinja.TemplateError as error:
        raise TemplateError(_explain(error)) from None
    if len(text) > MAX_OUTPUT:
        raise TemplateError(f"the result has more than {MAX_OUTPUT} characters: make it shorter")
    return text


def render_all(
    *, subject: str | None, html: str | None, text: str | None, schema: Mapping[str, Any] | None, variables: Mapping[str, Any]
) -> Rendered:
    """A whole message from a template; the text is made from the HTML if there is none. Raises `TemplateError`."""
    values = with_schema(schema, variables)
    made_html = None if html is None else render(html, values, is_html=True)
    made_text = None if text is None else render(text, values, is_html=False)
    if made_text is None and made_html is not None:
        made_text = html_to_text(made_html)
    line = _BREAKS.sub(" ", render(subject or "", values, is_html=False)).strip()
    return Rendered(subject=line, html=made_html, text=made_text)


def with_schema(schema: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with the schema's defaults. Raises `TemplateError` for one that is required and missing, or of another type."""
    values = dict(variables)
    for name, rule in (schema or {}).items():
        if not isinstance(rule, Mapping):
            continue
        if values.get(name) is None:
            if rule.get("default") is not None:
                values[name] = rule["default"]
            elif rule.get("required"):
                raise TemplateError(f"the variable {name} is required")
            continue
        kinds = _KINDS.get(str(rule.get("type", "")).lower())
        if kinds is not None and not isinstance(values[name], kinds):
            raise TemplateError(f"the variable {name} is of another type: give a {rule['type']}")
    return values


def _prepare(source: str) -> str:
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"a template has at most {MAX_SOURCE} characters")
    if _HANDLEBARS.search(source):
        raise TemplateError(
            "blocks of Handlebars are not understood: write {% if name %}…{% endif %} or {% for item in items %}…{% endfor %}"
        )
    for match in _TAG.finditer(source) if "*" in source else ():
        if match[2] is not None and "*" in _STRING.sub("", match[2]):
            raise TemplateError("a template cannot multiply: give the product as a variable")
    return _TRIPLE.sub(_make_safe, source) if "{{{" in source else source


def _make_safe(match: re.Match[str]) -> str:
    return match[1] if match[1] is not None else f"{{{{ ({match[2]})|safe }}}}"


def _check_variables(variables: Mapping[str, Any]) -> None:
    """Walks without calling itself: the data may be deeper than the interpreter goes."""
    if "self" in variables:  # the engine takes variables as arguments of a method
        raise TemplateError("a variable cannot be called self: give it another name")
    waiting: list[tuple[Any, int]] = [(variables, 0)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise TemplateError(f"the variables are too deep or too many: at most {MAX_DEPTH} levels and {MAX_VALUES} values")
        if isinstance(value, Mapping):
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple):
            waiting += [(each, depth + 1) for each in value]


def _explain(error: minijinja.TemplateError) -> str:
    reason = str(error).partition("\n")[0].partition(" (in ")[0]
    if "out of fuel" in reason:
        reason = "the template takes too many steps or makes too much text"
    return f"{reason}, in line {error.line}" if error.line else reason
