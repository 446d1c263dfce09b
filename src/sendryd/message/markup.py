"""Measures how costly an HTML document is for a tree parser: tags, depth, attributes of one tag. Pure; linear, and builds no tree.

Tree parsers take time quadratic in the depth, in the attributes of one tag, and in misnested tags, so these are counted before parsing. Tags are
recognised as in `message.links`. Markup in scripts and foreign elements can mislead the count. It keeps ordinary documents fast and hostile ones
rare; the limits of the parsing process (`runtime.fence`) hold for the rest.
"""

import re
from dataclasses import dataclass
from typing import Final

from sendryd.message.links import ATTRIBUTE, COMMENT_END, QUICK, RAW_ENDS

_TAG: Final = re.compile(rf"<(/?)([a-z][^\t\n\f\r />]*)({QUICK})?|<!--", re.IGNORECASE | re.ASCII)
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a document for a tree parser."""

    tags: int
    depth: int  # of nested elements
    attributes: int  # of one tag


def is_within(html: str, limits: Limits) -> bool:
    """Whether a document is within the limits. Stops at the first excess."""
    tags = depth = position = 0
    while found := _TAG.search(html, position):
        position = found.end()
        name = found[2]
        if name is None:
            closing = COMMENT_END.search(html, found.start() + 2)
            if closing is None:
                break
            position = closing.end()
            continue
        tags += 1
        quick = found[3]
        if quick is None or len(quick) > 2 * limits.attributes:  # each takes two characters at least
            attributes, position = _count_attributes(html, found.end(2), limits.attributes)
            if attributes > limits.attributes:
                return False
        name = name.lower()
        if name not in _VOID:
            depth = max(0, depth - 1) if found[1] else depth + 1
        if tags > limits.tags or depth > limits.depth:
            return False
        if name in RAW_ENDS and not found[1]:
            ending = RAW_ENDS[name].search(html, position)
            if ending is None:
                break
            position = ending.start()
    return True


def _count_attributes(html: str, position: int, most: int) -> tuple[int, int]:
    """The number of attributes of a tag, up to one more than the limit, and the end of the tag."""
    count = 0
    while count <= most and (found := ATTRIBUTE.match(html, position)):
        position = found.end()
        if found["end"]:
            break
        count += 1
        if found["closed"] == "" or found["shut"] == "":
            break
    return count, position
