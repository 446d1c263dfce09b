"""How many messages refer to each segment: with none its file can go."""

import apsw

from sendryd.store.sqlite.engine.queries import SQL
from sendryd.store.sqlite.engine.records import SegmentId
from sendryd.store.sqlite.engine.statements import change


def fill_segment(connection: apsw.Connection, segment: SegmentId, messages: int, end: int) -> None:
    """Counts messages whose contents have been appended to a segment; its last one ends at `end`."""
    change(connection, SQL["fill_segment"], number=segment.number, messages=messages, id=segment.id, octets=end)


def leave_segment(connection: apsw.Connection, number: int) -> None:
    """Counts one message less: it is deleted, or its content is in another segment now."""
    change(connection, SQL["leave_segment"], number=number)
