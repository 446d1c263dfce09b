"""Accepting, claiming and recording in SQLite, and what an operator does with the queue."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import apsw

from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import DeliveryId, MessageId
from sendryd.model.message import Message
from sendryd.store.base import (
    Claim,
    ClaimedDelivery,
    EventMaker,
    Lease,
    NewEvent,
    NewMessage,
    Outcome,
    QueuedDelivery,
    QueueFilter,
)
from sendryd.store.errors import LeaseLost, NotFound
from sendryd.store.sqlite.database import Database
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.rows import (
    delivery_row,
    event_row,
    from_ms,
    message_row,
    read_message,
    to_ms,
    to_ms_or_none,
)
from sendryd.store.sqlite.writer import Rows

READ_INLINE: Final = 64 * 1024  # octets of content read where it is asked for; more is left to a thread
WINDOW: Final = 512  # due deliveries looked at in order of time, before domains are looked at one by one
DOMAIN_STEPS: Final = 256  # domains looked at in one claim; the next claim goes on behind them
MAX_REPLY: Final = 1000  # characters of a reply that are kept

_QUEUE_COLUMNS: Final = """
SELECT m.id, m.account_id, m.api_key_id, m.mode, m.reverse_path, m.author, m.recipients, m.subject, m.internet_message_id, m.size,
       m.created_at, m.signing_domain_id, m.needs_smtputf8, m.is_8bit, m.ret, m.envid,
       d.id, d.forward_path, d.domain, d.state, d.attempts, d.due_at, d.created_at, d.last_reply
FROM delivery d JOIN message m ON m.id = d.message_id
"""


class Deliveries:
    """`AcceptStore`, `DeliveryStore` and `QueueStore`."""

    _database: Database
    _next_domain = ""  # where the next look at domains begins

    async def accept(self, message: NewMessage) -> None:
        await self._database.write(lambda _, rows: _add(message, rows), size=len(message.content))

    async def claim_deliveries(self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[str], per_domain: int) -> list[Claim]:
        moment = to_ms(now)
        if limit <= 0:
            return []
        first = self._database.fetch_one("first_due")
        if not first or first[0] is None or first[0] > moment:
            return []

        def action(connection: apsw.Connection, _rows: Rows) -> list[Claim]:
            chosen = self._choose(connection, moment, limit, busy, per_domain)
            return _lease(connection, chosen, lease)

        claims: list[Claim] = await self._database.write(action)
        return claims

    def _choose(self, connection: apsw.Connection, moment: int, limit: int, busy: frozenset[str], per_domain: int) -> list[int]:
        """Ids of due deliveries: the oldest first; if those are mostly of busy domains, then domain by domain."""
        chosen: list[int] = []
        taken: dict[str, int] = {}
        window: list[tuple[Any, ...]] = connection.execute(SQL["list_due"], (moment, WINDOW)).fetchall()
        for number, domain, _ in window:
            if len(chosen) >= limit:
                return chosen
            if domain not in busy and taken.get(domain, 0) < per_domain:
                taken[domain] = taken.get(domain, 0) + 1
                chosen.append(number)
        if len(window) < WINDOW:
            return chosen
        seen = set(chosen)
        start, has_wrapped = self._next_domain, False
        for _ in range(DOMAIN_STEPS):
            row = connection.execute(SQL["next_domain"], (self._next_domain,)).fetchone()
            if row is None:
                if has_wrapped or not start:
                    break
                self._next_domain, has_wrapped = "", True
                continue
            domain, due_at = row
            self._next_domain = domain
            room = min(per_domain - taken.get(domain, 0), limit - len(chosen))
            if domain in busy or due_at > moment or room <= 0:
                if len(chosen) >= limit:
                    break
                continue
            rows: list[tuple[Any, ...]] = connection.execute(SQL["list_due_of_domain"], (domain, moment, per_domain)).fetchall()
            chosen += [number for number, _, _ in rows if number not in seen][:room]
        return chosen

    async def read_content(self, message_id: MessageId) -> bytes:
        row = self._database.fetch_one("read_content", message_id)
        if row is None:
            raise NotFound("no such message")
        segment, position, size = row
        segments = self._database.segments
        if size <= READ_INLINE:
            return segments.read(segment, position, size)
        return await self._database.in_thread(lambda: segments.read(segment, position, size))

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        moment = to_ms(now)

        def action(connection: apsw.Connection, rows: Rows) -> None:
            for outcome in outcomes:
                values = (
                    outcome.delivery_id,
                    lease.token,
                    outcome.state.value,
                    to_ms_or_none(outcome.due_at),
                    1 if outcome.is_attempt else 0,
                    outcome.reply[:MAX_REPLY],
                    moment if outcome.state is DeliveryState.DELIVERED else None,
                )
                row = connection.execute(SQL["record_outcome"], values).fetchone()
                if row is None:
                    raise LeaseLost("somebody else holds the delivery, or nobody does")
                _add_events(connection, rows, outcome.delivery_id, row, outcome.events, moment)

        await self._database.write(action)

    async def extend_lease(self, lease: Lease, delivery_ids: Sequence[DeliveryId], until: datetime) -> None:
        def action(connection: apsw.Connection, _rows: Rows) -> None:
            for number in delivery_ids:
                connection.execute(SQL["extend_lease"], (to_ms(until), number, lease.token))
                if not connection.changes():
                    raise LeaseLost("somebody else holds the delivery, or nobody does")

        await self._database.write(action)

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        values = [(number, lease.token) for number in delivery_ids]
        await self._database.write(lambda connection, _: connection.executemany(SQL["release"], values).fetchall())

    async def return_leases(self, *, now: datetime, all_of_them: bool = False) -> int:
        moment = to_ms(now)
        latest = (1 << 62) if all_of_them else moment
        return await self._count("return_leases", (moment, latest))

    async def _count(self, name: str, values: tuple[int, ...]) -> int:
        def action(connection: apsw.Connection, _rows: Rows) -> int:
            connection.execute(SQL[name], values)
            return int(connection.changes())

        return int(await self._database.write(action))

    async def expire_deliveries(self, *, now: datetime, created_before: datetime, make_event: EventMaker, limit: int) -> int:
        overdue = self._database.fetch_all("list_overdue", to_ms(now), to_ms(created_before), limit)
        if not overdue:
            return 0
        events = [make_event(EventType.FAILED, {"reason": "expired"}) for _ in overdue]
        return await self._move([number for (number,) in overdue], DeliveryState.QUEUED, DeliveryState.EXPIRED, now, events)

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        row = self._database.fetch_one("first_due")
        if not row or row[0] is None:
            return None
        if not busy:
            return from_ms(row[0])

        def work(connection: apsw.Connection) -> int | None:
            earliest: int | None = None
            domain = ""
            for _ in range(DOMAIN_STEPS):
                found = connection.execute(SQL["next_domain"], (domain,)).fetchone()
                if found is None:
                    break
                domain, due_at = found
                if domain not in busy and (earliest is None or due_at < earliest):
                    earliest = due_at
            return earliest

        found = await self._database.read(work)
        return None if found is None else from_ms(found)

    # The operator.

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        condition, values = _queue_condition(which)
        query = f"{_QUEUE_COLUMNS} WHERE {condition} ORDER BY d.id DESC LIMIT ?"
        rows = await self._database.read(lambda connection: connection.execute(query, (*values, -1 if limit is None else limit)).fetchall())
        return [_read_queued(row) for row in rows]

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        rows: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(SQL["count_queue"]).fetchall())
        return {DeliveryState(state): count for state, count in rows}

    async def hold(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.QUEUED, DeliveryState.HELD, now)

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.HELD, DeliveryState.QUEUED, now)

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        return await self._move_all(which, DeliveryState.QUEUED, DeliveryState.QUEUED, now)

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        count = 0
        for state in (DeliveryState.QUEUED, DeliveryState.HELD):
            numbers = await self._find(which, state)
            events = [make_event(EventType.CANCELLED, {}) for _ in numbers]
            count += await self._move(numbers, state, DeliveryState.CANCELLED, now, events)
        return count

    async def _move_all(self, which: QueueFilter, before: DeliveryState, after: DeliveryState, now: datetime) -> int:
        return await self._move(await self._find(which, before), before, after, now, None)

    async def _find(self, which: QueueFilter, state: DeliveryState) -> list[int]:
        condition, values = _queue_condition(which)
        query = f"SELECT d.id FROM delivery d JOIN message m ON m.id = d.message_id WHERE ({condition}) AND d.state = ? ORDER BY d.id"
        rows: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(query, (*values, state.value)).fetchall()
        )
        return [number for (number,) in rows]

    async def _move(
        self,
        numbers: Sequence[int],
        before: DeliveryState,
        after: DeliveryState,
        now: datetime,
        events: Sequence[NewEvent] | None,
    ) -> int:
        moment = to_ms(now)
        due_at = moment if after is DeliveryState.QUEUED else None

        def action(connection: apsw.Connection, rows: Rows) -> int:
            moved = 0
            for position, number in enumerate(numbers):
                row = connection.execute(SQL["set_state"], (number, after.value, due_at, before.value)).fetchone()
                if row is not None:
                    moved += 1
                    if events:
                        _add_events(connection, rows, number, row, (events[position],), moment)
            return moved

        return int(await self._database.write(action)) if numbers else 0


def _add(new: NewMessage, rows: Rows) -> None:
    message = new.message
    rows.messages.append(message_row(new))
    rows.contents.append(new.content)
    created = to_ms(message.created_at)
    for delivery in new.deliveries:
        rows.deliveries.append(delivery_row(new, delivery))
        rows.events += [
            event_row(
                event,
                message_id=message.id,
                delivery_id=delivery.id,
                account_id=message.account_id,
                mode=message.mode.value,
                recipient=delivery.forward_path,
                created_at=created,
            )
            for event in delivery.events
        ]


def _add_events(
    connection: apsw.Connection,
    rows: Rows,
    delivery_id: int,
    delivery: Sequence[Any],
    events: Iterable[NewEvent],
    moment: int,
) -> None:
    message_id, forward_path = delivery
    stream = connection.execute(SQL["read_stream"], (message_id,)).fetchone()
    account_id, mode = stream or (0, "live")
    rows.events += [
        event_row(
            event,
            message_id=message_id,
            delivery_id=delivery_id,
            account_id=account_id,
            mode=mode,
            recipient=forward_path,
            created_at=moment,
        )
        for event in events
    ]


def _lease(connection: apsw.Connection, chosen: Sequence[int], lease: Lease) -> list[Claim]:
    until = to_ms(lease.until)
    groups: dict[tuple[int, str], list[ClaimedDelivery]] = {}
    for number in chosen:
        connection.execute(SQL["lease_delivery"], (lease.token, until, number))
        row: tuple[Any, ...] = next(connection.execute(SQL["read_claimed"], (number,)))
        claimed = ClaimedDelivery(
            id=DeliveryId(row[0]),
            forward_path=row[2],
            domain=row[3],
            attempts=row[4],
            is_in_doubt=bool(row[5]),
            notify=row[6],
            orcpt=row[7],
        )
        groups.setdefault((row[1], row[3]), []).append(claimed)
    messages: dict[int, Message] = {}
    for number, _ in groups:
        if number not in messages:
            messages[number] = read_message(next(connection.execute(SQL["get_message_row"], (number,))))
    return [
        Claim(message=messages[number], domain=domain, deliveries=tuple(deliveries), lease=lease)
        for (number, domain), deliveries in groups.items()
    ]


def _queue_condition(which: QueueFilter) -> tuple[str, list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    states = which.states
    if states is None and which.message_id is None and which.delivery_id is None:
        states = WAITING_STATES
    if states is not None:
        conditions.append(f"d.state IN ({', '.join(['?'] * len(states))})")
        values += [state.value for state in states]
    for column, value in (("d.domain", which.domain), ("d.message_id", which.message_id), ("d.id", which.delivery_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if which.has_attempts is not None:
        conditions.append("d.attempts > 0" if which.has_attempts else "d.attempts = 0")
    if which.created_before is not None:
        conditions.append("d.created_at < ?")
        values.append(to_ms(which.created_before))
    return " AND ".join(conditions) or "1", values


def _read_queued(row: Sequence[Any]) -> QueuedDelivery:
    return QueuedDelivery(
        id=DeliveryId(row[16]),
        message=read_message(row[:16]),
        forward_path=row[17],
        domain=row[18],
        state=DeliveryState(row[19]),
        attempts=row[20],
        due_at=from_ms(row[21]),
        created_at=from_ms(row[22]),
        last_reply=row[23],
    )
