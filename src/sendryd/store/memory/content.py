"""Contents in a dictionary."""

from collections.abc import Iterator, Sequence
from typing import Final

from sendryd.store.errors import ContentDamaged
from sendryd.valuetype import valuetype

PIECE: Final = 64 * 1024  # octets of a piece


@valuetype(frozen=True, slots=True, kw_only=True)
class MemoryPlace:
    """The position of a content, and which one it is."""

    message_id: int
    number: int  # never reused
    size: int


class MemoryContents:
    """`ContentStore` without a disk and without transactions."""

    def __init__(self) -> None:
        self._contents: dict[MemoryPlace, bytes] = {}
        self._last: list[MemoryPlace] = []
        self._count = 0

    def prepare(self, _connection: None, /) -> bool:
        return False

    def put_many(self, _connection: None, /, contents: Sequence[tuple[int, bytes]]) -> list[MemoryPlace]:
        self._last = []
        for message_id, content in contents:
            self._count += 1
            place = MemoryPlace(message_id=message_id, number=self._count, size=len(content))
            self._contents[place] = content
            self._last.append(place)
        return self._last

    def take_back(self, *, is_certain: bool) -> None:  # noqa: ARG002  # no crash can restore a transaction
        self.drop(None, self._last)

    def read(self, place: MemoryPlace) -> bytes:
        content = self._contents.get(place)
        if content is None:
            raise ContentDamaged("it is not there")
        return content

    def read_range(self, place: MemoryPlace, start: int, stop: int) -> Iterator[bytes]:
        content = self.read(place)
        if not 0 <= start <= stop <= place.size:
            raise ValueError(f"octets {start} to {stop} are outside the content of {place.size} octets")
        for position in range(start, stop, PIECE):
            yield content[position : min(position + PIECE, stop)]

    def drop(self, _connection: None, /, places: Sequence[MemoryPlace]) -> None:
        for place in places:
            self._contents.pop(place, None)
