"""The writer's interface to the operations that it commits together."""

from collections.abc import Sequence
from typing import Protocol

from sendryd.store.drivers.connection import Connection
from sendryd.store.sql.place import Place


class Batch(Protocol):
    """Rows that the operations of a transaction leave to its end, where they are stored for all operations together."""

    @property
    def contents(self) -> Sequence[tuple[int, bytes]]:
        """New contents, each with its message's id."""
        ...

    @property
    def count(self) -> int:
        """Number of rows left so far: it grows when an operation has changed something."""
        ...

    @property
    def new_deliveries(self) -> Sequence[int]:
        """The ids of new deliveries."""
        ...

    def lock(self, connection: Connection, deliveries: Sequence[int]) -> None:
        """Locks deliveries in the order of their ids."""
        ...

    def place(self, connection: Connection, places: Sequence[Place]) -> Sequence[Place]:
        """Stores the messages with the places of their contents. Returns the places of contents that no message refers to any more."""
        ...

    def store(self, connection: Connection) -> None:
        """Stores all other rows."""
        ...
