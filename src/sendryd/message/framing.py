"""Rewrites a message's HTML so that a browser makes no requests for it and runs nothing. Pure, and not recursive.

A parser builds the tree that browsers build. Of the tree, only listed elements and attributes are written, with all text escaped. Elements whose
text is not escaped are not listed, so every tag in the result was written here, however a reader nests them. Images are kept if their octets are
in the message itself; links are kept, and open outside the frame. Stylesheets move to the head, without anything they fetch.

Run it inside `runtime.fence`: tree parsers can take time quadratic in their input's length.
"""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from sendryd.message.markup import Limits, is_within
from sendryd.message.stylesheet import RASTER_DATA, remove_fetches

# Elements that are often left open, like <p> and <td>, count as nested. The fence stops slower input within these limits.
FRAMED: Final = Limits(tags=100_000, depth=5_000, attributes=200)

_KEPT: Final = frozenset(
    """
    a abbr address area article aside b bdi bdo big blockquote br button caption center cite code col colgroup data dd del details dfn dir div dl
    dt em fieldset figcaption figure font footer h1 h2 h3 h4 h5 h6 header hgroup hr i img input ins kbd label legend li main map mark menu meter
    nav nobr ol optgroup option p pre progress q rp rt ruby s samp section select small span strike strong sub summary sup table tbody td tfoot
    th thead time tr tt u ul var wbr
    """.split()  # noqa: SIM905 - a table of words
)
# `form` without an action would be sent to the page's own address; browsers read no tags in the others.
_RENAMED: Final = {"form": "div", "textarea": "div", "xmp": "pre", "listing": "pre", "plaintext": "pre"}
_VOID: Final = frozenset({"area", "br", "col", "hr", "img", "input", "wbr"})
# Elements that are dropped with their content. Of other elements that are not listed, the content is kept.
_DROPPED: Final = frozenset(
    """
    script style title template svg math iframe frame frameset noframes noembed embed applet portal fencedframe link meta base xml datalist
    -comment
    """.split()  # noqa: SIM905 - a table of words
)
_ATTRIBUTES: Final = frozenset(
    """
    abbr align alt bgcolor border bordercolor cellpadding cellspacing checked class clear color colspan compact coords datetime dir disabled face
    headers height hidden high hspace id label lang low max min name noshade nowrap open optimum placeholder readonly reversed role rowspan rules
    scope selected shape size span start summary title type valign value vspace width
    """.split()  # noqa: SIM905 - a table of words
)
_BODY_ATTRIBUTES: Final = frozenset({"text", "link", "vlink", "alink", "leftmargin", "topmargin", "marginwidth", "marginheight"})
_ARIA: Final = re.compile("aria-[a-z]+")
_LINK: Final = re.compile(r"https?://|mailto:|tel:|sms:|#", re.IGNORECASE | re.ASCII)
_URL_BREAKS: Final = re.compile(r"[\t\n\r]+")
_URL_ENDS: Final = "".join(map(chr, range(0x21)))  # characters that the URL Standard (§4.4) strips from both ends


class TooComplex(Exception):
    """A document exceeds the limits of tags, depth or attributes."""


def frame_html(html: str) -> bytes:
    """The whole document to put into a frame, in UTF-8. Raises `TooComplex`."""
    html = html.encode("utf-8", "replace").decode("utf-8")  # foreign texts may have lone surrogates
    if not is_within(html, FRAMED):
        raise TooComplex("it has too many elements")
    document = LexborHTMLParser(html)
    root, body = document.root, document.body
    sheets: list[str] = []
    content: list[str] = []
    if body is not None:
        _write(body, content, sheets)
    if document.head is not None:
        in_head: list[str] = []
        _write(document.head, [], in_head)
        sheets[:0] = in_head
    return (
        f"<!doctype html><html{_attributes(root)}><head>{''.join(sheets)}</head><body{_attributes(body)}>{''.join(content)}</body></html>"
    ).encode()


def _write(parent: LexborNode, content: list[str], sheets: list[str]) -> None:
    """Adds what is in an element to the content, and the stylesheets in it to the sheets."""
    waiting: list[LexborNode | str] = [*reversed(list(parent.iter(include_text=True)))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            content.append(node)
            continue
        name = node.tag or ""
        if name == "-text":
            content.append(escape(node.text_content or "", quote=False))
        elif name == "style":
            sheets.append(_sheet(node))
        elif name not in _DROPPED:
            start, end = _tags(node, _RENAMED.get(name, name))
            content.append(start)
            waiting.append(end)
            waiting += reversed(list(node.iter(include_text=True)))


def _tags(node: LexborNode, name: str) -> tuple[str, str]:
    """The start and end tag of an element; empty for one that is not listed."""
    if name not in _KEPT:
        return "", ""
    start = f"<{name}{_attributes(node)}>"
    if name in _VOID:
        return start, ""
    # The first line end in `pre` is not shown: without one of ours the text's own would be lost.
    return (start + "\n" if name == "pre" else start), f"</{name}>"


def _attributes(node: LexborNode | None) -> str:
    kept = _keep(node.tag or "", node.attributes) if node is not None else ()
    return "".join(f' {name}="{escape(value)}"' for name, value in kept)


def _keep(tag: str, attributes: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """The harmless attributes of an element, and the harmless part of those that may fetch."""
    for given, value in attributes.items():
        name, text = given.lower(), value or ""
        if name == "style":
            yield name, remove_fetches(text)
        elif name in _ATTRIBUTES or _ARIA.fullmatch(name) or (tag == "body" and name in _BODY_ATTRIBUTES):
            yield name, text
        elif name == "href" and tag in {"a", "area"}:
            target = _clean_url(text)
            if _LINK.match(target):
                yield name, target
                yield from () if target.startswith("#") else (("target", "_blank"), ("rel", "noopener noreferrer"))
        elif name == "src" and tag == "img":
            source = _clean_url(text)
            if RASTER_DATA.fullmatch(source):
                yield name, source
        elif name == "usemap" and text.startswith("#"):
            yield name, text


def _clean_url(text: str) -> str:
    """A URL without the characters that browsers ignore in it."""
    return _URL_BREAKS.sub("", text).strip(_URL_ENDS)


def _sheet(node: LexborNode) -> str:
    attributes = node.attributes
    if (attributes.get("type") or "text/css").strip().lower() != "text/css":
        return ""
    media = attributes.get("media")
    condition = "" if media is None else f' media="{escape(media)}"'
    css = remove_fetches("".join(each.text_content or "" for each in node.iter(include_text=True)))
    return f"<style{condition}>{css}</style>"
