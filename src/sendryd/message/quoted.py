"""Writes quoted-printable and base64 (RFC 2045 §6.7, §6.8), decodes quoted-printable, and repairs it."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

MAX_LINE: Final = 998  # octets without CRLF: RFC 5322 §2.1.1
QP_LINE: Final = 76  # RFC 2045 §6.7
BASE64_LINE: Final = 57  # octets that make 76 letters
SLICE: Final = 64 * 1024  # octets decoded by one call, which blocks all other threads
_PRINTABLE: Final = frozenset(range(33, 127)) - {ord("=")} | {ord(" "), ord("\t")}
_QUOTED: Final = tuple(bytes([octet]) if octet in _PRINTABLE else b"=%02X" % octet for octet in range(256))
_SOFT_BREAK: Final = re.compile(rb"=[ \t]{0,80}\Z")
MAX_SOFT_BREAK: Final = 81  # octets of that
_BARE_EQUALS: Final = re.compile(rb"=(?![0-9A-Fa-f]{2})")
_MENDED: Final = tuple(bytes([octet]) if octet < 128 else b"=%02X" % octet for octet in range(256))


def base64_lines(data: bytes) -> bytes:
    """Base64 on lines of 76 letters."""
    return b"".join(base64.b64encode(data[start : start + BASE64_LINE]) + b"\r\n" for start in range(0, len(data), BASE64_LINE))


def quoted_printable(body: bytes) -> bytes:
    """Quoted-printable of a text with CRLF line ends, which stay line ends (RFC 2045 §6.7)."""
    pieces: list[bytes] = []
    start = 0
    while len(body) - start > SLICE:
        end = body.rfind(b"\r\n", start, start + SLICE)
        end = end if end >= 0 else body.find(b"\r\n", start + SLICE - 1)
        if end < 0:
            break
        pieces.append(_quote_lines(body[start:end]))
        start = end + len(b"\r\n")
    pieces.append(_quote_lines(body[start:]))
    return b"\r\n".join(pieces)


def _quote_lines(body: bytes) -> bytes:
    ends = body.count(b"\r\n")
    # Otherwise the fast way would mistake other line ends, or block other threads.
    if len(body) <= SLICE and body.count(b"\n") == ends and body.count(b"\r") == ends:
        quoted = binascii.b2a_qp(body + b"\r\n")[:-2]  # with a CRLF in it, its soft line breaks have one too
        if max(map(len, quoted.split(b"\r\n"))) <= QP_LINE:  # a space at the end of a line can make it longer by one
            return quoted
    return b"\r\n".join(_quote_line(line) for line in body.split(b"\r\n"))


def _quote_line(line: bytes) -> bytes:
    words = b"".join(b"".join([_QUOTED[octet] for octet in line[start : start + SLICE]]) for start in range(0, len(line), SLICE))
    if line[-1:] in {b" ", b"\t"}:
        words = words[:-1] + b"=%02X" % line[-1]  # white space at the end of a line would be lost on the way
    return _fold(words)


def _fold(words: bytes) -> bytes:
    """A quoted line on lines of 76 letters, with soft line breaks that split no quoted octet."""
    lines: list[bytes] = []
    position = 0
    while len(words) - position > QP_LINE - 1:
        cut = position + QP_LINE - 1
        equals = words.rfind(b"=", cut - 2, cut)
        cut = equals if equals >= 0 else cut
        lines.append(words[position:cut] + b"=")
        position = cut
    lines.append(words[position:])
    return b"\r\n".join(lines)


def decode_quoted(content: bytes, start: int, end: int, *, size: int = SLICE) -> Iterator[bytes]:
    """Decodes quoted-printable, in slices of about `size` octets. White space at the end of a line does not belong to the text (RFC 2045 §6.7 (3))."""
    while start < end:
        cut = end if end - start <= size else content.rfind(b"\n", start, start + size) + 1
        if cut:
            yield binascii.a2b_qp(_without_padding(content[start:cut]))
        else:
            cut = content.find(b"\n", start, end) + 1 or end
            yield from _decode_long_line(_without_padding(content[start:cut]), size)
        start = cut


def _without_padding(lines: bytes) -> bytes:
    if b" \r\n" in lines or b"\t\r\n" in lines:
        return b"\r\n".join([line.rstrip(b" \t") for line in lines.split(b"\r\n")])
    return lines.rstrip(b" \t")


def _decode_long_line(line: bytes, size: int) -> Iterator[bytes]:
    for start, cut in _cut_between_words(line, size):
        yield binascii.a2b_qp(line[start:cut])


def _cut_between_words(line: bytes, size: int) -> Iterator[tuple[int, int]]:
    """The bounds of the slices of a line."""
    position = 0
    while position < len(line):
        cut = min(position + size, len(line))
        if cut < len(line):
            # An equals sign stays in one slice with its two digits, the line end, or further equals signs.
            equals = line.rfind(b"=", cut - 2, cut)
            while equals > position and line[equals - 1] == ord("="):
                equals -= 1
            cut = equals if equals > position else cut
        yield position, cut
        position = cut


def mend_quoted(body: bytes) -> bytes:
    """Repairs quoted-printable with raw 8-bit octets or long lines: 7-bit, within 998 octets, with the same decoded octets."""
    return b"\r\n".join(line if len(line) <= MAX_LINE and line.isascii() else _mend_line(line) for line in body.split(b"\r\n"))


def _mend_line(line: bytes) -> bytes:
    end = _SOFT_BREAK.search(line, max(0, len(line) - MAX_SOFT_BREAK))
    text = line[: end.start()] if end else line
    pieces: list[bytes] = []
    for start, cut in _cut_between_words(text, SLICE):
        piece = _BARE_EQUALS.sub(b"=3D", text[start:cut])
        pieces.append(piece if piece.isascii() else b"".join([_MENDED[octet] for octet in piece]))
    return _fold(b"".join(pieces)) + (b"=" if end else b"")
