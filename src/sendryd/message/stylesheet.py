"""Removes from a stylesheet everything that a browser would fetch. Pure; linear.

Splits the text into tokens as browsers do (CSS Syntax Level 3 §4), copies the harmless ones, and replaces the others by meaningless words, so that
the rest keeps its meaning: `background: #fff url(x) repeat-x` becomes `background: #fff none repeat-x`.
"""

import re
from typing import Final

# Raster formats. SVG is missing: it is a document of its own.
RASTER_DATA: Final = re.compile(
    r"data:image/(?:png|gif|jpe?g|webp|bmp|avif)(?:;[a-z0-9=-]+)*;base64,[A-Za-z0-9+/=%]*", re.IGNORECASE | re.ASCII
)

# Functions that take no URL: colours, sizes, gradients, transformations, selectors. `var` only returns values of the sheet.
_FUNCTIONS: Final = frozenset(
    """
    rgb rgba hsl hsla hwb lab lch oklab oklch color color-mix light-dark calc min max clamp var env fit-content minmax repeat
    linear-gradient radial-gradient conic-gradient repeating-linear-gradient repeating-radial-gradient repeating-conic-gradient
    -webkit-linear-gradient -webkit-radial-gradient -webkit-gradient -moz-linear-gradient -o-linear-gradient from to color-stop
    translate translatex translatey translate3d rotate rotatex rotatey rotatez scale scalex scaley skew skewx skewy matrix matrix3d perspective
    cubic-bezier steps blur brightness contrast drop-shadow grayscale hue-rotate invert opacity saturate sepia
    inset circle ellipse polygon rect counter counters and or not
    is where has any matches -webkit-any -moz-any nth-child nth-last-child nth-of-type nth-last-of-type lang dir
    """.split()  # noqa: SIM905 - a table of words
)
_AT_RULES: Final = frozenset(
    {"media", "supports", "container", "layer", "keyframes", "-webkit-keyframes", "-moz-keyframes", "-o-keyframes"}
)
_REPLACEMENT: Final = "none"
_NOTHING: Final = "/**/"  # keeps the tokens on its two sides apart

_ESCAPE: Final = r"\\(?:[0-9A-Fa-f]{1,6}(?:\r\n|[ \t\r\n\f])?|[^0-9A-Fa-f\r\n\f])"
_NAME: Final = rf"(?:[-A-Za-z0-9_]|[^\x00-\x7f]|{_ESCAPE})+"
_JOINS: Final = re.compile(rf"\(|{_NAME}")  # at the end of a name: makes a function or a longer name of it
_TOKEN: Final = re.compile(
    r"""(?P<comment>/\*(?s:.*?)(?:\*/|\Z))"""
    r"""|(?P<string>"(?:[^"\\\r\n\f]|\\(?:\r\n|(?s:.)))*"?|'(?:[^'\\\r\n\f]|\\(?:\r\n|(?s:.)))*'?)"""
    rf"""|@(?P<rule>{_NAME})"""
    rf"""|(?P<name>{_NAME})(?P<opens>\()?"""
    r"""|(?P<other>(?s:.))"""
)
_DATA_URL: Final = re.compile(r"""[ \t\r\n\f]*+(?:"([^"\\\r\n\f]*)"|'([^'\\\r\n\f]*)'|([^"'()\\ \t\r\n\f]*))[ \t\r\n\f]*\)""")
_BARE_URL: Final = re.compile(r"""(?=[ \t\r\n\f]*[^"' \t\r\n\f])(?:[^)\\]|\\(?s:.)|\\\Z)*\)?""")  # url( without quotes has no tokens inside
_ESCAPED: Final = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})(?:\r\n|[ \t\r\n\f])?|(?s:(.)))")
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_PLAIN: Final = re.compile(r"[^()@\\/\"'\x00<]*", re.ASCII)  # text that cannot fetch


def remove_fetches(css: str) -> str:
    """A stylesheet, or the declarations of a `style` attribute, that fetches nothing and ends no `<style>` element. Never raises."""
    if _PLAIN.fullmatch(css):
        return css
    css = css.replace("\0", "\ufffd")
    pieces: list[str] = []
    position = 0
    while found := _TOKEN.match(css, position):
        position = found.end()
        if found["comment"] is not None:
            pieces.append(_NOTHING)
        elif found["rule"] is not None:
            rule = _decode(found["rule"])
            pieces.append(f"@{rule}" if rule in _AT_RULES else _NOTHING)
            position = position if rule in _AT_RULES else _end_of_rule(css, position)
        elif found["string"] is not None:
            # One that the text's end leaves open is left out: whoever reads it otherwise may find rules in it.
            pieces.append(found[0].replace("</", "<\\/") if found.end() < len(css) or _is_closed(found[0]) else _NOTHING)
        elif found["opens"] is None:
            pieces.append(found[0])
        elif (function := _decode(found["name"])) in _FUNCTIONS:
            pieces.append(f"{function}(")
        else:
            kept, position = _read_function(css, function, position)
            pieces.append(kept)
            if _JOINS.match(css, position):  # keeps it apart from the replacement, which is a name
                pieces.append(_NOTHING)
    return "".join(pieces).replace("</", "< /")  # between tokens; in strings it is escaped


def _read_function(css: str, function: str, position: int) -> tuple[str, int]:
    """The replacement of a function that is not known to be harmless, and the function's end."""
    if function != "url":
        return _REPLACEMENT, _end_of_block(css, position, ")")
    if found := _DATA_URL.match(css, position):
        address = next((each for each in found.groups() if each is not None), "")
        if RASTER_DATA.fullmatch(address):
            return f'url("{address}")', found.end()
    if found := _BARE_URL.match(css, position):
        return _REPLACEMENT, found.end()
    return _REPLACEMENT, _end_of_block(css, position, ")")


def _end_of_rule(css: str, position: int) -> int:
    """The position after a rule that begins with `@`: after its semicolon or block, or before the end of the enclosing block."""
    while found := _TOKEN.match(css, position):
        if found["other"] == "}":
            return position
        position = found.end()
        if found["other"] == ";":
            return position
        if found["other"] == "{":
            return _end_of_block(css, position, "}")
        if found["opens"] is not None:
            _, position = _read_function(css, _decode(found["name"]), position)
        elif found["other"] in _CLOSERS:
            position = _end_of_block(css, position, _CLOSERS[found["other"]])
    return position


def _end_of_block(css: str, position: int, closer: str) -> int:
    """The position after the bracket that closes a block or function, from its inside on; nested brackets are closed first."""
    waiting = [closer]
    while waiting and (found := _TOKEN.match(css, position)):
        position = found.end()
        if found["opens"] is not None:
            bare = _BARE_URL.match(css, position) if _decode(found["name"]) == "url" else None
            position = bare.end() if bare else position
            waiting += [")"] if bare is None else []
        elif found["other"] in _CLOSERS:
            waiting.append(_CLOSERS[found["other"]])
        elif found["other"] == waiting[-1]:
            waiting.pop()
    return position


def _is_closed(string: str) -> bool:
    """Whether a string has its second quotation mark."""
    return len(string) > 1 and string[-1] == string[0] and (len(string) - len(string[:-1].rstrip("\\"))) % 2 == 1


def _decode(name: str) -> str:
    """A name as browsers compare it: without escapes, in lower case."""
    return _ESCAPED.sub(_decode_escape, name).lower() if "\\" in name else name.lower()


def _decode_escape(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[2]
    number = int(found[1], 16)
    return chr(number) if 0 < number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"
