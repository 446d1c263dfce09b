"""The language of templates, read before the engine sees it. Pure; linear in the length of the source.

What the public contract names, and no more: `{{ … }}` and `{{{ … }}}`, filters, `{% if %}`, `{% for %}`, `{% raw %}` and comments. The engine knows
far more: `set`, macros, namespaces, lists of lists. With those a template of one line builds what has itself inside, or doubles it fifty times,
and an expression of a hundred thousand steps is nested as deep: both end the process, which no fuel prevents. So the shape is checked here, with
the engine's own rules for where a tag, a string and a comment end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_TAGS: Final = 20_000  # of a template; no mail has a tenth, and each costs us about ten microseconds to read
MAX_TOKENS: Final = 250  # of a tag: the engine goes down by calling itself for each step of an expression
MAX_NESTING: Final = 60  # `if` and `for` in one another, with each `elif` as one more, for the same reason
MAX_STRING: Final = 4096  # characters of a string in a tag; longer texts stand outside of tags
MAX_JOINED: Final = 8  # texts put together in a tag; each step copies all that was joined before
MAX_SHOWN: Final = 60  # characters of a name in a sentence
MAX_INDEX: Final = 1000  # a number in brackets that is larger walks through a string

FILTERS: Final = frozenset(
    {
        "abs",
        "bool",
        "capitalize",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "filesizeformat",
        "first",
        "float",
        "format",
        "indent",
        "int",
        "items",
        "join",
        "last",
        "length",
        "lines",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "pluralize",
        "replace",
        "reverse",
        "round",
        "safe",
        "sort",
        "split",
        "string",
        "striptags",
        "sum",
        "title",
        "tojson",
        "trim",
        "truncate",
        "unique",
        "upper",
        "urlencode",
        "wordwrap",
    }
)
_CHEAP_FILTERS: Final = frozenset(
    {
        "abs",
        "bool",
        "capitalize",
        "count",
        "d",
        "default",
        "e",
        "escape",
        "first",
        "float",
        "int",
        "last",
        "length",
        "lower",
        "round",
        "safe",
    }
    | {"string", "title", "trim", "truncate", "upper", "urlencode"}
)
TESTS: Final = frozenset(
    {
        "boolean",
        "defined",
        "divisibleby",
        "even",
        "false",
        "float",
        "integer",
        "iterable",
        "mapping",
        "none",
        "number",
        "odd",
        "sequence",
        "string",
        "true",
        "undefined",
    }
)
_STATEMENTS: Final = frozenset({"if", "elif", "else", "endif", "for", "endfor"})
_CONSTANTS: Final = frozenset({"true", "false", "none", "True", "False", "None"})
_IN_LISTS: Final = {",", "-"} | _CONSTANTS
_WORDS: Final = frozenset({"and", "or", "not", "in", "is", "if", "elif", "else", "for"})  # a bracket after one of them is no call
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_BEFORE: Final = frozenset({"", "if", "elif", "and", "or", "not", "(", ","})  # what may stand before and after an operand that is one token
_BEHIND: Final = frozenset({"", "and", "or", "else", "if", ")", ",", "]"})

_OPENING: Final = re.compile(r"\{[{%#]")
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(?P<name>[^\W\d]\w*)"""
    r"""|(?P<mark>==|!=|<=|>=|//|[-+~/%|.,:=<>()\[\]]))""",
    re.DOTALL,
)
_SPACE: Final = re.compile(r"\s*")
# A hyphen between two names without spaces: meant as a part of the name, read by the engine as a subtraction.
_HYPHENATED: Final = re.compile(r"[^\W\d]\w*(?:-\w+)*-[^\W\d]\w*(?:-\w+)*")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_RAW: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")


class TemplateError(ValueError):
    """A template cannot be rendered. The message is one sentence that says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A template in the engine's syntax."""

    text: str
    is_costly: bool  # compares variables, or walks into them: slow where they are long
    is_cheap: bool = False  # each step takes a time that does not grow with the values
    bad_name: str | None = None  # one sentence about a name with a hyphen; templates stored before this was refused may subtract so


@dataclass(slots=True)
class _Tag:
    start: int
    kind: str  # "{{", "{{{" or "{%"; "{#" that begins no comment
    tokens: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    end: int = 0
    hyphenated: str = ""  # the first name with a hyphen

    def at(self, index: int) -> str:
        """A token of the tag; empty before the first and after the last."""
        return self.tokens[index] if 0 <= index < len(self.tokens) else ""


def read_source(source: str) -> Source:
    """A template that is safe to give to the engine. Raises `TemplateError`."""
    pieces: list[str] = []
    is_costly, is_cheap = False, True
    bad_name: str | None = None
    nesting: list[int] = []  # what each open block counts
    done = 0
    for number, tag in enumerate(_tags(source)):
        if number >= MAX_TAGS:
            raise TemplateError(f"a template has at most {MAX_TAGS:,} tags")
        try:
            is_costly = (tag.kind != "{#" and _check(tag)) or is_costly
            if tag.kind == "{%":
                _nest(tag, nesting)
        except TemplateError as error:
            raise TemplateError(f"{error}, in line {_line(source, tag.start)}") from None
        is_cheap = is_cheap and _has_cheap_filters(tag)
        if tag.hyphenated and bad_name is None:
            bad_name = f"{_explain_hyphen(tag.hyphenated)}, in line {_line(source, tag.start)}"
        if tag.kind in {"{{{", "{#"}:
            shown = f"({source[tag.start + 3 : tag.end - 3]})|safe" if tag.kind == "{{{" else "'{#'"
            pieces += [source[done : tag.start], f"{{{{ {shown} }}}}"]
            done = tag.end
    pieces.append(source[done:])
    return Source(text="".join(pieces), is_costly=is_costly, is_cheap=is_cheap and not is_costly, bad_name=bad_name)


def _explain_hyphen(name: str) -> str:
    shown = name[:MAX_SHOWN]
    return (
        f"{shown} is no name that a template can read: names have letters, digits and underscores, so write {shown.replace('-', '_')}"
        " and name the variable so, or put spaces around the sign to subtract"
    )


def _line(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1


def _tags(source: str) -> Iterator[_Tag]:
    position, last_comment = 0, source.rfind("#}")
    while opening := _OPENING.search(source, position):
        start = opening.start()
        if opening[0] == "{#" and last_comment < start + 2:  # style sheets without spaces have it: "@media print{#menu{…"
            position = start + 2
            yield _Tag(start, "{#", end=position)
        elif opening[0] == "{#":
            position = source.index("#}", start + 2) + 2
        elif raw := _RAW.match(source, start):
            closing = _END_RAW.search(source, raw.end())
            if closing is None:
                raise TemplateError(f"{{% raw %}} is not closed: write {{% endraw %}}, in line {_line(source, start)}")
            position = closing.end()
        else:
            kind = "{{{" if source.startswith("{{{", start) else opening[0]
            tag = _Tag(start, kind)
            try:
                _read(source, tag)
            except TemplateError as error:
                raise TemplateError(f"{error}, in line {_line(source, start)}") from None
            position = tag.end
            yield tag


def _read(source: str, tag: _Tag) -> None:
    """The tokens of a tag, up to its end."""
    closing = {"{{": "}}", "{{{": "}}}", "{%": "%}"}[tag.kind]
    position = tag.start + len(tag.kind)
    if tag.kind != "{%" and source[position : position + 1] in tuple("#/^>!&"):
        raise TemplateError(
            "blocks of Handlebars are not understood: write {% if name %}…{% endif %} or {% for item in items %}…{% endfor %}"
        )
    if source[position : position + 1] in tuple("-+"):
        position += 1  # takes away the space before the tag
    while True:
        space = _SPACE.match(source, position)
        here = space.end() if space else position
        trimmed = here + 1 if source[here : here + 1] in tuple("-+") else here
        for place in (here, trimmed):
            if source.startswith(closing, place):
                tag.end = place + len(closing)
                return
        found = _TOKEN.match(source, here)
        if found is None or found.lastgroup is None:
            raise TemplateError(_odd(source[here : here + 2], closing))
        if found.lastgroup == "name" and position == here and tag.kinds[-1:] == ["number"] and not tag.hyphenated:
            shown = f"{tag.tokens[-1]}{found['name']}"[:MAX_SHOWN]
            raise TemplateError(f"{shown} is no name that a template can read: names begin with a letter or an underscore")
        tag.tokens.append(found[found.lastgroup])
        tag.kinds.append(found.lastgroup)
        position = found.end()
        if found.lastgroup == "name" and not tag.hyphenated and source.startswith("-", position):
            hyphenated = _HYPHENATED.match(source, found.start("name"))
            tag.hyphenated = hyphenated[0] if hyphenated else ""
        if len(tag.tokens) > MAX_TOKENS:
            raise TemplateError(f"a tag has more than {MAX_TOKENS} words and signs: make it shorter")
        if found.lastgroup == "string" and len(found["string"]) > MAX_STRING:
            raise TemplateError(f"a text in a tag has at most {MAX_STRING:,} characters: write it outside of the tag")


def _odd(found: str, closing: str) -> str:
    if found.startswith("*"):
        return "a template cannot multiply: give the product as a variable"
    if found[:1] in {'"', "'"}:
        return "a text in a tag is not closed: write the other quotation mark"
    if not found:
        return f"a tag is not closed: write {closing}"
    return f"{found[0]!r} has no meaning in a tag, which ends with {closing}"


def _check(tag: _Tag) -> bool:
    """Whether the tag is costly."""
    if tag.kind == "{%":
        name = tag.at(0)
        if name not in _STATEMENTS:
            raise TemplateError(f"a template has {{% if %}}, {{% for %}} and {{% raw %}}, not {{% {name[:40]} %}}")
    elif tag.tokens == ["else"]:
        raise TemplateError("blocks of Handlebars are not understood: write {% else %}")
    brackets: list[str] = []  # call, group, list, index
    is_costly = False
    for index, (part, kind) in enumerate(zip(tag.tokens, tag.kinds, strict=True)):
        if brackets and brackets[-1] == "list" and part != "]" and kind not in {"string", "number"} and part not in _IN_LISTS:
            raise TemplateError("a list in a template holds texts and numbers only")
        if kind == "mark":
            is_costly = _check_mark(tag, index, brackets) or is_costly
        elif kind == "name":
            _check_name(tag, index)
    if brackets:
        raise TemplateError("a bracket is not closed")
    return is_costly


def _check_mark(tag: _Tag, index: int, brackets: list[str]) -> bool:
    """Whether an operator is costly; tracks the open brackets."""
    mark = tag.tokens[index]
    if mark in {"(", "["}:
        brackets.append(_bracket(tag, index))
        return brackets[-1] == "index" and not _is_plain_index(tag, index)
    inside = brackets[-1] if brackets else ""
    if mark in {")", "]"}:
        if not brackets or (brackets.pop() in {"call", "group"}) != (mark == ")"):
            raise TemplateError(f"{mark} closes nothing")
    elif mark == "," and inside not in {"call", "list"} and not _is_between_targets(tag, index, brackets):
        raise TemplateError("a comma stands between the arguments of a filter only")
    elif mark == "=" and inside != "call":
        raise TemplateError("= stands in the arguments of a filter only: write == to compare")
    return mark in _COMPARISONS and not _has_constant(tag, index)


def _has_cheap_filters(tag: _Tag) -> bool:
    if tag.tokens.count("~") > MAX_JOINED:
        return False
    return all(tag.at(index + 1) in _CHEAP_FILTERS for index, part in enumerate(tag.tokens) if part == "|")


def _is_between_targets(tag: _Tag, index: int, brackets: list[str]) -> bool:
    """Whether a comma is the one in `for key, value in …`."""
    return tag.at(0) == "for" and not brackets and "in" not in tag.tokens[:index]


def _bracket(tag: _Tag, index: int) -> str:
    """The kind of construct that an opening bracket begins."""
    before = tag.at(index - 1)
    kind = tag.kinds[index - 1] if index else "mark"
    is_word = kind == "name" and before in _WORDS and tag.at(index - 2) != "."
    is_operand = (kind != "mark" and not is_word) or before in {")", "]"}
    if tag.tokens[index] == "[":
        return "index" if is_operand else "list"
    if not is_operand:
        return "group"
    led_by = tag.at(index - 2)
    is_test = led_by == "is" or (led_by == "not" and tag.at(index - 3) == "is")
    is_loop = before in {"cycle", "changed"} and tag.tokens[max(0, index - 3) : index - 1] == ["loop", "."]
    if kind == "name" and (led_by == "|" or is_test or is_loop or (before == "range" and led_by != ".")):
        return "call"
    if before in {"items", "keys", "values", "upper", "lower", "title", "strip", "join", "replace", "split"}:
        raise TemplateError(f"only filters are called: write name|{before} for name.{before}()")
    raise TemplateError(f"only filters and range are called, not {before[:40]}")


def _check_name(tag: _Tag, index: int) -> None:
    name, before, behind = tag.tokens[index], tag.at(index - 1), tag.at(index + 1)
    if index and tag.kinds[index - 1] == "name" and _are_one_name(tag, index):
        shown = f"{before[:MAX_SHOWN]} {name[:MAX_SHOWN]}"
        raise TemplateError(f"{shown} is no name that a template can read: names have no spaces, so write {shown.replace(' ', '_')}")
    if before == "|" and name not in FILTERS:
        raise TemplateError(f"there is no filter {name[:40]}")
    if before == "|" and name == "tojson" and behind == "(":
        raise TemplateError("tojson takes no arguments")
    if before == "|" and name == "map" and (behind, tag.at(index + 2), tag.at(index + 3)) != ("(", "attribute", "="):
        raise TemplateError("map takes an attribute: write map(attribute='name')")
    is_test = before == "is" or (before == "not" and tag.at(index - 2) == "is")
    if is_test and name not in TESTS | {"not"}:
        raise TemplateError(f"there is no test {name[:40]}")


def _are_one_name(tag: _Tag, index: int) -> bool:
    """Whether a name and the one before it can only be one name with a space in it."""
    words = _WORDS | _STATEMENTS | {"recursive"}
    is_behind_test = tag.at(index - 2) in {"is", "not"}  # the argument of a test
    return tag.tokens[index] not in words and tag.tokens[index - 1] not in words and not is_behind_test


def _is_plain_index(tag: _Tag, index: int) -> bool:
    """Whether a bracket contains a string or a small number."""
    inner = tag.at(index + 1)
    kind = tag.kinds[index + 1] if index + 1 < len(tag.kinds) else "mark"
    is_small = kind == "number" and inner.isdigit() and len(inner) < 5 and int(inner) < MAX_INDEX
    return (kind == "string" or is_small) and tag.at(index + 2) == "]"


def _has_constant(tag: _Tag, index: int) -> bool:
    """Whether one whole side of a comparison is a constant."""

    def is_constant(at: int) -> bool:
        return 0 <= at < len(tag.tokens) and (tag.kinds[at] in {"string", "number"} or tag.tokens[at] in _CONSTANTS)

    right = is_constant(index + 1) and tag.at(index + 2) in _BEHIND
    return right or (is_constant(index - 1) and tag.at(index - 2) in _BEFORE)


def _nest(tag: _Tag, nesting: list[int]) -> None:
    name = tag.at(0)
    if name in {"if", "for"}:
        nesting.append(1)
    elif name in {"endif", "endfor"} and nesting:
        nesting.pop()
    elif name == "elif" and nesting:
        nesting[-1] += 1
    if sum(nesting) > MAX_NESTING:
        raise TemplateError(f"if, elif and for are nested more than {MAX_NESTING} deep: make it simpler")
