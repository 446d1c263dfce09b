"""What the writer knows of the operations that it commits together."""

from collections.abc import Sequence
from typing import Protocol

import apsw

from sendryd.store.sqlite.engine.segments import Appended


class Batch(Protocol):
    """Rows that the operations of a transaction leave to its end, where they are stored for all operations together."""

    @property
    def contents(self) -> Sequence[tuple[int, bytes]]:
        """Contents to be appended to the spool, each with its message's id."""
        ...

    @property
    def count(self) -> int:
        """Number of rows left so far: it grows if an operation has changed something."""
        ...

    def place(self, connection: apsw.Connection, appended: Appended) -> None:
        """Stores the messages whose contents have been appended."""
        ...

    def store(self, connection: apsw.Connection) -> None:
        """Stores everything else."""
        ...
