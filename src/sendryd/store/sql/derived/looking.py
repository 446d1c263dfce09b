"""Looks for terms in the index, and in the messages that it does not have yet."""

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.policy.searchterms import Wanted
from sendryd.store.base import IndexState
from sendryd.store.codec.reading import Row
from sendryd.store.derived.file import DerivedDamaged, DerivedFile
from sendryd.store.derived.index import find_indexed, match_query, read_terms
from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statements import fetch_row
from sendryd.store.sql.database import Database

TAIL: Final = 4000  # messages that are looked at beside the index: two seconds of a busy door, read in a fraction of one
_NOTHING: Final = {"first": 0, "target": 1, "message_id": 0}  # the progress of a file that has lost it


@dataclass(slots=True)
class IndexedMessages:
    """The messages with some terms, newest first, for one search. What is stored meanwhile is not among them."""

    database: Database
    file: DerivedFile
    account_id: AccountId
    mode: KeyMode
    wanted: Wanted
    first: int  # the lowest id to find
    state: IndexState = field(default_factory=IndexState)
    _indexed: int | None = None  # messages up to this one are looked for in the index, later ones beside it

    async def next(self, below: int, size: int) -> list[int]:
        """The next ids below one; fewer than `size` are the last."""
        try:
            indexed = await self.file.read(partial(self._find_indexed, below, size))
        except DerivedDamaged:
            indexed = []
            self.state = IndexState(percent=0, misses=bool(self._indexed))
            self._indexed = self._indexed or 0
        if below <= (self._indexed or 0) + 1:
            return indexed
        newer = await self.database.search(partial(self._find_in_tail, below))
        return (newer + indexed)[:size]

    def _find_indexed(self, below: int, size: int, derived: SqliteConnection) -> list[int]:
        if self._indexed is None:
            progress = fetch_row(derived, SQL["read_progress"]) or _NOTHING
            self._indexed = progress["message_id"]
            self.state = IndexState(percent=_percent(progress))
        query = match_query(self.account_id, self.mode, self.wanted)
        return find_indexed(derived, query, below=min(below, self._indexed + 1), first=self.first, limit=size)

    def _find_in_tail(self, below: int, main: Connection) -> list[int]:
        values = {"after": max(self._indexed or 0, self.first - 1), "before": below, "account_id": self.account_id, "mode": self.mode.value}
        read = read_terms(main, "list_tail", **values, limit=TAIL)
        if len(read) == TAIL:
            self.state = IndexState(percent=self.state.percent, misses=True)
        return [number for number, terms in read if self.wanted.fits(terms)]


def _percent(progress: Row) -> int:
    """How much of the messages that there were at the beginning is in the index: 100 for all of them."""
    first, target, reached = progress["first"], progress["target"], progress["message_id"]
    return 100 if reached >= target else max(0, 100 * (reached - first) // max(1, target - first))
