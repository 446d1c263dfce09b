"""Lists of messages from the rare side: along the search index, or along the few deliveries in a state.

A source gives ids of candidates, newest first; the messages among them that the whole filter fits are the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, MessageId
from sendryd.model.message import MessageStatus, MessageSummary
from sendryd.store.base import Hits, IndexState, MessageFilter
from sendryd.store.codec.values import first_id, id_below, to_json
from sendryd.store.derived.file import DerivedFile
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sql.database import Database
from sendryd.store.sql.derived.looking import IndexedMessages
from sendryd.store.sql.mail.filters import Conditions, message_conditions
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sql.mail.summaries import of_status, summarise

MOST: Final = 20_000  # candidates that one search looks at: a fraction of a second
GROWTH: Final = 4  # the next step is longer, because this one has found less than was asked for
LONGEST: Final = 2_000  # candidates in one step, some milliseconds
MANY: Final = 10_000  # deliveries that wait: more are no rare side
_ENDED: Final = frozenset({DeliveryState.BOUNCED, DeliveryState.EXPIRED, DeliveryState.SUPPRESSED, DeliveryState.CANCELLED})
_STATES: Final = {
    MessageStatus.QUEUED: frozenset({DeliveryState.QUEUED, DeliveryState.HELD}),
    MessageStatus.SENDING: WAITING_STATES,
    MessageStatus.BOUNCED: frozenset({DeliveryState.BOUNCED}),
    MessageStatus.FAILED: frozenset({DeliveryState.EXPIRED, DeliveryState.SUPPRESSED}),
    MessageStatus.CANCELLED: frozenset({DeliveryState.CANCELLED}),
}


class Source(Protocol):
    """Ids of candidates."""

    async def next(self, below: int, size: int) -> list[int]:
        """The next ids below one, newest first; fewer than `size` are the last."""
        ...


@dataclass(frozen=True, slots=True)
class Walk:
    """Ids of one statement."""

    database: Database
    statements: tuple[Statement, ...]
    values: dict[str, object]

    async def next(self, below: int, size: int) -> list[int]:
        """The newest ids of all statements together."""

        def work(connection: Connection) -> list[int]:
            values = {**self.values, "before": below, "limit": size}
            found = {int(number) for statement in self.statements for (number,) in connection.tuples(statement, values)}
            return sorted(found, reverse=True)[:size]

        return await self.database.search(work)


@dataclass(frozen=True, slots=True)
class Known:
    """Ids that were read at once."""

    ids: Sequence[int]  # newest first

    async def next(self, below: int, size: int) -> list[int]:
        """The next of them."""
        return [each for each in self.ids if each < below][:size]


class Searching:
    """`SearchStore`, and the part of `list_messages` that goes along the rare side."""

    _database: Database
    _derived: DerivedFile

    async def search_messages(self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None) -> Hits:
        source = await self._rare_side(account_id, which) or self._all(account_id, which)
        return await self._look(source, account_id, which, limit, before, MOST)

    async def _list_rare(self, account_id: AccountId, which: MessageFilter, limit: int, before: MessageId | None) -> Hits | None:
        """All messages that fit, if there is a rare side to go along. Raises `StoreUnavailable` if the index is needed and not whole."""
        source = await self._rare_side(account_id, which)
        if source is None:
            return None
        hits = await self._look(source, account_id, which, limit, before, None)
        if hits.index.misses:
            raise StoreUnavailable("the search index is being rebuilt")
        return hits

    async def _rare_side(self, account_id: AccountId, which: MessageFilter) -> Source | None:
        if not which.wanted.is_empty:
            first = 0 if which.created_from is None else first_id(which.created_from)
            return IndexedMessages(self._database, self._derived, account_id, which.mode, which.wanted, first)
        if which.status is MessageStatus.COMPLAINED:
            return Walk(self._database, (SQL["walk_complained"],), {})
        states = which.states if which.states is not None else _STATES.get(which.status) if which.status else None
        if not states:
            return None
        if states <= _ENDED:
            statements = (Conditions(f"state = '{state.value}'").of(SQL["walk_ended"]) for state in sorted(states))
            return Walk(self._database, tuple(statements), {})
        return await self._waiting() if states <= WAITING_STATES else None

    async def _waiting(self) -> Source | None:
        def work(connection: Connection) -> list[int]:
            return [int(number) for (number,) in connection.tuples(SQL["list_waiting_messages"], {"limit": MANY + 1})]

        found = await self._database.search(work)
        return Known(sorted(set(found), reverse=True)) if len(found) <= MANY else None

    def _all(self, account_id: AccountId, which: MessageFilter) -> Source:
        conditions = message_conditions(account_id, MessageFilter(mode=which.mode, created_from=which.created_from))
        return Walk(self._database, (conditions.of(SQL["walk_messages"]),), conditions.values)

    async def _look(
        self, source: Source, account_id: AccountId, which: MessageFilter, limit: int, before: MessageId | None, most: int | None
    ) -> Hits:
        found: list[MessageSummary] = []
        below, size, looked_at = id_below(before), limit + 1, 0
        while True:
            ids = await source.next(below, size)
            found += await self._among(ids, account_id, which)
            state = source.state if isinstance(source, IndexedMessages) else IndexState()
            if len(found) > limit or len(ids) < size:
                return Hits(items=tuple(found[:limit]), has_more=len(found) > limit, index=state)
            below, looked_at = ids[-1], looked_at + len(ids)
            if most is not None and looked_at >= most:
                return Hits(items=tuple(found), has_more=True, last=MessageId(below), index=state)
            size = min(size * GROWTH, max(LONGEST, limit + 1))

    async def _among(self, ids: Sequence[int], account_id: AccountId, which: MessageFilter) -> list[MessageSummary]:
        conditions = message_conditions(account_id, which)
        statement, unreadable = conditions.of(SQL["find_messages"]), self._database.unreadable

        def work(connection: Connection) -> list[MessageSummary]:
            rows = unreadable.fetch(connection, statement, MESSAGE_PREFIX, {**conditions.values, "ids": to_json(ids)})
            return of_status(summarise(connection, rows, unreadable), which.status)

        return await self._database.search(work) if ids else []
