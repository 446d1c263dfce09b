"""The reads of the API and the dashboard in SQLite."""

from collections.abc import Sequence

import apsw

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import EVENT_PREFIX, MESSAGE_PREFIX, AccountId, DeliveryId, EventId, MessageId
from sendryd.model.message import MessageStatus, MessageSummary, derive_status
from sendryd.store.base import DeliveryView, Engagement, EventFilter, MessageFilter, Page
from sendryd.store.codec.deliveries import read_view
from sendryd.store.codec.events import read_subject, show_event
from sendryd.store.codec.messages import show_message
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import from_ms, id_below, to_json, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.statements import fetch_row, fetch_rows, fetch_value
from sendryd.store.sqlite.engine.unreadable import Unreadable
from sendryd.store.sqlite.lists.adding import suppress, unsubscribe
from sendryd.store.sqlite.lists.suppressed import Suppressed
from sendryd.store.sqlite.mail.batch import Rows
from sendryd.store.sqlite.mail.filters import event_conditions, message_conditions
from sendryd.store.sqlite.mail.queries import SQL


class Reads:
    """`EventStore`."""

    _database: Database
    _suppressed: Suppressed

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        unreadable = self._database.unreadable

        def work(connection: apsw.Connection) -> MessageSummary | None:
            row = fetch_row(connection, SQL["get_message"], account_id=account_id, id=message_id)
            if row is None:
                return None
            show_message(row)  # raises if no part of it can be shown
            return _summarise(connection, [row], unreadable)[0]

        return await self._database.read(work)

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        unreadable = self._database.unreadable
        conditions = message_conditions(account_id, which)
        statement = conditions.of(SQL["list_messages"])
        step = limit + 1 if which.status is None else max(self._database.sizes.summaries, limit + 1)

        def work(connection: apsw.Connection) -> Page[MessageSummary]:
            found: list[MessageSummary] = []
            start = id_below(before)
            while len(found) <= limit:
                cursor = connection.execute(statement, {**conditions.values, "before": start, "limit": step})
                rows = unreadable.fetch(cursor, MESSAGE_PREFIX)
                found += _of_status(_summarise(connection, rows, unreadable), which.status)
                numbers = [row["id"] for row in rows if row is not None]
                if len(rows) < step or not numbers:
                    break
                start = numbers[-1]
            return Page(items=tuple(found[:limit]), has_more=len(found) > limit)

        return await self._database.search(work)

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        conditions = message_conditions(account_id, which)

        def work(connection: apsw.Connection) -> int:
            if which.status is None:
                return int(fetch_value(connection, conditions.of(SQL["count_messages"]), **conditions.values))
            groups = fetch_rows(connection, conditions.of(SQL["count_messages_by_status"]), **conditions.values)
            return sum(row["number"] for row in groups if _status_of_group(row) is which.status)

        return await self._database.search(work)

    async def find_delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        row = self._database.fetch_row(SQL["find_delivery"], id=delivery_id)
        return read_view(row) if row else None

    async def record_engagements(self, engagements: Sequence[Engagement]) -> int:
        def action(connection: apsw.Connection, rows: Rows) -> tuple[int, list[tuple[int, str]]]:
            count, suppressed = 0, []
            for each in engagements:
                row = fetch_row(connection, SQL["subject_of_delivery"], id=each.delivery_id)
                if row is None:
                    continue
                subject, moment = read_subject(row), to_ms(each.happened_at)
                rows.add_events(subject, (each.event,), moment)
                if each.suppression is not None:
                    suppress(connection, subject.account_id, each.suppression, moment)
                    suppressed.append((subject.account_id, each.suppression.email))
                if each.unsubscribe is not None:
                    unsubscribe(connection, subject.account_id, each.unsubscribe, moment)
                count += 1
            return count, suppressed

        count, suppressed = await self._database.write(action)
        for account_id, email in suppressed:
            self._suppressed.add(account_id, (email,))
        return count

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        conditions = event_conditions(account_id, which)
        values = {**conditions.values, "before": id_below(before), "limit": limit + 1}
        rows = await self._database.search_rows(conditions.of(SQL["list_events"]), EVENT_PREFIX, **values)
        return self._database.unreadable.page(rows, show_event, limit)

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        conditions = event_conditions(account_id, which)
        statement = conditions.of(SQL["count_events"])
        return int(await self._database.search(lambda connection: fetch_value(connection, statement, **conditions.values)))


def status_of(summary: MessageSummary) -> MessageStatus:
    """The public status of a summary."""
    return derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)


def _status_of_group(row: Row) -> MessageStatus:
    tried, _, states = (row["kind"] or "0 ").partition(" ")
    found = {DeliveryState(state): 1 for state in states.split(",") if state}
    return derive_status(found, has_attempts=tried == "1", is_complained=bool(row["is_complained"]))


def _of_status(summaries: list[MessageSummary], status: MessageStatus | None) -> list[MessageSummary]:
    return [each for each in summaries if status is None or status_of(each) is status]


def _summarise(connection: apsw.Connection, rows: Sequence[Row | None], unreadable: Unreadable) -> list[MessageSummary]:
    """Summaries of the messages in these rows, from one query of all their deliveries and one of all their events."""
    messages = unreadable.keep(rows, show_message)
    numbers = to_json([message.id for message in messages])
    deliveries: dict[int, list[Row]] = {}
    for row in fetch_rows(connection, SQL["summarise_deliveries"], ids=numbers):
        deliveries.setdefault(row["message_id"], []).append(row)
    events = {row["message_id"]: row for row in fetch_rows(connection, SQL["summarise_events"], ids=numbers)}
    summaries = []
    for message in messages:
        groups, last = deliveries.get(message.id, []), events.get(message.id)
        sent = min((row["delivered_at"] for row in groups if row["delivered_at"] is not None), default=None)
        summaries.append(
            MessageSummary(
                message=message,
                states={DeliveryState(row["state"]): row["number"] for row in groups},
                has_attempts=any(row["attempts"] for row in groups),
                is_complained=bool(last and last["complaints"]),
                sent_at=None if sent is None else from_ms(sent),
                last_event=EventType(last["type"]) if last and last["type"] else None,
            )
        )
    return summaries
