"""The format of a segment file: a header, then records of a header and a content each.

The file's header has the random ids of the spool and of the segment, which the database knows: a file of another installation, or of an earlier
database, is recognised. A record's header has the message's id, the content's size, and a CRC-32 of the content. Segments of earlier versions have
neither header; the database has no id for them.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from sendryd.store.sql.place import Place

MAGIC: Final = b"\x89sendryd"  # no content begins like this: the first octet of a header block is at most 127
FORMAT: Final = 1
ID_LENGTH: Final = 16  # octets of the random ids
_SEGMENT: Final = struct.Struct(">8sIQ16s16sI")  # magic, format, number, spool's id, segment's id, CRC-32 of the fields before
_RECORD: Final = struct.Struct(">QQII")  # message's id, size, CRC-32 of the content, CRC-32 of the fields before
_RECORD_FRONT: Final = struct.Struct(">QQI")  # _RECORD without its last field
_CRC: Final = struct.Struct(">I")
SEGMENT_HEADER: Final = _SEGMENT.size
RECORD_HEADER: Final = _RECORD.size
# zlib releases the interpreter lock for more than 5 KiB, and the thread may wait milliseconds to get it back; 64 KiB take 30 microseconds.
UNLOCKED_PIECE: Final = 5 * 1024
PIECEWISE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class SegmentId:
    """The contents of a segment file's header."""

    number: int
    spool: bytes
    id: bytes


class Unreadable(Exception):
    """A content that is missing, or not the one that was stored. The text says why, with `it` for the file."""


def segment_header(segment: SegmentId) -> bytes:
    """The octets of a file's header."""
    front = _SEGMENT.pack(MAGIC, FORMAT, segment.number, segment.spool, segment.id, 0)[: -_CRC.size]
    return front + _CRC.pack(zlib.crc32(front))


def read_segment_header(front: bytes) -> SegmentId | None:
    """Parses a file's first octets; None for a file of a version without headers. Raises `Unreadable`."""
    if not front.startswith(MAGIC):
        return None
    if len(front) < SEGMENT_HEADER:
        raise Unreadable("its header is short")
    _, version, number, spool, identity, crc = _SEGMENT.unpack_from(front)
    if zlib.crc32(front[: SEGMENT_HEADER - _CRC.size]) != crc:
        raise Unreadable("its header is damaged")
    if version != FORMAT:
        raise Unreadable("it was written by a newer version of sendryd")
    return SegmentId(number, spool, identity)


def record_header(message_id: int, content: bytes) -> bytes:
    """The octets before a content."""
    front = _RECORD_FRONT.pack(message_id, len(content), checksum(content))
    return front + _CRC.pack(zlib.crc32(front))


def read_record_header(front: bytes, place: Place) -> int:
    """The content's checksum. Raises `Unreadable` if the header is not that of this message."""
    if len(front) < RECORD_HEADER:
        raise Unreadable("it is too short")
    message_id, size, content_crc, crc = _RECORD.unpack_from(front)
    if zlib.crc32(front[: RECORD_HEADER - _CRC.size]) != crc:
        raise Unreadable("the record is damaged")
    if (message_id, size) != (place.message_id, place.size):
        raise Unreadable("the record is that of another message")
    return int(content_crc)


def checksum(content: bytes | memoryview) -> int:
    """The CRC-32 of a content. Keeps the interpreter lock for a content of ordinary size."""
    if len(content) <= UNLOCKED_PIECE or len(content) > PIECEWISE:
        return zlib.crc32(content)
    view, crc = memoryview(content), 0
    for start in range(0, len(view), UNLOCKED_PIECE):
        crc = zlib.crc32(view[start : start + UNLOCKED_PIECE], crc)
    return crc
