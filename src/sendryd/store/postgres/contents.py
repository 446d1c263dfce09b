"""`ContentStore` in rows of the database."""

import secrets
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sendryd.store.codec.reading import Row
from sendryd.store.drivers.connection import Connection
from sendryd.store.errors import ContentDamaged
from sendryd.store.postgres.queries import SQL
from sendryd.store.sql.place import Place

PIECE: Final = 64 * 1024  # octets
READ: Final = 16 * PIECE  # octets that one statement reads: a megabyte takes milliseconds
_NUMBER_BITS: Final = 62

Looking = Callable[[Callable[[Connection], Any]], Any]


class RowContents:
    """`ContentStore`. A message has one content, or for a moment two: `segment` of a place is the number of the row."""

    def __init__(self, look: Looking) -> None:
        """`look` runs a look-up on a connection of the calling thread."""
        self._look = look

    def prepare(self, _connection: Connection, /) -> bool:
        """Nothing to prepare."""
        return False

    def put_many(self, connection: Connection, /, contents: Sequence[tuple[int, bytes]]) -> list[Place]:
        places = [Place(message_id, secrets.randbits(_NUMBER_BITS), None, 0, len(content)) for message_id, content in contents]
        rows = [
            {"message_id": place.message_id, "number": place.segment, "checksum": zlib.crc32(content), "data": content}
            for place, (_, content) in zip(places, contents, strict=True)
        ]
        connection.put(SQL["insert_content"], rows)
        return places

    def take_back(self, *, is_certain: bool) -> None:
        """Nothing to do: the server rolls the rows back."""

    def read(self, place: Place) -> bytes:
        row = self._row("read_content_row", _key(place))
        data: bytes = row["data"]
        _check(place, len(data), zlib.crc32(data), row["checksum"])
        return data

    def read_range(self, place: Place, start: int, stop: int) -> Iterator[bytes]:
        for data in self.read_parts(place, start, stop):
            for first in range(0, len(data), PIECE):
                yield data[first : first + PIECE]

    def read_parts(self, place: Place, start: int, stop: int) -> Iterator[bytes]:
        """What `read_range` reads, with the octets of one statement, at most `READ`, at once."""
        if not 0 <= start <= stop <= place.size:
            raise ValueError(f"octets {start} to {stop} are outside the content of {place.size} octets")
        position, found, checksum = start, 0, None
        while checksum is None or position < stop:
            values = {**_key(place), "first": position + 1, "size": min(READ, stop - position)}
            row = self._row("read_content_piece", values)
            data: bytes = row["data"]
            checksum = row["checksum"]
            _check(place, row["whole"], checksum, checksum)
            found = zlib.crc32(data, found)
            position += len(data)
            if data:
                yield data
        if stop - start == place.size:
            _check(place, place.size, found, checksum)

    def _row(self, name: str, values: Row) -> Row:
        row: Row | None = self._look(lambda connection: connection.row(SQL[name], values))
        if row is None:
            raise ContentDamaged("its row is missing")
        return row

    def drop(self, connection: Connection, /, places: Sequence[Place]) -> None:
        for place in places:
            connection.change(SQL["drop_content"], _key(place))


def _key(place: Place) -> dict[str, int]:
    return {"message_id": place.message_id, "number": place.segment}


def _check(place: Place, size: int, found: int, checksum: int) -> None:
    if size != place.size:
        raise ContentDamaged(f"it has {size} octets instead of {place.size}")
    if found != checksum:
        raise ContentDamaged("its checksum is wrong")
