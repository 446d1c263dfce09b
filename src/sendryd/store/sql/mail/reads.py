"""The reads of the API and the dashboard."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event
from sendryd.model.ids import EVENT_PREFIX, MESSAGE_PREFIX, AccountId, DeliveryId, DomainId, EventId, MessageId
from sendryd.model.message import MessageStatus, MessageSummary, derive_status
from sendryd.store.base import DeliveryView, DomainTraffic, Engagement, EventFilter, MessageFilter, Page
from sendryd.store.codec.deliveries import read_view
from sendryd.store.codec.events import read_subject, show_event
from sendryd.store.codec.messages import show_message
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import first_id, id_below, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import fetch_row, fetch_rows, fetch_value
from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.suppressed import Suppressed
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.filters import event_conditions, message_conditions
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sql.mail.searching import LONGEST, Searching
from sendryd.store.sql.mail.summaries import of_status, summarise


class Reads(Searching):
    """`EventStore`, `SearchStore`."""

    _database: Database
    _suppressed: Suppressed

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        unreadable = self._database.unreadable

        def work(connection: Connection) -> MessageSummary | None:
            row = fetch_row(connection, SQL["get_message"], account_id=account_id, id=message_id)
            if row is None:
                return None
            show_message(row)  # raises if no part of it can be shown
            return summarise(connection, [row], unreadable)[0]

        return await self._database.read(work)

    async def count_traffic(self, account_id: AccountId, *, since: datetime, limit: int) -> Mapping[DomainId, DomainTraffic]:
        values = {"account_id": account_id, "first": first_id(since), "limit": limit}
        rows = await self._database.read_rows(SQL["count_traffic"], **values)
        return {DomainId(row["domain_id"]): DomainTraffic(sent=row["sent"], bounced=row["bounced"]) for row in rows}

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        hits = await self._list_rare(account_id, which, limit, before)
        if hits is not None:
            return Page(items=hits.items, has_more=hits.has_more)
        unreadable = self._database.unreadable
        conditions = message_conditions(account_id, which)
        statement = conditions.of(SQL["list_messages"])
        step = limit + 1 if which.status is None else max(self._database.sizes.summaries, limit + 1)

        def work(connection: Connection) -> Page[MessageSummary]:
            found: list[MessageSummary] = []
            start = id_below(before)
            while len(found) <= limit:
                rows = unreadable.fetch(connection, statement, MESSAGE_PREFIX, {**conditions.values, "before": start, "limit": step})
                found += of_status(summarise(connection, rows, unreadable), which.status)
                numbers = [row["id"] for row in rows if row is not None]
                if len(rows) < step or not numbers:
                    break
                start = numbers[-1]
            return Page(items=tuple(found[:limit]), has_more=len(found) > limit)

        return await self._database.search(work)

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        if not which.wanted.is_empty:
            return await self._count_indexed(account_id, which)
        conditions = message_conditions(account_id, which)

        def work(connection: Connection) -> int:
            if which.status is None:
                return int(fetch_value(connection, conditions.of(SQL["count_messages"]), **conditions.values))
            groups = fetch_rows(connection, conditions.of(SQL["count_messages_by_status"]), **conditions.values)
            return sum(row["number"] for row in groups if _status_of_group(row) is which.status)

        return await self._database.search(work)

    async def _count_indexed(self, account_id: AccountId, which: MessageFilter) -> int:
        number, page = 0, await self.list_messages(account_id, which, limit=LONGEST)
        while page.has_more:
            number += len(page.items)
            page = await self.list_messages(account_id, which, limit=LONGEST, before=page.items[-1].message.id)
        return number + len(page.items)

    async def find_delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        row = await self._database.find_row(SQL["find_delivery"], id=delivery_id)
        return read_view(row) if row else None

    async def record_engagements(self, engagements: Sequence[Engagement]) -> int:
        def action(connection: Connection, rows: Rows) -> tuple[int, list[tuple[int, str]]]:
            count, suppressed = 0, []
            for each in engagements:
                row = fetch_row(connection, SQL["subject_of_delivery"], id=each.delivery_id)
                if row is None:
                    continue
                subject, moment = read_subject(row), to_ms(each.happened_at)
                rows.add_events(subject, (each.event,), moment)
                if each.suppression is not None:
                    rows.suppressions.append((subject.account_id, each.suppression, moment))
                    suppressed.append((subject.account_id, each.suppression.email))
                if each.unsubscribe is not None:
                    rows.unsubscribes.append((subject.account_id, each.unsubscribe, moment))
                count += 1
            return count, suppressed

        count, suppressed = await self._database.write(action, is_alone=False)
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


def _status_of_group(row: Row) -> MessageStatus:
    tried, _, states = (row["kind"] or "0 ").partition(" ")
    found = {DeliveryState(state): 1 for state in states.split(",") if state}
    return derive_status(found, has_attempts=tried == "1", is_complained=bool(row["is_complained"]))
