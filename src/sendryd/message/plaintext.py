"""The text of an HTML document, for readers that show no HTML. Pure; linear, and not recursive at any depth."""

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from sendryd.message.links import COMMENT_END, RAW_ENDS, decode_references
from sendryd.message.markup import Limits, is_within

# The parser's time is quadratic in the depth and in the attributes of a tag, and about seven microseconds per tag. No mail has a tenth of any limit.
PARSED: Final = Limits(tags=50_000, depth=500, attributes=200)
SMALL: Final = Limits(tags=512, depth=100, attributes=64)  # with `MAX_SMALL`: at most about ten milliseconds, however they are misnested
MAX_SMALL: Final = 16_384  # characters
MAX_TEXT: Final = 1_048_576  # characters: the contract's limit for a text
_SKIPPED: Final = frozenset({"script", "style", "head", "title", "template", "noscript", "svg", "-comment"})
_PARAGRAPHS: Final = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "listing", "xmp", "section", "article"}
)
_LINES: Final = frozenset({"div", "tr", "li", "dt", "dd", "header", "footer", "address", "figure", "figcaption", "form", "center"})
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE: Final = re.compile(r"[\s\u00a0]+")
_WHOLE_TAG: Final = re.compile(r"<[^<>]*>")  # no tag within a tag: else a search from each of many that never end
_UNSHOWN: Final = re.compile(r"<(?:(script|style|title)(?=[\t\n\f\r />])|!--)", re.IGNORECASE | re.ASCII)
_LINE, _PARAGRAPH = "\x00", "\x01"  # ends that several elements may ask for at one place; HTML cannot hold these characters
_ENDS: Final = re.compile(r"(?<! ) *[\x00\x01](?:[ \x00\x01])*")  # spaces are looked at once, from the first of them on
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_PREFORMATTED: Final = frozenset({"pre", "listing", "xmp", "plaintext"})  # WHATWG HTML §15.3.3: `white-space: pre`
_KEEPS_SPACE: Final = re.compile(r"white-space\s*:\s*(?:pre(?!-line)|break-spaces)", re.IGNORECASE)
_KEEP: Final = str.maketrans(
    {" ": "\x02", "\n": "\x03", "\t": "\x04", **dict.fromkeys("\x00\x01\x02\x03\x04")}
)  # protected from the collapsing of white space
_RESTORE: Final = str.maketrans("\x02\x03\x04", " \n\t")
_COLLAPSE: Final = str.maketrans(dict.fromkeys("\x00\x01\x02\x03\x04"))


def html_to_text(html: str) -> str:
    """Paragraphs, lists, table rows and links as text; of a document over the limits, its text without tags. Never raises.

    Run it in a process that can be ended, unless `is_small`: the parser's time can grow with the square of the limits.
    """
    if not is_within(html, PARSED):
        return strip_tags(html)
    root = LexborHTMLParser(html).root
    if root is None:
        return ""
    pieces: list[str] = []
    waiting: list[tuple[LexborNode | str, bool]] = [(root, False)]
    while waiting:
        item, keeps_space = waiting.pop()
        if isinstance(item, str):
            pieces.append(item)
        else:
            inner, keeps_space = _open(item, keeps_space=keeps_space)
            waiting += [(each, keeps_space) for each in reversed(inner)]
    text = _ENDS.sub(lambda ends: "\n\n" if _PARAGRAPH in ends[0] else "\n", "".join(pieces))
    return _EMPTY_LINES.sub("\n\n", text).strip().translate(_RESTORE)[:MAX_TEXT]


def strip_tags(html: str) -> str:
    """The text of a document on one line, without tags, comments, styles and scripts. Fast for any input."""
    pieces: list[str] = []
    position = 0
    while found := _UNSHOWN.search(html, position):
        pieces.append(html[position : found.start()])
        name = found[1]
        closing = COMMENT_END.search(html, found.start() + 2) if name is None else RAW_ENDS[name.lower()].search(html, found.end())
        if closing is None:
            position = len(html)
            break
        position = closing.end() if name is None else closing.start()  # the rest of an ending tag is a tag
    pieces.append(html[position:])
    return _SPACE.sub(" ", decode_references(_WHOLE_TAG.sub(" ", " ".join(pieces)))).strip()[:MAX_TEXT]


def is_small(html: str) -> bool:
    """Whether `html_to_text` takes at most about ten milliseconds for the document."""
    return len(html) <= MAX_SMALL and is_within(html, SMALL)


def _preformatted(node: LexborNode) -> str:
    """A text with its white space. The line end before a block's closing tag shows no line."""
    text = node.text_content or ""
    parent = node.parent
    if node.next is None and parent is not None and parent.tag in _PREFORMATTED:
        text = text.removesuffix("\n")
    return text.translate(_KEEP)


def _open(node: LexborNode, *, keeps_space: bool) -> tuple[list[LexborNode | str], bool]:
    """The children of a node: texts, and nodes to open later; and whether white space in it is preserved."""
    tag = node.tag or ""
    if tag == "-text":
        return [_preformatted(node) if keeps_space else _SPACE.sub(" ", (node.text_content or "").translate(_COLLAPSE))], keeps_space
    attributes = node.attributes
    style = attributes.get("style") or ""
    if tag in _SKIPPED or "hidden" in attributes or _HIDDEN.search(style):
        return [], keeps_space
    if tag == "img":
        return [attributes.get("alt") or ""], keeps_space
    if tag == "br":
        return ["\n"], keeps_space
    if tag == "hr":
        return [_PARAGRAPH, "---", _PARAGRAPH], keeps_space
    keeps_space = keeps_space or tag in _PREFORMATTED or _KEEPS_SPACE.search(style) is not None
    inner: list[LexborNode | str] = list(node.iter(include_text=True))
    if tag == "a":
        return [*inner, *_target(node, attributes.get("href") or "")], keeps_space
    if tag in _PARAGRAPHS:
        return [_PARAGRAPH, *inner, _PARAGRAPH], keeps_space
    if tag in {"td", "th"}:
        return [*inner, " "], keeps_space
    if tag in _LINES:
        return [_LINE, "- " if tag == "li" else "", *inner, _LINE], keeps_space
    return inner, keeps_space


def _target(node: LexborNode, href: str) -> list[str]:
    shown = _SPACE.sub(" ", node.text(deep=True)).strip()
    if not href.startswith(("http://", "https://", "mailto:")) or href in {shown, f"mailto:{shown}"}:
        return []
    return [f" ({href.removeprefix('mailto:')})"] if shown or node.first_child is not None else [href]
