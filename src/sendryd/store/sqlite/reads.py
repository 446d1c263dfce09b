"""What the API and the dashboard read from SQLite."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, EventId, MessageId, parse_id
from sendryd.model.message import MessageStatus, MessageSummary, derive_status
from sendryd.store.base import EventFilter, MessageFilter, Page
from sendryd.store.sqlite.database import Database
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.rows import from_ms, read_event, read_message, to_ms

_MESSAGE_COLUMNS: Final = """
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid
FROM message m
"""
_EVENT_COLUMNS: Final = "SELECT e.id, e.message_id, e.delivery_id, e.type, e.recipient, e.created_at, e.metadata FROM event e"
# Which messages can have a status, as far as one look at their deliveries tells; `derive_status` decides.
_CANDIDATES: Final = {
    MessageStatus.QUEUED: "state IN ('queued', 'held')",
    MessageStatus.SENDING: "state IN ('queued', 'held', 'leased')",
    MessageStatus.DELIVERED: "state = 'delivered'",
    MessageStatus.BOUNCED: "state = 'bounced'",
    MessageStatus.FAILED: "state IN ('expired', 'suppressed')",
    MessageStatus.CANCELLED: "state = 'cancelled'",
}
_BATCH: Final = 200  # rows read at once when a filter must look at each


class Reads:
    """`EventStore`."""

    _database: Database

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        def work(connection: apsw.Connection) -> MessageSummary | None:
            row = connection.execute(SQL["get_message"], (account_id, message_id)).fetchone()
            return _summarise(connection, row) if row else None

        return await self._database.read(work)

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        def work(connection: apsw.Connection) -> Page[MessageSummary]:
            found: list[MessageSummary] = []
            start: int = (1 << 62) if before is None else before
            while True:
                condition, values = _message_condition(account_id, which)
                query = f"{_MESSAGE_COLUMNS} WHERE {condition} AND m.id < ? ORDER BY m.id DESC LIMIT ?"
                rows: list[tuple[Any, ...]] = connection.execute(
                    query, (*values, start, max(_BATCH if which.status else 0, limit + 1))
                ).fetchall()
                for row in rows:
                    summary = _summarise(connection, row)
                    start = row[0]
                    if which.status is None or status_of(summary) is which.status:
                        found.append(summary)
                        if len(found) > limit:
                            return Page(items=tuple(found[:limit]), has_more=True)
                if len(rows) <= limit or which.status is None:
                    return Page(items=tuple(found), has_more=False)

        return await self._database.read(work)

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        def work(connection: apsw.Connection) -> int:
            condition, values = _message_condition(account_id, which)
            if which.status is None:
                row = connection.execute(f"SELECT count(*) FROM message m WHERE {condition}", values).fetchone()
                return int(row[0]) if row else 0
            rows = connection.execute(f"{_MESSAGE_COLUMNS} WHERE {condition}", values)
            return sum(status_of(_summarise(connection, row)) is which.status for row in list(rows))

        return await self._database.read(work)

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        def work(connection: apsw.Connection) -> Page[Event]:
            condition, values = _event_condition(account_id, which)
            query = f"{_EVENT_COLUMNS} WHERE {condition} AND e.id < ? ORDER BY e.id DESC LIMIT ?"
            start = (1 << 62) if before is None else before
            rows = connection.execute(query, (*values, start, limit + 1)).fetchall()
            return Page(items=tuple(read_event(row) for row in rows[:limit]), has_more=len(rows) > limit)

        return await self._database.read(work)

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        def work(connection: apsw.Connection) -> int:
            condition, values = _event_condition(account_id, which)
            row = connection.execute(f"SELECT count(*) FROM event e WHERE {condition}", values).fetchone()
            return int(row[0]) if row else 0

        return await self._database.read(work)


def status_of(summary: MessageSummary) -> MessageStatus:
    """The public status of a summary."""
    return derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)


def _summarise(connection: apsw.Connection, row: Sequence[Any]) -> MessageSummary:
    states: dict[DeliveryState, int] = {}
    has_attempts = False
    sent: int | None = None
    for state, count, attempts, delivered_at in connection.execute(SQL["summarise_deliveries"], (row[0],)):
        states[DeliveryState(state)] = count
        has_attempts = has_attempts or attempts > 0
        if delivered_at is not None and (sent is None or delivered_at < sent):
            sent = delivered_at
    last = connection.execute(SQL["last_event"], (row[0],)).fetchone()
    complained = connection.execute(SQL["has_complaint"], (row[0],)).fetchone()
    return MessageSummary(
        message=read_message(row),
        states=states,
        has_attempts=has_attempts,
        is_complained=complained is not None,
        sent_at=None if sent is None else from_ms(sent),
        last_event=EventType(last[0]) if last else None,
    )


def _mode_condition(table: str, mode: KeyMode) -> str:
    # Written out, not bound: only then does the planner see that the index of the few test rows fits.
    return f"{table}.mode = '{'test' if mode is KeyMode.TEST else 'live'}'"


def _contains(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _message_condition(account_id: AccountId, which: MessageFilter) -> tuple[str, list[Any]]:
    conditions = ["m.account_id = ?", _mode_condition("m", which.mode)]
    values: list[Any] = [account_id]
    if which.api_key_id is not None:
        conditions.append("m.api_key_id = ?")
        values.append(which.api_key_id)
    if which.status is not None and which.status in _CANDIDATES:
        conditions.append(f"EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND {_CANDIDATES[which.status]})")
    if which.text:
        conditions.append(
            "(m.subject LIKE ? ESCAPE '\\' OR m.recipients LIKE ? ESCAPE '\\' "
            "OR EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND forward_path LIKE ? ESCAPE '\\'))"
        )
        values += [_contains(which.text)] * 3
    return " AND ".join(conditions), values


def _event_condition(account_id: AccountId, which: EventFilter) -> tuple[str, list[Any]]:
    conditions = ["e.account_id = ?", _mode_condition("e", which.mode)]
    values: list[Any] = [account_id]
    if which.message_id is not None:
        # The plus keeps the planner on the index of the message, which has few rows.
        conditions = ["e.message_id = ?", "+e.account_id = ?", "+" + _mode_condition("e", which.mode)]
        values = [which.message_id, account_id]
    if which.type is not None:
        conditions.append("e.type = ?")
        values.append(which.type.value)
    if which.recipient is not None:
        conditions.append("e.recipient = ? COLLATE NOCASE")
        values.append(which.recipient)
    if which.text:
        number = parse_id(which.text, MESSAGE_PREFIX)
        if number is not None:
            conditions.append("e.message_id = ?")
            values.append(number)
        else:
            conditions.append("e.recipient LIKE ? ESCAPE '\\'")
            values.append(_contains(which.text))
    if which.created_from is not None:
        conditions.append("e.created_at >= ?")
        values.append(to_ms(which.created_from))
    if which.created_to is not None:
        conditions.append("e.created_at <= ?")
        values.append(to_ms(which.created_to))
    return " AND ".join(conditions), values
