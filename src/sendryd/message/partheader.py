"""Rewrites the header block of a part whose body is converted: transfer encoding, type, charset, and lines that must be encoded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sendryd.message.asciiheader import encode_field
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.parameters import is_plain_type, write_field
from sendryd.message.parse import Part

_ENCODING: Final = b"content-transfer-encoding"
_TYPE: Final = b"content-type"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChange:
    """The changes in a header that a converted body needs."""

    encoding: bytes | None = None  # None: unchanged
    charset: str | None = None  # to declare; None: unchanged
    is_container: bool = False  # its parts were found, and its type must let every reader find them
    is_top: bool = False  # the header of the message, which then needs MIME-Version


def guess_charset(part: Part, body: bytes) -> str | None:
    """The charset to declare for undeclared 8-bit text; None if nothing needs declaring."""
    if body.isascii() or not part.content_type.startswith("text/") or part.parameters.get("charset"):
        return None
    for charset in ("utf-8", "windows-1252"):
        try:
            body.decode(charset)
        except UnicodeDecodeError:
            continue
        return charset
    return "unknown-8bit"  # RFC 1428


def rewrite_header(header: bytes, part: Part, change: HeaderChange, is_bad: Callable[[bytes], bool]) -> bytes:
    """The changed header, with the empty line after it, and with each invalid field rewritten.

    Raises `MalformedMessage` if that is impossible: readers disagree about the header, or a line cannot be folded.
    """
    is_changed = change.encoding is not None or change.charset is not None
    block = header[:-2] if header.endswith(b"\r\n\r\n") or header == b"\r\n" else header
    fields = HeaderBlock.parse_part(block)
    types = fields.all(_TYPE)
    if not is_changed and not is_bad(block) and not (change.is_container and part.is_multipart and types and not is_plain_type(types[0])):
        return header
    if not part.is_header_clean:
        raise MalformedMessage("the header of a part has a line that is no header field; put an empty line behind that header")
    if len(types) > 1:
        raise MalformedMessage("a part that must be converted has several Content-Type fields; send one")
    pieces = [_rewrite(fields, part, change, is_bad, index) for index in range(len(fields.fields))]
    if change.charset is not None and not types:
        pieces.append(b"Content-Type: " + part.content_type.encode("ascii") + b"; charset=" + change.charset.encode("ascii") + b"\r\n")
    if change.encoding is not None and not fields.count(_ENCODING):
        pieces.append(b"Content-Transfer-Encoding: " + change.encoding + b"\r\n")
    if is_changed and change.is_top and not fields.count(b"mime-version"):
        pieces.append(b"MIME-Version: 1.0\r\n")
    return b"".join([*pieces, b"\r\n"])


def _rewrite(fields: HeaderBlock, part: Part, change: HeaderChange, is_bad: Callable[[bytes], bool], index: int) -> bytes:
    field = fields.fields[index]
    raw = fields.raw(field)
    if field.name == _TYPE:
        if change.charset is not None:
            return write_field(b"Content-Type", part.content_type, {**part.parameters, "charset": change.charset})
        if change.is_container and part.is_multipart and not is_plain_type(fields.value(field)):
            return write_field(b"Content-Type", part.content_type, part.parameters)
    if field.name == _ENCODING and change.encoding is not None:
        is_first = fields.by_name[_ENCODING][0] is field
        return b"Content-Transfer-Encoding: " + change.encoding + b"\r\n" if is_first else b""
    return encode_field(fields, field) if is_bad(raw) else raw
