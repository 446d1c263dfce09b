"""Contents of messages: written once, in the transaction of the store that refers to them, and read by their places.

A place is what the store keeps with the message. It names one content: its message, its size, and what tells it from any other that has
been, or will be, in the same spot. So whoever reads by a place gets what was put there, or `ContentDamaged`; never another content.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Connection = TypeVar("Connection", contravariant=True)  # of the store's database, in whose transactions contents are put and dropped
Place = TypeVar("Place")


class ContentStore(Protocol[Connection, Place]):
    """Where contents are. Files beside SQLite; rows of the same database where it is a server.

    Methods block. `prepare`, `put_many`, `take_back` and `drop` belong to the store's writer; `read` and `read_range` may be called from any
    thread. Contents go in and come out as the `bytes` that they are: nothing is copied on the way.
    """

    def prepare(self, connection: Connection, /) -> bool:
        """Make ready for contents, before the transaction begins. True if this has taken room, such as for a new file.

        Raises `OSError`, `StoreError`.
        """
        ...

    def put_many(self, connection: Connection, /, contents: Sequence[tuple[int, bytes]]) -> Sequence[Place]:
        """Store contents, each with its message's id, and return their places in the same order.

        They are durable once the transaction has committed. Raises `OSError`, `StoreError`: then the transaction must not commit.
        """
        ...

    def take_back(self, *, is_certain: bool) -> None:
        """The transaction of the last `put_many` did not commit: give its room back.

        `is_certain` is false if the commit itself failed, so that a crash may yet bring the transaction back; then its contents stay.
        """
        ...

    def read(self, place: Place) -> bytes:
        """A whole content, verified by its checksum. Raises `ContentDamaged`, `StoreUnavailable`."""
        ...

    def read_range(self, place: Place, start: int, stop: int) -> Iterator[bytes]:
        """The octets from `start` up to, not including, `stop`, in pieces of at most 64 KiB.

        The whole content is verified by its checksum after the last piece; of a part, its place alone is. Raises what `read` does, and
        `ValueError` for a range that is not in the content.
        """
        ...

    def drop(self, connection: Connection, /, places: Sequence[Place]) -> None:
        """Nothing refers to these contents once the transaction has committed. Their room is given back then or later."""
        ...
