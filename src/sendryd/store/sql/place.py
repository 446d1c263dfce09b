"""Where a content is."""

from sendryd.store.codec.reading import Row
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True)
class Place:
    """The position of a content and which one it is, as the database stores it: in a segment file of the spool, or a row of a server."""

    message_id: int
    segment: int  # the number of the file, or of the row
    segment_id: bytes | None  # None: a row, or a file of a version without ids and checksums
    position: int  # of the content's first octet
    size: int


def place_of(message_id: int, row: Row) -> Place:
    """The place of a message's content, from the columns `segment`, `segment_id`, `position` and `size`."""
    return Place(message_id, row["segment"], row["segment_id"], row["position"], row["size"])
