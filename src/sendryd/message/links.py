"""Rewrites links and inserts the open pixel in an HTML document: new URLs are spliced in, and all other characters stay the same.

Tags are recognised as browsers do (WHATWG HTML §13.2.5): comments with their content, raw text, and attribute values are skipped. The document is
never parsed into a tree or serialised. An unclosed construct extends to the end of the document, as in a browser. Linear: the patterns never
backtrack.
"""

import html as entities
import re
from collections.abc import Callable
from html.entities import html5
from typing import Final

# Steps of one document, each a link, an attribute in a tag that cannot be read in one step, or up to 40 other tags: a fifth of a second. What
# follows stays as it is. Ordinary mail has some hundreds.
MAX_STEPS: Final = 50_000
NO_TRACK: Final = "data-sendry-no-track"  # the attribute of a link that stays as it is
_LINKS: Final = frozenset({"a", "area"})
_RAW: Final = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")  # elements without markup in them

# A tag is read in one step if its values, up to a limit, are all in quotes, or if it has no quotation mark at all, and nothing in it is so long
# that one call would keep other threads waiting: other tags are read attribute by attribute. Groups are not repeated
# possessively: Python gets that wrong before 3.11.5.
QUICK: Final = (
    r"""(?:[\t\n\f\r /][^>"'=]{0,1000}[^\t\n\f\r />"'=][\t\n\f\r ]*=[\t\n\f\r ]*"""
    r"""(?:"[^"]{0,4000}"|'[^']{0,4000}')){0,12}(?:[\t\n\f\r /][^>"']{0,1000})?>"""
)
_NAMES: Final = f"(?:a|area|{'|'.join(_RAW)}|plaintext|/body|/html)(?=[\\t\\n\\f\\r />])"  # of the relevant tags
_MARKUP: Final = re.compile(
    # Irrelevant tags, several of them in one step, or one tag, or the beginning of another construct.
    rf"(?:<(?!{_NAMES})/?[a-z][^\t\n\f\r />]*{QUICK}[^<]*){{1,40}}|<(?:(/?[a-z][^\t\n\f\r />]*)({QUICK})?|(!--)|([!?/]))"
    r"|(?:<(?![a-z!?/])[^<]*){1,1000}",  # text, a piece at a time
    re.IGNORECASE | re.ASCII,
)
ATTRIBUTE: Final = re.compile(  # or the end of the tag
    r"""[\t\n\f\r /]*(?:(?P<end>>)|(?P<name>[^\t\n\f\r />][^\t\n\f\r />=]*)"""
    r"""(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"(?P<double>[^"]*)(?P<closed>"?)|'(?P<single>[^']*)(?P<shut>'?)|(?P<bare>[^\t\n\f\r >]*)))?)"""
)
COMMENT_END: Final = re.compile(r"--!?>")
RAW_ENDS: Final = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII) for name in _RAW}
_REFERENCE: Final = re.compile(r"&(?:#(?:[0-9]+|[xX][0-9A-Fa-f]+);?|([A-Za-z][A-Za-z0-9]*(?:;|(?![=A-Za-z0-9]))))")
_MAX_REFERENCE: Final = 20  # characters; a longer one is no code point, and Python refuses numbers of thousands of digits
_URL: Final = re.compile(r"https?://[^/\\?#]", re.IGNORECASE | re.ASCII)
_URL_BREAKS: Final = re.compile(r"[\t\n\r]+")
_URL_ENDS: Final = "".join(map(chr, range(0x21)))  # characters that the URL Standard (§4.4) strips from both ends


def rewrite_html(html: str, *, wrap: Callable[[str], str | None] | None, pixel_url: str | None) -> str:
    """The document with the links that `wrap` changes, and with an invisible image if there is a URL for one.

    `wrap` gets the URL of each `<a href>` and `<area href>` that begins with http or https, as a browser would read it, and gives the new
    URL, or None to leave the attribute as it is; it is asked in the order of the document, but not about links with the attribute
    `data-sendry-no-track`. The image stands before the last `</body>`, else before the last `</html>`, else at the end, or before what is
    not closed there.
    """
    changes: list[tuple[int, int, str]] = []  # start, end, replacement
    places: dict[str, int] = {}
    position, end, steps = 0, len(html), 0
    # Looked for by `find`, which passes over text a hundred times as fast as the pattern does.
    while (position := html.find("<", position)) >= 0 and (found := _MARKUP.match(html, position)):
        steps += 1
        if steps > MAX_STEPS:
            end = position
            break
        if found.lastindex is None:
            position = found.end()
        elif found[1] is None:
            position = _skip(html, found)
        else:
            name = found[1].lower()
            position, attributes = (found.end(), 0) if found[2] else _end_of_tag(html, found.end(), MAX_STEPS - steps)
            steps += attributes
            if position >= 0 and name in _LINKS:
                change = wrap and _change_link(html, found.end(1), wrap)
                if change:
                    changes.append(change)
            elif position >= 0 and name in RAW_ENDS:
                closing = RAW_ENDS[name].search(html, position)
                position = closing.start() if closing else -1
            elif position >= 0 and name in {"/body", "/html"}:
                places[name] = found.start()
            elif name == "plaintext":
                position = -1
        if position < 0:  # all the rest is one thing
            end = found.start()
            break
    if pixel_url is not None:
        place = places.get("/body", places.get("/html", end))
        changes.append((place, place, _pixel(pixel_url)))
        changes.sort()
    return _splice(html, changes)


def _skip(html: str, found: re.Match[str]) -> int:
    """The end of a comment, a declaration or a processing instruction; -1 if it is unclosed."""
    if not found[3]:
        return html.find(">", found.end())
    closing = COMMENT_END.search(html, found.start() + 2)  # the hyphens at its beginning can be those at its end
    return closing.end() if closing else -1


def _end_of_tag(html: str, position: int, most: int) -> tuple[int, int]:
    """The place after a tag, from the end of its name on, and its attributes; -1 if it does not end, or has more than the most."""
    count = 0
    while count <= most and (found := ATTRIBUTE.match(html, position)):
        position = found.end()
        if found["end"]:
            return position, count
        if found["closed"] == "" or found["shut"] == "":
            break
        count += 1
    return -1, count


def _change_link(html: str, position: int, wrap: Callable[[str], str | None]) -> tuple[int, int, str] | None:
    """What to change in the tag of a link, from the end of its name on."""
    href: re.Match[str] | None = None
    while (found := ATTRIBUTE.match(html, position)) and not found["end"]:
        position = found.end()
        name = found["name"].lower()
        if name == NO_TRACK:
            return None
        if name == "href" and href is None:  # of two, browsers take the first
            href = found
    if href is None:
        return None
    kind = next((kind for kind in ("double", "single", "bare") if href[kind]), None)
    if kind is None:
        return None
    url = _URL_BREAKS.sub("", decode_references(href[kind]).strip(_URL_ENDS))
    new = wrap(url) if _URL.match(url) else None
    if new is None:
        return None
    escaped = entities.escape(new)
    return (*href.span(kind), f'"{escaped}"' if kind == "bare" else escaped)


def decode_references(value: str) -> str:
    """Decodes the character references in an attribute value (WHATWG HTML §13.2.5.73). In a query, `&copy=` is not a reference, unlike in text."""
    return _REFERENCE.sub(_decode_reference, value) if "&" in value else value


def _decode_reference(found: re.Match[str]) -> str:
    if found[1] is not None:
        return html5.get(found[1], found[0])
    return entities.unescape(found[0]) if len(found[0]) <= _MAX_REFERENCE else "\ufffd"


def _pixel(url: str) -> str:
    return f'<img src="{entities.escape(url)}" width="1" height="1" alt="" style="display:none">'


def _splice(html: str, changes: list[tuple[int, int, str]]) -> str:
    if not changes:
        return html
    pieces: list[str] = []
    position = 0
    for start, end, text in changes:
        pieces += (html[position:start], text)
        position = end
    pieces.append(html[position:])
    return "".join(pieces)
