"""Rows that are damaged or hold a word that this version does not know: each is set aside, reported once, and counted.

`store.codec` raises `RowUnreadable` with the public id of the row. A list leaves such rows out; a look-up of one row raises.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from sendryd.store.base import Page
from sendryd.store.codec.reading import Row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.errors import RowUnreadable

MAX_SEEN: Final = 10_000  # ids of reported rows; more unreadable rows than this have another cause
NOT_TEXT: Final = "a text of it is not UTF-8"

Value = TypeVar("Value")


class Unreadable:
    """The rows that were set aside since the start. Safe to use from all threads."""

    def __init__(self, tell: Callable[[str, str], None] | None = None) -> None:
        """`tell` is called with the public id of each row and the fault."""
        self.count = 0
        self._tell = tell
        self._seen: set[str] = set()

    def note(self, error: RowUnreadable) -> None:
        """Reports a row, the first time."""
        if error.public_id in self._seen or len(self._seen) >= MAX_SEEN:
            return
        self._seen.add(error.public_id)
        self.count += 1
        if self._tell is not None:
            self._tell(error.public_id, error.reason)

    def fetch(self, connection: Connection, statement: Statement, prefix: str | None, values: Row) -> list[Row | None]:
        """All rows of a statement, with None in place of a row whose text is not UTF-8. Such a row is reported under the prefix of its kind, unless
        the caller reports it. The engine alone must order the statement's rows.
        """
        rows = connection.sound_rows(statement, values)
        if prefix is not None and None in rows:
            self.note(RowUnreadable(prefix, NOT_TEXT))
        return rows

    def keep(self, rows: Sequence[Row | None], read: Callable[[Row], Value]) -> tuple[Value, ...]:
        """The readable rows among these."""
        return tuple(self._readable(rows, read))

    def page(self, rows: Sequence[Row | None], read: Callable[[Row], Value], limit: int) -> Page[Value]:
        """A page of the readable rows among these; a row beyond `limit` means that more items follow."""
        return Page(items=self.keep(rows[:limit], read), has_more=len(rows) > limit)

    def _readable(self, rows: Sequence[Row | None], read: Callable[[Row], Value]) -> Iterator[Value]:
        for row in rows:
            if row is None:
                continue
            try:
                yield read(row)
            except RowUnreadable as error:
                self.note(error)
