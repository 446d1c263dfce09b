"""What the parts of the store ask of a connection to any engine.

A connection belongs to one thread at a time and blocks it: transactions of the store are plain functions, which a thread of the store runs.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sendryd.store.codec.reading import Row
from sendryd.store.drivers.statement import Statement


class Connection(Protocol):
    """Runs named statements. Values are parameters by their names. Raises the store's faults (`store.errors`)."""

    def rows(self, statement: Statement, values: Row, /) -> list[Row]:
        """All rows, each a mapping from column names to values."""
        ...

    def sound_rows(self, statement: Statement, values: Row, /) -> list[Row | None]:
        """All rows, with None in place of a row with a text that is not UTF-8."""
        ...

    def tuples(self, statement: Statement, values: Row, /) -> Iterable[tuple[Any, ...]]:
        """All rows by position, perhaps read one by one: making a row a mapping costs more than other work on it, where there are many."""
        ...

    def row(self, statement: Statement, values: Row, /) -> Row | None:
        """The first row."""
        ...

    def value(self, statement: Statement, values: Row, /) -> Any:
        """The value of a statement that returns one row with one column; None if it returns no row."""
        ...

    def change(self, statement: Statement, values: Row, /) -> int:
        """Runs a statement that changes rows. Returns how many it changed."""
        ...

    def follow_indexes(self) -> None:
        """Makes the statements of this transaction go along indexes in their order, whatever the engine's statistics say."""
        ...

    def put(self, statement: Statement, rows: Sequence[Row], /) -> None:
        """Runs a statement with one row of VALUES for many rows at once."""
        ...
