"""Converts content that cannot be sent unchanged: lines over 998 octets, and 8-bit content for a receiver without 8BITMIME.

Only the necessary parts are changed. Multiparts and attached messages are never encoded themselves; their parts are (RFC 2045 §6.4, RFC 2046
§5.2.1). Signed and encrypted parts cannot be changed (RFC 1847 §2.1). The result is checked: 7-bit, lines within 998 octets, the same leaf
contents. Linear in the size of the message.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from sendryd.message.asciiheader import to_ascii_header
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.parse import IDENTITIES, MAX_DEPTH, MAX_PARTS, Part, decode_body, walk
from sendryd.message.partheader import HeaderChange, guess_charset, rewrite_header
from sendryd.message.quoted import MAX_LINE, QP_LINE, base64_lines, mend_quoted, quoted_printable

_WRAPPED: Final = 900  # octets of a piece of a line that is cut where no reader shows it: under 998 with room for a space


def shorten_lines(content: bytes) -> bytes:
    """The message with no line over 998 octets. Raises `MalformedMessage` with the reason if that is impossible."""
    return _convert(content, _Limits(is_7bit=False))


def to_7bit(content: bytes) -> bytes:
    """The message in 7 bits, header and body. Raises `MalformedMessage` with the reason if that is impossible."""
    if content.isascii():
        return content
    return _convert(to_ascii_header(content, HeaderBlock.parse(content)), _Limits(is_7bit=True))


def is_too_long(body: bytes) -> bool:
    """Whether a line has more than 998 octets."""
    position, length = 0, len(body)
    while length - position > MAX_LINE:
        end = body.rfind(b"\n", position, position + MAX_LINE + 2)
        if end < 0:
            return True
        position = end + 1
    return False


def with_encoding(header: bytes, part: Part, name: bytes, *, charset: str | None = None, is_top: bool = False) -> bytes:
    """A header block, with the empty line after it, that declares another Content-Transfer-Encoding. Raises `MalformedMessage`."""
    return rewrite_header(header, part, HeaderChange(encoding=name, charset=charset, is_top=is_top), lambda _: False)


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits of the result."""

    is_7bit: bool

    def is_bad(self, data: bytes) -> bool:
        """Whether these octets exceed the limits."""
        return (self.is_7bit and not data.isascii()) or is_too_long(data)

    def explain(self, data: bytes) -> str:
        """The fault of these octets, as a clause."""
        return "has 8-bit octets" if self.is_7bit and not data.isascii() else f"has a line over {MAX_LINE} octets"


def _convert(content: bytes, limits: _Limits) -> bytes:
    parts = walk(content, opens_messages=True)
    converted = _Conversion(content, parts, limits).result()
    _check(content, parts, converted, limits)
    return converted


def _check(content: bytes, parts: list[Part], converted: bytes, limits: _Limits) -> None:
    """Raises `MalformedMessage` unless the result keeps to the limits and has the same structure and leaf contents."""
    if limits.is_bad(converted):
        raise MalformedMessage(f"the converted message still {limits.explain(converted)}")
    after = walk(converted, opens_messages=True)
    if _outline(content, parts) != _outline(converted, after):
        raise MalformedMessage("a conversion would change its contents; send it in 7 bits, with lines of at most 998 octets")


def _outline(content: bytes, parts: list[Part]) -> list[tuple[int, str, bytes]]:
    return [
        (
            part.depth,
            part.content_type,
            b"" if _has_children(parts, index) else hashlib.blake2b(decode_body(content, part), digest_size=16).digest(),
        )
        for index, part in enumerate(parts)
    ]


def _has_children(parts: list[Part], index: int) -> bool:
    return index + 1 < len(parts) and parts[index + 1].depth > parts[index].depth


class _Conversion:
    """One pass over the parts of a message."""

    def __init__(self, content: bytes, parts: list[Part], limits: _Limits) -> None:
        self._content = content
        self._parts = parts
        self._limits = limits
        self._pieces: list[bytes] = []
        self._position = 0

    def result(self) -> bytes:
        """The converted message. Raises `MalformedMessage`."""
        for index, part in enumerate(self._parts):
            self._take_gap(part.header_start, part)
            header = self._content[part.header_start : part.body_start]
            is_top = part.depth == 0 or self._parts[index - 1].is_open_message
            self._position = part.body_start
            if _has_children(self._parts, index):
                self._take_container(part, header)
            else:
                self._take_leaf(part, header, is_top=is_top)
        self._take_gap(len(self._content), self._parts[-1])
        return b"".join(self._pieces)

    def _take_container(self, part: Part, header: bytes) -> None:
        """The header of a multipart or an attached message, which is 7-bit when its parts are."""
        if part.is_protected:
            self._refuse_if_bad(header, "the header of a signed or encrypted part")
            self._pieces.append(header)
            return
        if self._limits.is_7bit and not part.parameters.get("boundary", "").isascii():
            raise MalformedMessage("a multipart has 8-bit octets in its boundary; use letters and digits")
        encoding = b"7bit" if self._limits.is_7bit and part.encoding not in {"7bit", ""} else None
        self._pieces.append(rewrite_header(header, part, HeaderChange(encoding=encoding, is_container=True), self._limits.is_bad))

    def _take_leaf(self, part: Part, header: bytes, *, is_top: bool) -> None:
        body = self._content[part.body_start : part.body_end]
        self._position = part.body_end
        change = HeaderChange()
        if self._limits.is_bad(body):
            self._check_convertible(part, body)
            body, change = self._encode(part, body)
            change = replace(change, is_top=is_top)
        if part.is_protected:
            self._refuse_if_bad(header, "the header of a signed or encrypted part")
        else:
            header = rewrite_header(header, part, change, self._limits.is_bad)
        self._pieces += (header, body)

    def _refuse_if_bad(self, data: bytes, thing: str) -> None:
        if self._limits.is_bad(data):
            raise MalformedMessage(f"{thing} {self._limits.explain(data)}; change it before signing")

    def _check_convertible(self, part: Part, body: bytes) -> None:
        if part.is_protected:
            what = "is 8-bit" if self._limits.is_7bit and not body.isascii() else f"has a line over {MAX_LINE} octets"
            raise MalformedMessage(f"a signed or encrypted part {what} and cannot be converted; encode it before signing")
        if (len(self._parts) == MAX_PARTS and part is self._parts[-1]) or (part.depth == MAX_DEPTH and part.is_multipart):
            raise MalformedMessage(
                f"it has {MAX_PARTS} parts or more, or parts nested over {MAX_DEPTH} deep, and one that must be converted"
            )
        what = self._limits.explain(body)
        if part.is_multipart:
            raise MalformedMessage(
                f"a multipart {what}, and its parts cannot be found: name the boundary that separates them in its Content-Type"
            )
        if part.content_type.startswith("message/"):
            raise MalformedMessage(f"a part of type {part.content_type} {what}, and its type allows no encoding")
        if part.encoding not in {*IDENTITIES, "quoted-printable", "base64"}:
            raise MalformedMessage(f"a part {what}, and its transfer encoding {part.encoding[:40]} is not known")
        if part.encoding == "base64" and not body.isascii():
            raise MalformedMessage("a part says that it is base64 and has 8-bit octets")

    def _encode(self, part: Part, body: bytes) -> tuple[bytes, HeaderChange]:
        if part.encoding == "base64":
            letters = b"".join(body.split())
            lines = b"\r\n".join(letters[start : start + QP_LINE] for start in range(0, len(letters), QP_LINE))
            return lines + b"\r\n", HeaderChange(encoding=b"base64")
        charset = guess_charset(part, body)
        if part.encoding == "quoted-printable":
            return mend_quoted(body), HeaderChange(encoding=b"quoted-printable", charset=charset)
        if part.content_type.startswith("text/") and b"\0" not in body and b"\x1b" not in body:
            quoted = quoted_printable(body)  # text stays mostly readable
            if len(quoted) < len(body) * 4 // 3 + 4 * QP_LINE:
                return quoted, HeaderChange(encoding=b"quoted-printable", charset=charset)
        return base64_lines(body), HeaderChange(encoding=b"base64", charset=charset)

    def _take_gap(self, end: int, neighbour: Part) -> None:
        """Preambles, delimiter lines and epilogues. Readers show none of that text."""
        gap = self._content[self._position : end]
        if self._limits.is_bad(gap):
            if neighbour.is_protected:
                self._refuse_if_bad(gap, "the text around a signed or encrypted part")
            gap = b"\r\n".join(self._mend_line(line) if self._limits.is_bad(line) else line for line in gap.split(b"\r\n"))
        self._pieces.append(gap)

    def _mend_line(self, line: bytes) -> bytes:
        if line.startswith(b"--") and len(line.rstrip(b" \t")) <= MAX_LINE:
            line = line.rstrip(b" \t")  # a delimiter may have white space after it
        if self._limits.is_7bit and not line.isascii():
            line = line.decode("ascii", "replace").replace("\ufffd", "?").encode("ascii")
        if len(line) <= MAX_LINE:
            return line
        pieces = [line[start : start + _WRAPPED] for start in range(0, len(line), _WRAPPED)]
        return b"\r\n".join(b" " + piece if number and piece.startswith(b"--") else piece for number, piece in enumerate(pieces))
