"""Contents of messages: written once, in the transaction of the message that refers to them, and read by their places.

A place is stored with the message. It identifies one content by its message, its size, and an id that no other content in the same position has
had or will have. A read by a place therefore returns the content that was stored there or raises `ContentDamaged`; it never returns another
content.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Connection = TypeVar("Connection", contravariant=True)  # of the store's database, in whose transactions contents are put and dropped
Place = TypeVar("Place")


class ContentStore(Protocol[Connection, Place]):
    """The store of contents: files beside SQLite, or rows of the same database if that is a server.

    Methods block. `prepare`, `put_many`, `take_back` and `drop` belong to the store's writer; `read` and `read_range` may be called from any
    thread. Contents go in and come out as the same `bytes`: nothing is copied on the way.
    """

    def prepare(self, connection: Connection, /) -> bool:
        """Prepare for contents, before the transaction begins. True if this used disk space, for example for a new file.

        Raises `OSError`, `StoreError`.
        """
        ...

    def put_many(self, connection: Connection, /, contents: Sequence[tuple[int, bytes]]) -> Sequence[Place]:
        """Store contents, each with its message's id, and return their places in the same order.

        They are durable once the transaction has committed. Raises `OSError`, `StoreError`: then the transaction must not commit.
        """
        ...

    def take_back(self, *, is_certain: bool) -> None:
        """Free the space of the last `put_many`, whose transaction did not commit.

        `is_certain` is false if the commit itself failed: a crash may then still restore the transaction, so its contents stay.
        """
        ...

    def read(self, place: Place) -> bytes:
        """A whole content, verified by its checksum. Raises `ContentDamaged`, `StoreUnavailable`."""
        ...

    def read_range(self, place: Place, start: int, stop: int) -> Iterator[bytes]:
        """The octets from `start` up to, not including, `stop`, in pieces of at most 64 KiB.

        A whole content is verified by its checksum after the last piece; of a part, only the place is verified. Raises what `read` does, and
        `ValueError` for a range that is not in the content.
        """
        ...

    def drop(self, connection: Connection, /, places: Sequence[Place]) -> None:
        """Release contents that nothing refers to once the transaction has committed. Their space is freed then or later."""
        ...
