"""The header block: an ordered list of raw fields, with the received bytes (RFC 5322 §2.2).

One pass by a compiled pattern; nothing is decoded. The content must have CRLF line ends only; the receiver converts others.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Self

from sendryd.message.errors import MalformedMessage
from sendryd.valuetype import valuetype

MAX_LINE: Final = 998  # octets without CRLF: RFC 5322 §2.1.1
MAX_BLOCK: Final = 1024 * 1024  # octets; ten times what Postfix keeps of a header
MAX_FIELDS: Final = 2000  # real messages have under a hundred; the work per message grows with it
# A stored header has a dozen fields more than its client sent. Encoded words take up to five times the octets of UTF-8.
MAX_KEPT_BLOCK: Final = 8 * MAX_BLOCK
MAX_KEPT_FIELDS: Final = MAX_FIELDS + 100
MAX_FOLDS: Final = 100_000  # lines of one field after its first: each takes 165 octets of memory while the field is matched

# A field: a name without space or colon, then everything up to a line end that is not followed by white space. Where there is none, one
# octet is matched, so that a search never goes on from octet to octet of a line that is no field: that takes seconds for a hostile block.
_FIELD: Final = re.compile(rb"([!-9;-~]+):([^\r]*(?:\r\n[ \t][^\r]*){0,%d})\r\n|." % MAX_FOLDS, re.DOTALL)
_ALLOWED: Final = bytes(octet for octet in range(256) if octet in b"\t\n\r" or (octet >= 0x20 and octet != 0x7F))  # no control characters
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")


class HeaderField(NamedTuple):
    """One field by its position in the content."""

    name: bytes  # lower case
    start: int
    value_start: int  # after the colon
    end: int  # after the final CRLF


# As `HeaderField(…)`, whose call is a Python function; this one is not, and there are some ten fields in each message.
_make_field: Final[Callable[[tuple[bytes, int, int, int]], HeaderField]] = partial(tuple.__new__, HeaderField)


@valuetype(frozen=True, slots=True)
class HeaderBlock:
    """All fields in order. `body_offset` is after the empty line that ends the block, or the end of a content that has none."""

    content: bytes
    fields: tuple[HeaderField, ...]
    by_name: dict[bytes, list[HeaderField]]
    end: int  # after the last field
    body_offset: int
    has_8bit: bool

    @classmethod
    def parse_new(cls, content: bytes) -> Self:
        """Reads the block at the start of a content that a client or a stranger sends. Raises `MalformedMessage`. Linear in the size of the block."""
        return cls._parse(content, MAX_BLOCK, MAX_FIELDS)

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """The same for a content that was taken: there is room for what this program adds to a header, so what it took can be sent."""
        return cls._parse(content, MAX_KEPT_BLOCK, MAX_KEPT_FIELDS)

    @classmethod
    def _parse(cls, content: bytes, max_block: int, max_fields: int) -> Self:
        end, body_offset = _find_end(content, max_block)
        block = content[:end]
        has_8bit = not block.isascii()
        if block.translate(None, _ALLOWED):  # what is left of it; a search by a pattern takes ten times as long
            raise MalformedMessage("a header line has a control character; encode it or leave it out")
        _check_lines(block)
        fields, by_name = _collect(block, max_fields)
        return cls(content, fields, by_name, end, body_offset, has_8bit)

    @classmethod
    def parse_part(cls, block: bytes) -> Self:
        """The header block of a part, without checks: it ends at the first line that is no field. Never raises for long lines."""
        fields, by_name = _collect(block, MAX_KEPT_FIELDS)
        return cls(block, fields, by_name, len(block), len(block), has_8bit=not block.isascii())

    def raw(self, field: HeaderField) -> bytes:
        """A field as received, with its name and final CRLF."""
        return self.content[field.start : field.end]

    def value(self, field: HeaderField) -> bytes:
        """The unfolded value of a field, without white space around it."""
        value = self.content[field.value_start : field.end].strip(b" \t\r\n")
        return _FOLD.sub(b"", value) if b"\r\n" in value else value

    def get(self, name: bytes) -> bytes | None:
        """The unfolded value of the first field of this lower-case name."""
        fields = self.by_name.get(name)
        return self.value(fields[0]) if fields else None

    def all(self, name: bytes) -> list[bytes]:
        """The unfolded values of all fields of this lower-case name."""
        return [self.value(field) for field in self.by_name.get(name, ())]

    def count(self, name: bytes) -> int:
        """Number of fields with this lower-case name."""
        return len(self.by_name.get(name, ()))


def _collect(block: bytes, max_fields: int) -> tuple[tuple[HeaderField, ...], dict[bytes, list[HeaderField]]]:
    fields: list[HeaderField] = []
    by_name: dict[bytes, list[HeaderField]] = {}
    position = 0
    for match in _FIELD.finditer(block):
        name = match[1]
        if name is None:
            raise MalformedMessage(_explain(block, position), position)
        if len(fields) == max_fields:
            raise MalformedMessage(f"it has more than {max_fields} header fields")
        name = name.lower()
        start, position = match.span()
        field = _make_field((name, start, match.start(2), position))
        fields.append(field)
        if name in by_name:
            by_name[name].append(field)
        else:
            by_name[name] = [field]
    return tuple(fields), by_name


def _find_end(content: bytes, max_block: int) -> tuple[int, int]:
    """The end of the last field, and the start of the body."""
    if content.startswith(b"\r\n"):
        return 0, 2
    blank = content.find(b"\r\n\r\n", 0, max_block + 4)
    if blank >= 0:
        return blank + 2, blank + 4
    if len(content) > max_block:
        raise MalformedMessage(f"the header block is larger than {max_block // MAX_BLOCK} MiB; put an empty line behind the header")
    if content and not content.endswith(b"\r\n"):
        raise MalformedMessage("the last header line does not end with CR LF")
    return len(content), len(content)


def _check_lines(block: bytes) -> None:
    position, length = 0, len(block)
    while length - position > MAX_LINE:
        end = block.rfind(b"\n", position, position + MAX_LINE + 2)
        if end < 0:
            raise MalformedMessage(f"a header line is longer than {MAX_LINE} octets; fold it", position)
        position = end + 1


def _explain(block: bytes, position: int) -> str:
    line = block[position : block.find(b"\r\n", position)]
    if line[:1] in (b" ", b"\t"):
        return "the header begins with a folded line"
    name = line.partition(b":")[0]
    if block.count(b"\r\n ", position) + block.count(b"\r\n\t", position) > MAX_FOLDS:
        return f"a header field has more than {MAX_FOLDS:,} lines; make them longer"
    if b":" not in line:
        return "a header line has no colon; put an empty line between header and body"
    if not name or not name.isascii():
        return "a header field has a name with characters that must not be in it"
    return "a header field has white space in its name or before its colon"
