"""What the API and the dashboard read from SQLite."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NOT_GONE_STATES, DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import EVENT_PREFIX, MESSAGE_PREFIX, AccountId, DeliveryId, EventId, MessageId, parse_id
from sendryd.model.message import MessageStatus, MessageSummary, derive_status
from sendryd.store.base import DeliveryView, Engagement, EventFilter, MessageFilter, Page
from sendryd.store.codec.mail import show_event, show_message
from sendryd.store.codec.values import contains, first_id, from_ms, from_ms_or_none, to_json, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.unreadable import Unreadable
from sendryd.store.sqlite.lists.adding import suppress, unsubscribe
from sendryd.store.sqlite.lists.suppressed import Suppressed
from sendryd.store.sqlite.mail.batch import Rows, add_events
from sendryd.store.sqlite.mail.queries import SQL

_MESSAGE_COLUMNS: Final = """
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid, m.tags, m.type, m.scheduled_at, m.tracking,
       m.template_id, m.list_id, m.unsubscribe_url
FROM message m
"""
_EVENT_COLUMNS: Final = "SELECT e.id, e.message_id, e.delivery_id, e.type, e.recipient, e.created_at, e.metadata FROM event e"
_NOT_GONE: Final = ", ".join(sorted(f"'{state.value}'" for state in NOT_GONE_STATES))
# Which messages can have a status, as far as one look at their deliveries tells; `derive_status` decides.
_CANDIDATES: Final = {
    MessageStatus.QUEUED: "state IN ('queued', 'held')",
    MessageStatus.SENDING: "state IN ('queued', 'held', 'leased')",
    MessageStatus.DELIVERED: "state = 'delivered'",
    MessageStatus.BOUNCED: "state = 'bounced'",
    MessageStatus.FAILED: "state IN ('expired', 'suppressed')",
    MessageStatus.CANCELLED: "state = 'cancelled'",
}
_COMPLAINED: Final = "EXISTS (SELECT 1 FROM event WHERE message_id = m.id AND type = 'complained')"
# Whether one of its deliveries was tried, and their states.
_KIND: Final = "(SELECT (max(attempts) > 0) || ' ' || group_concat(DISTINCT state) FROM delivery WHERE message_id = m.id)"
STEP: Final = 200  # messages summarised at once when each must be looked at


class Reads:
    """`EventStore`."""

    _database: Database
    _suppressed: Suppressed

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        unreadable = self._database.unreadable

        def work(connection: apsw.Connection) -> MessageSummary | None:
            row = connection.execute(SQL["get_message"], (account_id, message_id)).fetchone()
            if row is None:
                return None
            show_message(row)  # raises if nothing of it can be shown
            return _summarise(connection, [row], unreadable)[0]

        return await self._database.read(work)

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        unreadable = self._database.unreadable

        def work(connection: apsw.Connection) -> Page[MessageSummary]:
            found: list[MessageSummary] = []
            start: int = (1 << 62) if before is None else before
            condition, values = _message_condition(account_id, which)
            query = f"{_MESSAGE_COLUMNS} WHERE {condition} AND m.id < ? ORDER BY m.id DESC LIMIT ?"
            step = limit + 1 if which.status is None else max(STEP, limit + 1)
            while len(found) <= limit:
                rows = unreadable.fetch(connection.execute(query, (*values, start, step)), MESSAGE_PREFIX)
                found += _of_status(_summarise(connection, rows, unreadable), which.status)
                numbers = [row[0] for row in rows if row is not None]
                if len(rows) < step or not numbers:
                    break
                start = numbers[-1]
            return Page(items=tuple(found[:limit]), has_more=len(found) > limit)

        return await self._database.search(work)

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        def work(connection: apsw.Connection) -> int:
            condition, values = _message_condition(account_id, which)
            if which.status is None:
                row = connection.execute(f"SELECT count(*) FROM message m WHERE {condition}", values).fetchone()
                return int(row[0]) if row else 0
            # As many groups as there are combinations, whatever the number of messages.
            groups: list[tuple[Any, ...]] = connection.execute(
                f"SELECT {_KIND}, {_COMPLAINED}, count(*) FROM message m WHERE {condition} GROUP BY 1, 2", values
            ).fetchall()
            return sum(count for kind, complaints, count in groups if _status_of_kind(kind, bool(complaints)) is which.status)

        return await self._database.search(work)

    async def find_delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        row = self._database.fetch_one(SQL["find_delivery"], delivery_id)
        if row is None:
            return None
        return DeliveryView(
            id=delivery_id,
            message=show_message(row[:-3]),
            forward_path=row[-3],
            state=DeliveryState(row[-2]),
            delivered_at=from_ms_or_none(row[-1]),
        )

    async def record_engagements(self, engagements: Sequence[Engagement]) -> int:
        def action(connection: apsw.Connection, rows: Rows) -> tuple[int, list[tuple[int, str]]]:
            count, suppressed = 0, []
            for each in engagements:
                found = connection.execute(SQL["owner_of_delivery"], (each.delivery_id,)).fetchone()
                if found is None:
                    continue
                moment, account_id = to_ms(each.happened_at), found[3]
                add_events(rows, found, (each.event,), moment)
                if each.suppression is not None:
                    suppress(connection, account_id, each.suppression, moment)
                    suppressed.append((account_id, each.suppression.email))
                if each.unsubscribe is not None:
                    unsubscribe(connection, account_id, each.unsubscribe, moment)
                count += 1
            return count, suppressed

        count, suppressed = await self._database.write(action)
        for account_id, email in suppressed:
            self._suppressed.add(account_id, (email,))
        return int(count)

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        unreadable = self._database.unreadable

        def work(connection: apsw.Connection) -> Page[Event]:
            condition, values = _event_condition(account_id, which)
            query = f"{_EVENT_COLUMNS} WHERE {condition} AND e.id < ? ORDER BY e.id DESC LIMIT ?"
            start = (1 << 62) if before is None else before
            rows = unreadable.fetch(connection.execute(query, (*values, start, limit + 1)), EVENT_PREFIX)
            return Page(items=unreadable.keep(rows[:limit], show_event), has_more=len(rows) > limit)

        return await self._database.search(work)

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        def work(connection: apsw.Connection) -> int:
            condition, values = _event_condition(account_id, which)
            row = connection.execute(f"SELECT count(*) FROM event e WHERE {condition}", values).fetchone()
            return int(row[0]) if row else 0

        return await self._database.search(work)


def status_of(summary: MessageSummary) -> MessageStatus:
    """The public status of a summary."""
    return derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)


def _status_of_kind(kind: str | None, is_complained: bool) -> MessageStatus:
    tried, _, states = (kind or "0 ").partition(" ")
    found = {DeliveryState(state): 1 for state in states.split(",") if state}
    return derive_status(found, has_attempts=tried == "1", is_complained=is_complained)


def _of_status(summaries: list[MessageSummary], status: MessageStatus | None) -> list[MessageSummary]:
    return [each for each in summaries if status is None or status_of(each) is status]


def _summarise(connection: apsw.Connection, rows: Sequence[Sequence[Any] | None], unreadable: Unreadable) -> list[MessageSummary]:
    """Summaries of the messages in these rows, with one look at all their deliveries and one at all their events."""
    messages = unreadable.keep(rows, show_message)
    numbers = to_json([message.id for message in messages])
    deliveries: dict[int, list[tuple[Any, ...]]] = {}
    groups_found: list[tuple[Any, ...]] = connection.execute(SQL["summarise_deliveries"], (numbers,)).fetchall()
    for number, *group in groups_found:
        deliveries.setdefault(number, []).append(tuple(group))
    events_found: list[tuple[Any, ...]] = connection.execute(SQL["summarise_events"], (numbers,)).fetchall()
    events = {row[0]: row for row in events_found}
    summaries = []
    for message in messages:
        groups = deliveries.get(message.id, [])
        _, _, last_type, complaints = events.get(message.id, (0, 0, None, 0))
        sent = min((delivered_at for *_, delivered_at in groups if delivered_at is not None), default=None)
        summaries.append(
            MessageSummary(
                message=message,
                states={DeliveryState(state): count for state, count, _, _ in groups},
                has_attempts=any(attempts for _, _, attempts, _ in groups),
                is_complained=bool(complaints),
                sent_at=None if sent is None else from_ms(sent),
                last_event=EventType(last_type) if last_type else None,
            )
        )
    return summaries


def _mode_condition(table: str, mode: KeyMode) -> str:
    # Written out, not bound: only then does the planner see that the index of the few test rows fits.
    return f"{table}.mode = '{'test' if mode is KeyMode.TEST else 'live'}'"


def _message_condition(account_id: AccountId, which: MessageFilter) -> tuple[str, list[Any]]:
    conditions = ["m.account_id = ?", _mode_condition("m", which.mode)]
    values: list[Any] = [account_id]
    if which.api_key_id is not None:
        conditions.append("m.api_key_id = ?")
        values.append(which.api_key_id)
    if which.recipient is not None:
        conditions.append("EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND forward_path = ? COLLATE NOCASE)")
        values.append(which.recipient)
    if which.subject:
        conditions.append("m.subject LIKE ? ESCAPE '\\'")
        values.append(contains(which.subject))
    if which.has_gone:
        conditions.append(f"NOT EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND state IN ({_NOT_GONE}))")
    if which.created_from is not None:
        conditions.append("m.id >= ?")
        values.append(first_id(which.created_from))
    if which.status is MessageStatus.COMPLAINED:
        conditions.append(_COMPLAINED)
    elif which.status is not None:
        conditions.append(f"EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND {_CANDIDATES[which.status]})")
    if which.text:
        conditions.append(
            "(m.subject LIKE ? ESCAPE '\\' OR EXISTS (SELECT 1 FROM "
            "json_tree(CASE WHEN json_valid(m.recipients) THEN m.recipients ELSE '[]' END) WHERE atom LIKE ? ESCAPE '\\') "
            "OR EXISTS (SELECT 1 FROM delivery WHERE message_id = m.id AND forward_path LIKE ? ESCAPE '\\'))"
        )
        values += [contains(which.text)] * 3
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
        number = parse_id(which.text.lower(), MESSAGE_PREFIX)
        if number is not None:
            conditions.append("e.message_id = ?")
            values.append(number)
        else:
            conditions.append("e.recipient LIKE ? ESCAPE '\\'")
            values.append(contains(which.text))
    if which.created_from is not None:
        conditions.append("e.created_at >= ?")
        values.append(to_ms(which.created_from))
    if which.created_to is not None:
        conditions.append("e.created_at <= ?")
        values.append(to_ms(which.created_to))
    return " AND ".join(conditions), values
