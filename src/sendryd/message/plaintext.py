"""The text of an HTML document, for readers that show no HTML. Pure; linear, and without calling itself however deep the document is."""

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_DEPTH: Final = 500  # elements in one another; the parser's work grows with the square of it, and no mail has a tenth
MAX_TEXT: Final = 1_048_576  # characters: the contract's limit for a text
_SKIPPED: Final = frozenset({"script", "style", "head", "title", "template", "noscript", "svg", "-comment"})
_PARAGRAPHS: Final = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "section", "article"})
_LINES: Final = frozenset({"div", "tr", "li", "dt", "dd", "header", "footer", "address", "figure", "figcaption", "form", "center"})
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SPACE: Final = re.compile(r"[\s\u00a0]+")
_ANY_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)|<!--")
_WHOLE_TAG: Final = re.compile(r"<[^<>]*>")  # no tag within a tag: else a search from each of many that never end
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
_LINE, _PARAGRAPH = "\x00", "\x01"  # ends that several elements may ask for at one place; HTML cannot hold these characters
_ENDS: Final = re.compile(r"(?<! ) *[\x00\x01](?:[ \x00\x01])*")  # spaces are looked at once, from the first of them on
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def html_to_text(html: str) -> str:
    """Paragraphs, lists, rows and links as text. Never raises."""
    if _depth(html) > MAX_DEPTH:
        return _SPACE.sub(" ", _WHOLE_TAG.sub(" ", html)).strip()[:MAX_TEXT]
    root = LexborHTMLParser(html).root
    if root is None:
        return ""
    pieces: list[str] = []
    waiting: list[LexborNode | str] = [root]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            pieces.append(item)
        else:
            waiting += reversed(_open(item))
    text = _ENDS.sub(lambda ends: "\n\n" if _PARAGRAPH in ends[0] else "\n", "".join(pieces))
    return _EMPTY_LINES.sub("\n\n", text).strip()[:MAX_TEXT]


def _depth(html: str) -> int:
    """How deep the document is at most."""
    depth = deepest = 0
    for match in _ANY_TAG.finditer(html):
        if match[2] and match[2].lower() not in _VOID:
            depth = max(0, depth - 1) if match[1] else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _open(node: LexborNode) -> list[LexborNode | str]:
    """What stands for a node: texts, and nodes that are still to be opened."""
    tag = node.tag or ""
    if tag == "-text":
        return [_SPACE.sub(" ", (node.text_content or "").replace(_LINE, "").replace(_PARAGRAPH, ""))]
    attributes = node.attributes
    if tag in _SKIPPED or "hidden" in attributes or _HIDDEN.search(attributes.get("style") or ""):
        return []
    if tag == "img":
        return [attributes.get("alt") or ""]
    if tag == "br":
        return ["\n"]
    if tag == "hr":
        return [_PARAGRAPH, "---", _PARAGRAPH]
    inner: list[LexborNode | str] = list(node.iter(include_text=True))
    if tag == "a":
        return [*inner, *_target(node, attributes.get("href") or "")]
    if tag in _PARAGRAPHS:
        return [_PARAGRAPH, *inner, _PARAGRAPH]
    if tag in {"td", "th"}:
        return [*inner, " "]
    if tag in _LINES:
        return [_LINE, "- " if tag == "li" else "", *inner, _LINE]
    return inner


def _target(node: LexborNode, href: str) -> list[str]:
    shown = _SPACE.sub(" ", node.text(deep=True)).strip()
    if not href.startswith(("http://", "https://", "mailto:")) or href in {shown, f"mailto:{shown}"}:
        return []
    return [f" ({href.removeprefix('mailto:')})"] if shown or node.first_child is not None else [href]
