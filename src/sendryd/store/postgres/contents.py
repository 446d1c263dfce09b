"""`ContentStore` in rows of the database."""

import secrets
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from sendryd.store.drivers.connection import Connection
from sendryd.store.errors import ContentDamaged
from sendryd.store.postgres.queries import SQL
from sendryd.store.sql.place import Place

PIECE: Final = 64 * 1024  # octets
READ: Final = 16 * PIECE  # octets that one statement reads: a megabyte takes milliseconds
_NUMBER_BITS: Final = 62


class RowContents:
    """Contents as rows. A message has one, or for a moment two: `segment` of a place is the number of the row."""

    def prepare(self, _connection: Connection, /) -> bool:
        """Nothing to prepare."""
        return False

    def put_many(self, connection: Connection, /, contents: Sequence[tuple[int, bytes]]) -> list[Place]:
        """Insert the contents."""
        places = [Place(message_id, secrets.randbits(_NUMBER_BITS), None, 0, len(content)) for message_id, content in contents]
        rows = [
            {"message_id": place.message_id, "number": place.segment, "checksum": zlib.crc32(content), "data": content}
            for place, (_, content) in zip(places, contents, strict=True)
        ]
        connection.put(SQL["insert_content"], rows)
        return places

    def take_back(self, *, is_certain: bool) -> None:
        """Nothing to do: the transaction has not stored them."""

    def read(self, connection: Connection, place: Place) -> bytes:
        """A whole content. Raises `ContentDamaged`."""
        row = connection.row(SQL["read_content_row"], {"message_id": place.message_id, "number": place.segment})
        if row is None:
            raise ContentDamaged("its row is missing")
        _check(place, zlib.crc32(row["data"]), len(row["data"]), row["checksum"])
        return bytes(row["data"])

    def read_piece(self, place: Place, start: int, connection: Connection) -> tuple[bytes, int]:
        """Up to `READ` octets from `start` on, and the checksum of the whole content."""
        values = {"message_id": place.message_id, "number": place.segment, "first": start + 1, "size": READ}
        row = connection.row(SQL["read_content_piece"], values)
        if row is None:
            raise ContentDamaged("its row is missing")
        return bytes(row["data"]), row["checksum"]

    def drop(self, connection: Connection, /, places: Sequence[Place]) -> None:
        """Delete the rows."""
        for place in places:
            connection.change(SQL["drop_content"], {"message_id": place.message_id, "number": place.segment})


def check_pieces(place: Place, pieces: Iterator[bytes], checksum: int) -> None:
    """Raises `ContentDamaged` unless the pieces are the content of this place."""
    size, found = 0, 0
    for piece in pieces:
        size, found = size + len(piece), zlib.crc32(piece, found)
    _check(place, found, size, checksum)


def _check(place: Place, found: int, size: int, checksum: int) -> None:
    if size != place.size:
        raise ContentDamaged(f"it has {size} octets instead of {place.size}")
    if found != checksum:
        raise ContentDamaged("its checksum is wrong")
