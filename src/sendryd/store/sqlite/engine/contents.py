"""`ContentStore` in the segment files of the spool. The database counts the messages that refer to each file."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statements import change, fetch_row, fetch_value
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sql.place import Place
from sendryd.store.sqlite.engine.queries import SQL
from sendryd.store.sqlite.engine.records import SEGMENT_HEADER, SegmentId
from sendryd.store.sqlite.engine.segments import Spool


class SpooledContents:
    """`ContentStore` in files. A file whose last content was dropped is removed by `Database.tidy`."""

    def __init__(self, segments: Spool) -> None:
        self._segments = segments

    def prepare(self, connection: SqliteConnection, /) -> bool:
        """Begin a new file if there is none, or if the present one is large enough or was removed.

        The database records the file in a commit of its own, before the file exists: a file that it does not know belongs to another database.
        """
        if not self._segments.must_begin():
            return False
        is_begun = False
        while not is_begun:
            numbers = set(self._segments.numbers())
            connection.execute("BEGIN IMMEDIATE")
            spool = fetch_row(connection, SQL["read_spool"])
            if spool is None:
                raise StoreUnavailable("the database has no spool")
            number = spool["last_segment"] + 1
            while number in numbers:  # a file of another installation, or of an earlier database
                number += 1
            identity = fetch_value(connection, SQL["add_segment"], number=number, octets=SEGMENT_HEADER)
            connection.execute("COMMIT")
            is_begun = self._segments.begin(SegmentId(number, spool["id"], identity))
        return True

    def put_many(self, connection: SqliteConnection, /, contents: Sequence[tuple[int, bytes]]) -> list[Place]:
        """Append the contents to the file, synced, and count them."""
        appended = self._segments.append(contents)
        segment = appended.segment
        change(connection, SQL["fill_segment"], number=segment.number, messages=len(contents), id=segment.id, octets=appended.end)
        return [
            Place(message_id, segment.number, segment.id, position, len(content))
            for (message_id, content), position in zip(contents, appended.positions, strict=True)
        ]

    def take_back(self, *, is_certain: bool) -> None:
        self._segments.roll_back(is_certain=is_certain)

    def read(self, place: Place) -> bytes:
        return self._segments.read(place)

    def read_range(self, place: Place, start: int, stop: int) -> Iterator[bytes]:
        return self._segments.read_range(place, start, stop)

    def drop(self, connection: Connection, /, places: Sequence[Place]) -> None:
        for number, count in Counter(place.segment for place in places).items():
            change(connection, SQL["leave_segment"], number=number, messages=count)
