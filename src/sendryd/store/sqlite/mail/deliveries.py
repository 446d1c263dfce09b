"""Claiming and recording in SQLite."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import apsw

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, AccountId, DeliveryId, MessageId, format_id
from sendryd.model.message import Message
from sendryd.store.base import (
    Capture,
    Claim,
    ClaimedDelivery,
    CrashPause,
    EventMaker,
    Lease,
    NewEvent,
    Outcome,
    Owner,
    Player,
    ReturnedDelivery,
)
from sendryd.store.base.leases import plan_returns
from sendryd.store.codec.mail import read_claimable
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import from_ms, to_json, to_ms, to_ms_or_none
from sendryd.store.errors import LeaseLost, NotFound, RowUnreadable
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.records import Place
from sendryd.store.sqlite.engine.unreadable import NOT_TEXT, Unreadable
from sendryd.store.sqlite.lists.suppressed import Suppressed
from sendryd.store.sqlite.mail.batch import Recording, Rows, add_events
from sendryd.store.sqlite.mail.changes import move
from sendryd.store.sqlite.mail.claims import DueScan
from sendryd.store.sqlite.mail.damaged import SIGNS, hold_damaged, read_claimed, set_aside_damaged
from sendryd.store.sqlite.mail.queries import SQL

READ_INLINE: Final = 64 * 1024  # octets of content read where it is asked for; more is left to a thread


class Deliveries:
    """`DeliveryStore`."""

    _database: Database
    _scan: DueScan
    _suppressed: Suppressed
    _claiming: asyncio.Lock  # two scans at once would choose the same

    async def claim_deliveries(
        self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[str], per_domain: int, settled: datetime | None = None
    ) -> list[Claim]:
        moment = to_ms(now)
        if limit <= 0 or per_domain <= 0:
            return []
        first = self._database.fetch_one(SQL["first_due"])
        if not first or first[0] is None:
            return []
        if not isinstance(first[0], int):  # numbers come first: nothing else is left
            await set_aside_damaged(self._database)
            return []
        if first[0] > moment:
            return []
        which = (moment, limit, busy, per_domain, to_ms(settled or now))
        async with self._claiming:
            try:
                return await self._claim(lease, which)
            except SIGNS:
                if not await set_aside_damaged(self._database):
                    raise
            return await self._claim(lease, which)

    async def _claim(self, lease: Lease, which: tuple[int, int, frozenset[str], int, int]) -> list[Claim]:
        look = self._scan.begin(*which)
        chosen = await self._database.read(look.choose)
        claims: list[Claim] = (
            await self._database.write(lambda connection, _: _lease(connection, chosen, lease, which[0], self._database.unreadable))
            if chosen
            else []
        )
        self._scan.finish(look)
        return claims

    async def read_content(self, message_id: MessageId) -> bytes:
        row = self._database.fetch_one(SQL["read_content"], message_id)
        if row is None:
            raise NotFound("no such message")
        place = Place(message_id, *row)
        if place.size <= READ_INLINE:
            return self._database.segments.read(place)
        return await self._database.in_thread(partial(self._database.segments.read, place))

    async def stream_content(self, message_id: MessageId) -> AsyncIterator[bytes]:
        row = self._database.fetch_one(SQL["read_content"], message_id)
        if row is None:
            raise NotFound("no such message")
        for piece in self._database.segments.stream(Place(message_id, *row)):
            yield piece

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        recording = Recording(lease, outcomes, to_ms(now))
        await self._database.write(lambda _, rows: rows.recordings.append(recording))
        if recording.is_lost:
            raise LeaseLost("somebody else holds the delivery, or nobody does")
        for account_id, email in recording.suppressed:
            self._suppressed.add(account_id, (email,))
        if any(outcome.due_at is not None and self._scan.is_behind(to_ms(outcome.due_at)) for outcome in outcomes):
            self._scan.begin_anew()

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        await self._queue_again("release", (to_json(delivery_ids), lease.token, lease.owner.boot))

    async def return_leases(self, owner: Owner, delivery_ids: Sequence[DeliveryId], now: datetime) -> int:
        return await self._queue_again("return_leases", (to_json(delivery_ids), owner.boot, to_ms(now)))

    async def list_leased(self, owner: Owner) -> list[tuple[int, DeliveryId]]:
        values = (owner.boot, owner.node)
        rows: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["list_leased"], values).fetchall()
        )
        return [(token, DeliveryId(number)) for token, number in rows]

    async def return_dead_leases(self, living: Owner, *, now: datetime, pause: CrashPause) -> list[ReturnedDelivery]:
        unreadable = self._database.unreadable

        def action(connection: apsw.Connection, _rows: Rows) -> tuple[list[ReturnedDelivery], set[str]]:
            found: list[tuple[Any, ...]] = connection.execute(SQL["list_dead_leases"], (living.boot, living.node)).fetchall()
            returned, domains = plan_returns(found, now, pause), set[str]()
            for each in returned:
                state = DeliveryState.QUEUED if each.due_at is not None else DeliveryState.HELD
                reason = HoldReason.CRASHES.value if each.due_at is None else None
                values = (each.id, state.value, to_ms_or_none(each.due_at), to_ms(now), each.crashes, reason)
                try:
                    rows = unreadable.fetch(connection.execute(SQL["return_dead_lease"], values), DELIVERY_PREFIX)
                except apsw.ConstraintError:
                    hold_damaged(connection, [each.id], unreadable)
                    continue
                domains |= {row[0] for row in rows if row is not None}
            return returned, domains

        returned, domains = await self._database.write(action)
        self._scan.look_again_at(domains)
        return list(returned)

    async def _queue_again(self, name: str, values: tuple[Any, ...]) -> int:
        """Runs a statement that returns the domain of each delivery that it has queued."""
        unreadable = self._database.unreadable
        rows: list[tuple[Any, ...] | None] = await self._database.write(
            lambda connection, _: unreadable.fetch(connection.execute(SQL[name], values), DELIVERY_PREFIX)
        )
        self._scan.look_again_at({row[0] for row in rows if row is not None})
        return len(rows)

    async def bring_forward(self, *, now: datetime, latest: datetime, limit: int) -> int:
        rows: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["list_late"], (to_ms(latest), limit)).fetchall()
        )
        count = await move(self._database, [number for (number,) in rows], (DeliveryState.QUEUED, DeliveryState.QUEUED), now)
        if count:
            self._scan.begin_anew()
        return count

    async def expire_deliveries(
        self, *, now: datetime, created_before: datetime, make_event: EventMaker, limit: int, released_before: datetime | None = None
    ) -> int:
        values = (to_ms(now), to_ms(created_before), limit, to_ms(released_before or now))
        rows: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["list_overdue"], values).fetchall()
        )
        states = (DeliveryState.QUEUED, DeliveryState.EXPIRED)
        count = 0
        for is_in_doubt, metadata in ((False, {"reason": "expired"}), (True, {"reason": "expired", "possibly_duplicate": True})):
            numbers = [number for number, was_in_doubt in rows if bool(was_in_doubt) is is_in_doubt]
            count += await move(self._database, numbers, states, now, (make_event, EventType.FAILED, metadata))
        return count

    async def capture_due(self, *, now: datetime, play: Player, limit: int) -> list[Capture]:
        moment = to_ms(now)
        rows = (
            await self._database.read_rows(SQL["list_captures"], DELIVERY_PREFIX, moment, limit)
            if self._database.fetch_one(SQL["has_captures"], moment)
            else []
        )
        found = [row for row in rows if row is not None]
        if not found:
            return []
        played = {number: play(forward_path) for number, forward_path in found}

        def action(connection: apsw.Connection, rows: Rows) -> list[Capture]:
            captured: list[Capture] = []
            for number, (state, events) in played.items():
                connection.execute(SQL["begin_capture"], (number, moment))
                if connection.changes():
                    connection.execute(SQL["end_capture"], (number, state.value, moment if state is DeliveryState.DELIVERED else None))
                    owner = connection.execute(SQL["owner_of_delivery"], (number,)).fetchone()
                    add_events(rows, owner or (number, 0, "", 0, ""), events, moment)
                    if owner:
                        captured.append(_capture(owner, state, events))
            return captured

        captured: list[Capture] = await self._database.write(action)
        return captured

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        row = self._database.fetch_one(SQL["first_due"])
        if busy and row and row[0] is not None:
            row = await self._database.read(
                lambda connection: connection.execute(SQL["first_due_but"], (to_json(sorted(busy)),)).fetchone()
            )
        return from_ms(row[0]) if row and isinstance(row[0], int) else None


def _capture(owner: Row, state: DeliveryState, events: Sequence[NewEvent]) -> Capture:
    return Capture(
        account_id=AccountId(owner[3]),
        message_id=MessageId(owner[1]),
        recipient=owner[2],
        state=state,
        metadata=events[-1].metadata if events else {},
    )


def _lease(connection: apsw.Connection, chosen: Sequence[int], lease: Lease, moment: int, unreadable: Unreadable) -> list[Claim]:
    """Leases those that are still queued and due, in this order: since they were chosen, some may have been cancelled or postponed. Those
    that cannot be read, or whose message cannot, are held.
    """
    values = (lease.token, lease.owner.node, lease.owner.boot, to_json(chosen), moment)
    leased = unreadable.fetch(connection.execute(SQL["lease_deliveries"], values), None)
    rows = [row for row in leased if row is not None]
    places = {number: place for place, number in enumerate(chosen)}
    rows.sort(key=lambda row: places[row[0]])
    numbers = to_json(list({row[1] for row in rows}))
    found = unreadable.fetch(connection.execute(SQL["get_messages"], (numbers,)), MESSAGE_PREFIX)
    messages: dict[int, Message] = {message.id: message for message in unreadable.keep(found, read_claimable)}
    deliveries = {delivery.id: delivery for delivery in unreadable.keep(rows, read_claimed)}
    groups: dict[tuple[int, str], list[ClaimedDelivery]] = {}
    held = [row[0] for row in rows if row[1] not in messages or row[0] not in deliveries]
    lost = {row[1] for row in rows}.difference(row[0] for row in found if row is not None) if None not in found else set()
    for row in rows:
        if row[1] in lost:
            unreadable.note(RowUnreadable(format_id(DELIVERY_PREFIX, row[0]), "its message is gone"))
    if len(rows) < len(leased):
        known = {row[0] for row in rows}
        all_leased: list[tuple[Any, ...]] = connection.execute(SQL["list_leased_now"], (to_json(chosen), lease.token)).fetchall()
        for (number,) in all_leased:
            if number not in known:
                held.append(number)
                unreadable.note(RowUnreadable(format_id(DELIVERY_PREFIX, number), NOT_TEXT))
    if held:
        connection.execute(SQL["hold_unreadable"], (to_json(held), lease.token)).fetchall()
    for row in rows:
        if row[1] in messages and row[0] in deliveries:
            groups.setdefault((row[1], row[3]), []).append(deliveries[row[0]])
    return [
        Claim(message=messages[number], domain=domain, deliveries=tuple(group), lease=lease) for (number, domain), group in groups.items()
    ]
