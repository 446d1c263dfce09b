"""Templates: `{{name}}` and more, rendered by minijinja in a box. Pure.

`{{ user.name }}`, filters, `{% if %}` and `{% for %}`; HTML-escaped in HTML; `{{{ raw }}}` for HTML that is trusted; what is missing is empty,
and so is null. A template reaches nothing but its variables, which it sees through objects that can be read and have no methods. It can neither
loop for ever nor use the memory up: each step, each element and each 64 octets of output cost the engine's fuel; what is not paid for (values
that grow or have themselves inside, deep expressions, texts compared with texts) is refused before, here and in `templatesource`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import minijinja

from sendryd.message.plaintext import html_to_text, is_small
from sendryd.message.templatesource import Source, TemplateError, read_source

__all__ = [
    "MAX_SOURCE",
    "Rendered",
    "TemplateError",
    "check_names",
    "check_template",
    "render",
    "render_all",
    "variable_names",
    "with_schema",
]

FUEL: Final = 400_000  # steps: a tenth of a second at the most, and 25 MB of output
SMALL_FUEL: Final = 10_000  # of a rendering in the event loop: some three milliseconds
SMALL_READS: Final = 10_000  # likewise
SMALL_SOURCE: Final = 16_384  # characters, likewise: of the three sources together
SMALL_TAGS: Final = 500  # likewise: opening brackets
SMALL_VALUES: Final = 2_000  # likewise: values, and characters
SMALL_CHARACTERS: Final = 16_384  # of them
MAX_READS: Final = (
    1_000_000  # elements of lists and objects, and 64 characters of texts in them: half a second, as each goes through Python
)
MAX_OUTPUT: Final = 8 * 1024 * 1024  # characters: more than the largest HTML that a request may have
MAX_SOURCE: Final = 5_242_880  # characters: the contract's limit for HTML
MAX_DEPTH: Final = 50  # of lists and objects in variables; nobody's data is deeper, and the engine goes down by calling itself
MAX_VALUES: Final = 100_000  # in all variables together
MAX_CHARACTERS: Final = 5_242_880  # in all variables together: as much as HTML may have
LONG_TEXT: Final = 16_384  # characters of a variable; comparing longer ones costs more than the engine counts
MAX_SUBJECT: Final = 998  # characters with the variables in place: a line of a header
MAX_TEXT: Final = 1_048_576  # characters with the variables in place: the contract's limit for a text
CACHED: Final = 256  # sources kept as they were read, each of at most
CACHED_SIZE: Final = 65_536  # characters, which makes 16 MB
_HTML, _TEXT = "template.html", "template.txt"  # what the engine escapes for goes by the name
_MAX_REASON: Final = 200  # characters of the engine's sentences, which quote the template

_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str, int, float),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "list": (list,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A template with its variables in place."""

    subject: str  # one line
    html: str | None
    text: str | None


_TOO_MUCH: Final = "the template takes too many steps or makes too much text"


class _TooMuch(Exception):
    """A template reads more than it may."""


class _Reads:
    """What one rendering may still read."""

    def __init__(self, most: int = MAX_READS) -> None:
        self.left = most

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise _TooMuch


class _List:
    """A list as a template sees it."""

    __slots__ = ("_reads", "_value")

    def __init__(self, value: Sequence[Any], reads: _Reads) -> None:
        self._value = value
        self._reads = reads

    def __len__(self) -> int:
        return len(self._value)

    def __getitem__(self, index: int) -> Any:
        return _give(self._value[index], self._reads)

    def __iter__(self) -> Iterator[Any]:
        return (_give(value, self._reads) for value in self._value)

    def __str__(self) -> str:
        return _as_json(self._value, self._reads)

    __repr__ = __str__


class _Object:
    """An object as a template sees it; what is null in it is missing, but for those who go through all of it."""

    __slots__ = ("_reads", "_value")

    def __init__(self, value: Mapping[str, Any], reads: _Reads) -> None:
        self._value = value
        self._reads = reads

    def __len__(self) -> int:
        return len(self._value)

    def __getitem__(self, name: str) -> Any:
        value = self._value.get(name)
        if value is not None:
            return _give(value, self._reads)
        if name == "items":  # the engine would take the method below for it
            return _NOTHING
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def items(self) -> list[tuple[str, Any]]:
        """What the engine goes through."""
        self._reads.spend(len(self._value))
        return [(name, _give(value, self._reads)) for name, value in self._value.items()]

    def __str__(self) -> str:
        return _as_json(self._value, self._reads)

    __repr__ = __str__


class _Nothing(_List):
    """What is missing under a name that is one of a dictionary's methods, which the engine would find there: empty, and false."""

    __slots__ = ()

    def __str__(self) -> str:
        return ""

    __repr__ = __str__


_NOTHING: Final = _Nothing((), _Reads())
_METHODS: Final = frozenset(name for name in dir(dict) if not name.startswith("_"))  # items, keys, values, get and others

Sequence.register(_List)
Mapping.register(_Object)


def _give(value: Any, reads: _Reads) -> Any:
    if isinstance(value, str):
        reads.spend(1 + len(value) // 64)
        return value
    reads.spend(1)
    if isinstance(value, Mapping):
        return _Object(value, reads)
    return _List(value, reads) if isinstance(value, list | tuple) else value


def _as_json(value: Any, reads: _Reads) -> str:
    """Empty when too much was read: the engine would show a fault on the error stream, and go on."""
    if reads.left < 0:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    reads.left -= len(text) // 8  # it takes as long as to read as many elements
    return text if reads.left >= 0 else ""


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
    """Whether a template can be read, with each name in it. Raises `TemplateError`."""
    bad_name = _read(source).bad_name
    if bad_name is not None:
        raise TemplateError(bad_name)
    variable_names(source)


def check_names(source: str) -> None:
    """Whether each name in a text with `{{…}}` can be read, whatever else is wrong with it. Raises `TemplateError`."""
    try:
        bad_name = _read(source).bad_name
    except TemplateError:
        return
    if bad_name is not None:
        raise TemplateError(bad_name)


def variable_names(source: str) -> tuple[str, ...]:
    """The variables that a template asks for, sorted. Raises `TemplateError`."""
    try:
        return tuple(sorted(_ENGINE.undeclared_variables_in_str(_read(source).text) - {"range"}))
    except minijinja.TemplateError as error:
        raise TemplateError(_explain(error)) from None


def render(source: str, variables: Mapping[str, Any], *, is_html: bool) -> str:
    """A template with its variables in place. Raises `TemplateError`.

    Run it where it can be ended; `render_small` is for the event loop.
    """
    if "{" not in source:
        return source
    read = _read(source)
    longest = _check_variables(variables)
    if read.is_costly and longest > LONG_TEXT:
        raise TemplateError(
            f"variables of more than {LONG_TEXT:,} characters can be shown, not compared or walked through: make them shorter"
        )
    return _run(_ENGINE, read, variables, _Reads(), is_html=is_html)


def _run(engine: minijinja.Environment, read: Source, variables: Mapping[str, Any], reads: _Reads, *, is_html: bool) -> str:
    values = {name: _give(value, reads) for name, value in variables.items() if value is not None}
    if values:  # without any the engine has no dictionary to look in
        values = dict.fromkeys(_METHODS, _NOTHING) | values
    try:
        text = engine.render_str(read.text, _HTML if is_html else _TEXT, **values)
    except minijinja.TemplateError as error:
        raise TemplateError(_TOO_MUCH if reads.left < 0 else read.bad_name or _explain(error)) from None
    except _TooMuch:
        raise TemplateError(_TOO_MUCH) from None
    if reads.left < 0:  # the engine takes some faults for what is missing
        raise TemplateError(_TOO_MUCH)
    if len(text) > MAX_OUTPUT:
        raise TemplateError(f"the result has more than {MAX_OUTPUT:,} characters: make it shorter")
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
    return _finish(render(subject or "", values, is_html=False), made_html, made_text)


def render_small(
    *, subject: str | None, html: str | None, text: str | None, schema: Mapping[str, Any] | None, variables: Mapping[str, Any]
) -> Rendered | None:
    """Like `render_all`, for the event loop: None if it could take more than some milliseconds, whatever was given.

    Raises `TemplateError` for what is wrong in any case.
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
    reads = _Reads(SMALL_READS)

    def fill(source: str, *, is_html: bool) -> str:
        return _run(_SMALL_ENGINE, _read(source), values, reads, is_html=is_html) if "{" in source else source

    try:
        made_html = None if html is None else fill(html, is_html=True)
        made_text = None if text is None else fill(text, is_html=False)
        made_subject = fill(subject or "", is_html=False)
    except TemplateError:  # for want of fuel, or for a reason that is found again
        return None
    if made_text is None and made_html is not None:
        if not is_small(made_html):
            return None
        made_text = html_to_text(made_html)
    return _finish(made_subject, made_html, made_text)


def _finish(subject: str, html: str | None, text: str | None) -> Rendered:
    """Measures what has become of the template. Raises `TemplateError`."""
    line = _BREAKS.sub(" ", subject).strip()
    for name, made, most in (("subject", line, MAX_SUBJECT), ("HTML", html, MAX_SOURCE), ("text", text, MAX_TEXT)):
        if made is not None and len(made) > most:
            raise TemplateError(
                f"the {name} has {len(made):,} characters with its variables, and at most {most:,}: make the variables shorter"
            )
    return Rendered(subject=line, html=html, text=text)


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


def _read(source: str) -> Source:
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"a template has at most {MAX_SOURCE:,} characters")
    return _read_cached(source) if len(source) <= CACHED_SIZE else _read_now(source)


def _read_now(source: str) -> Source:
    if _SURROGATE.search(source):
        raise TemplateError("a template holds half a character (a surrogate without its other half): take it out")
    return read_source(source)


_read_cached: Final = lru_cache(CACHED)(_read_now)


def _check_variables(variables: Mapping[str, Any]) -> int:
    """The length of the longest text. Walks without calling itself: the data may be deeper than the interpreter goes."""
    if "self" in variables:  # the engine takes variables as arguments of a method
        raise TemplateError("a variable cannot be called self: give it another name")
    waiting: list[tuple[Any, int]] = [(variables, 0)]
    count = characters = longest = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise TemplateError(f"the variables are too deep or too many: at most {MAX_DEPTH} levels and {MAX_VALUES:,} values")
        if isinstance(value, str):
            characters += len(value)
            longest = max(longest, len(value))
        elif isinstance(value, Mapping):
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple):
            waiting += [(each, depth + 1) for each in value]
    if characters > MAX_CHARACTERS:
        raise TemplateError(f"the variables have more than {MAX_CHARACTERS:,} characters together: make them shorter")
    return longest


def are_small(variables: Mapping[str, Any]) -> bool:
    """Whether the variables are few and short. Stops where they are not."""
    if "self" in variables:
        return False
    waiting: list[tuple[Any, int]] = [(variables, 0)]
    count = characters = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, Mapping):
            if len(value) > SMALL_VALUES:
                return False
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple):
            if len(value) > SMALL_VALUES:
                return False
            waiting += [(each, depth + 1) for each in value]
        if depth > MAX_DEPTH or count > SMALL_VALUES or characters > SMALL_CHARACTERS:
            return False
    return True


def _explain(error: minijinja.TemplateError) -> str:
    reason = str(error).partition("\n")[0].partition(" (in ")[0]
    if "out of fuel" in reason:
        reason = _TOO_MUCH
    elif reason.startswith("panic"):
        reason = "it cannot be calculated with these variables"
    reason = reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}…"
    return f"{reason}, in line {error.line}" if error.line else reason
