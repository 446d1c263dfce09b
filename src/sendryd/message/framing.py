"""Rewrites a message's HTML so that a browser makes no requests for it and runs nothing. Pure, and not recursive.

A parser builds the tree that browsers build. Of the tree, only listed elements and attributes are written, with all text escaped. Elements whose
text is not escaped are not listed, so every tag in the result was written here, however a reader nests them. Images are kept if their octets are
in the message itself, or where `Pictures` says that our own server has them; links are kept, and open outside the frame. Stylesheets move to the
head, without anything they fetch.

Run it inside `runtime.fence`: tree parsers can take time quadratic in their input's length.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from typing import Final
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from sendryd.message.markup import Limits, is_within
from sendryd.message.stylesheet import RASTER_DATA, remove_fetches

# Elements that are often left open, like <p> and <td>, count as nested. The fence stops slower input within these limits.
FRAMED: Final = Limits(tags=100_000, depth=5_000, attributes=200)
MAX_NESTING: Final = 200  # elements within one another: browsers take time quadratic in it, and designs of mails have some sixty
REMOTE_PREFIX: Final = "remote-"  # before the number of a picture from elsewhere
MAX_REMOTE: Final = 20  # pictures of one message that our server fetches: a long newsletter's

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
_REMOTE: Final = re.compile(r"https?://[^/?#]", re.IGNORECASE | re.ASCII)
_CID: Final = "cid:"
_SPECK: Final = re.compile(r"\s*0*[01](?:\.\d*)?\s*(?:px)?\s*", re.ASCII)  # the width or height of a pixel that counts readers
# Frames without an origin have the colour scheme of the browser, whatever the page around them says: the queries are answered here.
_SCHEME_QUERY: Final = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE | re.ASCII)
_ALWAYS, _NEVER = "(min-width:0)", "(max-width:0)"
_URL_BREAKS: Final = re.compile(r"[\t\n\r]+")
_URL_ENDS: Final = "".join(map(chr, range(0x21)))  # characters that the URL Standard (§4.4) strips from both ends


class TooComplex(Exception):
    """A document exceeds the limits of tags, depth or attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Where our own server has pictures that are not in the HTML itself."""

    base: str = ""  # what their addresses begin with; empty: it has none
    inline: Mapping[str, int] = field(default_factory=dict)  # numbers of the message's parts by Content-ID
    is_remote_shown: bool = False  # whether pictures from elsewhere are among them


NO_PICTURES: Final = Pictures()


class Scheme(StrEnum):
    """The colour scheme that a message is shown in."""

    READER = ""  # the reader's own
    LIGHT = "light"
    DARK = "dark"


def frame_html(html: str, pictures: Pictures = NO_PICTURES, scheme: Scheme = Scheme.READER) -> bytes:
    """The whole document to put into a frame, in UTF-8. Raises `TooComplex`."""
    document, writer = _read(html, pictures)
    head, body = "".join(writer.sheets), "".join(writer.content)
    if scheme is not Scheme.READER:
        head = _SCHEME_QUERY.sub(lambda found: _ALWAYS if found[1].lower() == scheme.value else _NEVER, head)
        head += f"<style>:root{{color-scheme:{scheme.value}!important}}</style>"
    root_tag, body_tag = writer.attributes(document.root), writer.attributes(document.body)
    return f"<!doctype html><html{root_tag}><head>{head}</head><body{body_tag}>{body}</body></html>".encode()


def remote_pictures(html: str) -> list[str]:
    """The URLs of pictures from elsewhere, as `frame_html` numbers them: the first `MAX_REMOTE`, each once. Raises `TooComplex`."""
    return list(_read(html, Pictures(is_remote_shown=True))[1].remote)


def _read(html: str, pictures: Pictures) -> tuple[LexborHTMLParser, "_Writer"]:
    html = html.encode("utf-8", "replace").decode("utf-8")  # foreign texts may have lone surrogates
    if not is_within(html, FRAMED):
        raise TooComplex("it has too many elements")
    document, writer = LexborHTMLParser(html), _Writer(pictures)
    writer.write(document.head, is_head=True)
    writer.write(document.body)
    return document, writer


class _Writer:
    """Writes the harmless part of a document."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self.content: list[str] = []
        self.sheets: list[str] = []
        self.remote: dict[str, int] = {}  # URLs of pictures from elsewhere with their numbers

    def write(self, parent: LexborNode | None, *, is_head: bool = False) -> None:
        """Adds what is in an element to the content, and the stylesheets in it to the sheets. Of the head, only its stylesheets are kept."""
        if parent is None:
            return
        waiting: list[LexborNode | str] = [*reversed(list(parent.iter(include_text=True)))]
        content: list[str] = [] if is_head else self.content
        depth = 0
        while waiting:
            node = waiting.pop()
            if isinstance(node, str):
                content.append(node)
                depth -= 1
                continue
            name = node.tag or ""
            if name == "-text":
                content.append(escape(node.text_content or "", quote=False))
            elif name == "style":
                self.sheets.append(_sheet(node))
            elif name not in _DROPPED:
                start, end = self._tags(node, _RENAMED.get(name, name)) if depth < MAX_NESTING else ("", "")
                content.append(start)
                if end:
                    waiting.append(end)
                    depth += 1
                waiting += reversed(list(node.iter(include_text=True)))

    def _tags(self, node: LexborNode, name: str) -> tuple[str, str]:
        """The start and end tag of an element; empty for one that is not listed."""
        if name not in _KEPT:
            return "", ""
        start = f"<{name}{self.attributes(node)}>"
        if name in _VOID:
            return start, ""
        # The first line end in `pre` is not shown: without one of ours the text's own would be lost.
        return (start + "\n" if name == "pre" else start), f"</{name}>"

    def attributes(self, node: LexborNode | None) -> str:
        """The harmless attributes of an element, as they stand in its tag."""
        kept = self._keep(node.tag or "", node.attributes) if node is not None else ()
        return "".join(f' {name}="{escape(value)}"' for name, value in kept)

    def _keep(self, tag: str, attributes: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
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
                if source := self._source(_clean_url(text), attributes):
                    yield name, source
            elif name == "usemap" and text.startswith("#"):
                yield name, text

    def _source(self, url: str, attributes: Mapping[str, str | None]) -> str:
        """Where a picture is: in the URL itself, or on our own server; empty: it is not shown."""
        pictures = self._pictures
        if RASTER_DATA.fullmatch(url):
            return url
        if url[: len(_CID)].lower() == _CID:
            number = pictures.inline.get(unquote(url[len(_CID) :]))  # RFC 2392
            return f"{pictures.base}{number}" if pictures.base and number is not None else ""
        if not pictures.is_remote_shown or not _REMOTE.match(url) or _is_speck(attributes):
            return ""
        if url not in self.remote and len(self.remote) == MAX_REMOTE:
            return ""
        return f"{pictures.base}{REMOTE_PREFIX}{self.remote.setdefault(url, len(self.remote))}"


def _is_speck(attributes: Mapping[str, str | None]) -> bool:
    return any(_SPECK.fullmatch(attributes.get(side) or "") for side in ("width", "height"))


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
