"""Other transfer encodings for parts that cannot go as they came: lines over 998 octets, and 8-bit content for a receiver without 8BITMIME.

Only such parts are touched; what decodes out of them is what went in. What is signed or encrypted cannot be touched (RFC 1847 §2.1).
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.parse import MAX_DEPTH, MAX_PARTS, Part, walk

MAX_LINE: Final = 998  # octets without CRLF: RFC 5322 §2.1.1
QP_LINE: Final = 76  # RFC 2045 §6.7
BASE64_LINE: Final = 57  # octets that make 76 letters
_LONG: Final = re.compile(rb"[^\n]{%d}" % (MAX_LINE + 2))
_ENCODING_FIELD: Final = re.compile(rb"(?im)^content-transfer-encoding:[^\r]*(?:\r\n[ \t][^\r]*)*\r\n")
_PRINTABLE: Final = frozenset(range(33, 127)) - {ord("=")} | {ord(" "), ord("\t")}
_QUOTED: Final = tuple(bytes([octet]) if octet in _PRINTABLE else b"=%02X" % octet for octet in range(256))


def shorten_lines(content: bytes) -> bytes:
    """The message with no line over 998 octets. Raises `MalformedMessage` if that would touch something signed."""
    mended = _reencode(content, is_too_long, "a signed or encrypted part has a line over 998 octets; sign it after wrapping its lines")
    if is_too_long(mended):
        raise MalformedMessage("a line outside of any part is longer than 998 octets")
    return mended


def to_7bit(content: bytes) -> bytes:
    """The message with a 7-bit body. Raises `MalformedMessage` if that would touch something signed."""
    return _reencode(content, lambda body: not body.isascii(), "a signed or encrypted part is 8-bit and cannot be converted")


def is_too_long(body: bytes) -> bool:
    """Whether a line has more than 998 octets."""
    position, length = 0, len(body)
    while length - position > MAX_LINE:
        end = body.rfind(b"\n", position, position + MAX_LINE + 2)
        if end < 0:
            return True
        position = end + 1
    return False


def _reencode(content: bytes, is_bad: Callable[[bytes], bool], reason: str) -> bytes:
    headers = HeaderBlock.parse(content)
    parts = walk(content, headers)
    pieces: list[bytes] = []
    position = 0
    for part in parts:
        if part.is_multipart and any(other.header_start >= part.body_start for other in parts if other is not part):
            header = content[part.header_start : part.body_start]
            if part.encoding in {"8bit", "binary"} and not part.is_protected:
                pieces += [content[position : part.header_start], with_encoding(header, b"7bit")]
                position = part.body_start
            continue
        body = content[part.body_start : part.body_end]
        if not is_bad(body):
            continue
        if (len(parts) == MAX_PARTS and part is parts[-1]) or (
            part.is_multipart and part.depth == MAX_DEPTH
        ):  # the rest of them lies in it
            raise MalformedMessage(
                f"it has {MAX_PARTS} parts or more, or parts nested over {MAX_DEPTH} deep, and one that must be converted"
            )
        if part.is_protected or part.encoding not in {"7bit", "8bit", "binary", ""}:
            body = _rewrap(part, body, reason)
            pieces += [content[position : part.body_start], body]
        else:
            header = content[part.header_start : part.body_start]
            encoded, name = _encode(part, body)
            pieces += [content[position : part.header_start], with_encoding(header, name, is_top=part.depth == 0), encoded]
        position = part.body_end
    pieces.append(content[position:])
    return b"".join(pieces)


def _rewrap(part: Part, body: bytes, reason: str) -> bytes:
    """A body that is encoded already, but badly: base64 on one long line is only wrapped."""
    if not part.is_protected and part.encoding == "base64" and body.isascii():
        letters = b"".join(body.split())
        return b"\r\n".join(letters[start : start + QP_LINE] for start in range(0, len(letters), QP_LINE)) + b"\r\n"
    raise MalformedMessage(reason)


def _encode(part: Part, body: bytes) -> tuple[bytes, bytes]:
    """Quoted-printable for text that stays mostly readable, base64 for the rest."""
    is_text = part.content_type.startswith(("text/", "message/"))
    if is_text and sum(body.count(octet) for octet in (b"\0", b"\x1b")) == 0:
        quoted = quoted_printable(body)
        if len(quoted) < len(body) * 4 // 3 + 4 * QP_LINE:
            return quoted, b"quoted-printable"
    return base64_lines(body), b"base64"


def base64_lines(data: bytes) -> bytes:
    """Base64 on lines of 76 letters."""
    return b"".join(base64.b64encode(data[start : start + BASE64_LINE]) + b"\r\n" for start in range(0, len(data), BASE64_LINE))


def quoted_printable(body: bytes) -> bytes:
    """Quoted-printable of a text with CRLF line ends, which stay line ends (RFC 2045 §6.7)."""
    ends = body.count(b"\r\n")
    if body.count(b"\n") == ends and body.count(b"\r") == ends:  # else the fast way would take other line ends for such, or leave them
        quoted = binascii.b2a_qp(body + b"\r\n")[:-2]  # with a CRLF in it, its soft line breaks have one too
        if max(map(len, quoted.split(b"\r\n"))) <= QP_LINE:  # a space at the end of a line can make it longer by one
            return quoted
    return b"\r\n".join(_quote_line(line) for line in body.split(b"\r\n"))


def _quote_line(line: bytes) -> bytes:
    lines: list[bytes] = []
    current: list[bytes] = []
    length = 0
    last = len(line) - 1
    for position, octet in enumerate(line):
        word = _QUOTED[octet]
        if position == last and octet in b" \t":
            word = b"=%02X" % octet  # white space at the end of a line would be lost on the way
        if length + len(word) > QP_LINE - 1:
            lines.append(b"".join(current) + b"=")
            current, length = [], 0
        current.append(word)
        length += len(word)
    lines.append(b"".join(current))
    return b"\r\n".join(lines)


def with_encoding(header: bytes, name: bytes, *, is_top: bool = False) -> bytes:
    """A header block, with the empty line behind it, that declares another Content-Transfer-Encoding."""
    field = b"Content-Transfer-Encoding: " + name + b"\r\n"
    block, blank = (header[:-2], header[-2:]) if header.endswith(b"\r\n") else (header, b"\r\n")
    if _ENCODING_FIELD.search(block):
        block = _ENCODING_FIELD.sub(lambda _: field, block, count=1)
    else:
        block += field
    if is_top and not re.search(rb"(?im)^mime-version:", block):
        block += b"MIME-Version: 1.0\r\n"
    return block + blank
