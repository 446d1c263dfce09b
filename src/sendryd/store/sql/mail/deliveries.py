"""Claiming deliveries and recording outcomes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Any, Final

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType
from sendryd.model.ids import DELIVERY_PREFIX, AccountId, DeliveryId, MessageId
from sendryd.model.message import MessageClass
from sendryd.store.base import (
    Capture,
    Claim,
    CrashPause,
    CrowdedLane,
    EventMaker,
    Lease,
    NewEvent,
    OneHop,
    Outcome,
    Owner,
    ReturnedDelivery,
    Simulator,
)
from sendryd.store.base.leases import plan_returns
from sendryd.store.codec.events import EventSubject, read_subject
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import from_ms, to_json, to_ms, to_ms_or_none
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import REFUSED
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.errors import LeaseLost, NotFound
from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.suppressed import Suppressed
from sendryd.store.sql.mail.batch import Recording, Rows
from sendryd.store.sql.mail.changes import move
from sendryd.store.sql.mail.claims import ALL_SHARDS, DueScan, Look
from sendryd.store.sql.mail.damaged import SIGNS, hold_damaged, set_aside_damaged
from sendryd.store.sql.mail.leasing import lease_chosen
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sql.place import Place, place_of

TAKEN_UP_AT_ONCE: Final = 1000  # deliveries of one transaction: other writers wait no longer than for it


class Deliveries:
    """`DeliveryStore`."""

    _database: Database
    _scan: DueScan
    _suppressed: Suppressed
    _claiming: asyncio.Lock  # two concurrent scans would choose the same deliveries

    async def claim_deliveries(
        self,
        *,
        now: datetime,
        lease: Lease,
        limit: int,
        busy: frozenset[str],
        per_domain: int,
        settled: datetime | None = None,
        served: frozenset[tuple[AccountId, MessageClass]] = frozenset(),
        crowded: Sequence[CrowdedLane] = (),
        one_hop: OneHop | None = None,
    ) -> list[Claim]:
        moment = to_ms(now)
        if limit <= 0 or per_domain <= 0:
            return []
        first = await self._first_due(ALL_SHARDS if one_hop is not None and one_hop.is_of_all_shards else self._scan.shards)
        if first is None:
            return []
        if not isinstance(first, int):  # numbers sort first: all queued deliveries are damaged
            await set_aside_damaged(self._database)
            return []
        if first > moment:
            return []
        begin = partial(self._scan.begin, moment, limit, busy, per_domain, to_ms(settled or now), served, crowded=crowded, one_hop=one_hop)
        async with self._claiming:
            try:
                return await self._claim(lease, begin(), moment)
            except SIGNS:
                if not await set_aside_damaged(self._database):
                    raise
            return await self._claim(lease, begin(), moment)

    async def _claim(self, lease: Lease, look: Look, moment: int) -> list[Claim]:
        chosen = await self._database.read(look.choose)
        unreadable, claims = self._database.unreadable, list[Claim]()
        if chosen:
            claims = await self._database.write(
                lambda connection, _: lease_chosen(connection, chosen, lease, moment, unreadable, look.shards),
                is_alone=False,
            )
        self._scan.finish(look)
        return claims

    async def _first_due(self, shards: str) -> Any:
        """The first due time in milliseconds; a value of another type if all queued deliveries are damaged; None if nothing is queued."""
        row = await self._database.find_row(SQL["first_due"], shards=shards)
        return row["due_at"] if row else None

    async def _place(self, message_id: MessageId) -> Place:
        row = await self._database.find_row(SQL["read_content"], id=message_id)
        if row is None:
            raise NotFound("no such message")
        return place_of(message_id, row)

    async def read_content(self, message_id: MessageId) -> bytes:
        place = await self._place(message_id)
        return await self._database.read_content(place)

    async def stream_content(self, message_id: MessageId) -> AsyncIterator[bytes]:
        place = await self._place(message_id)
        async with aclosing(self._database.stream_content(place)) as pieces:  # a reader may stop early
            async for piece in pieces:
                yield piece

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        recording, ids = Recording(lease, outcomes, to_ms(now)), [outcome.delivery_id for outcome in outcomes]
        await self._database.write(lambda _, rows: rows.recordings.append(recording), is_alone=False, deliveries=ids)
        if recording.is_lost:
            raise LeaseLost("the lease was returned, or another worker holds the delivery")
        for account_id, email in recording.suppressed:
            self._suppressed.add(account_id, (email,))
        if any(outcome.due_at is not None and self._scan.is_behind(to_ms(outcome.due_at)) for outcome in outcomes):
            self._scan.restart()

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        await self._queue_again(SQL["release"], delivery_ids, token=lease.token, boot=lease.owner.boot)

    async def return_leases(self, owner: Owner, delivery_ids: Sequence[DeliveryId], now: datetime) -> int:
        return await self._queue_again(SQL["return_leases"], delivery_ids, boot=owner.boot, moment=to_ms(now))

    async def list_leased(self, owner: Owner) -> list[tuple[int, DeliveryId]]:
        rows = await self._database.read_rows(SQL["list_leased"], boot=owner.boot, node=owner.node)
        return [(row["lease_token"], DeliveryId(row["id"])) for row in rows]

    async def return_dead_leases(self, living: Owner, *, now: datetime, pause: CrashPause) -> list[ReturnedDelivery]:
        unreadable = self._database.unreadable

        def action(connection: Connection, _rows: Rows) -> tuple[list[ReturnedDelivery], set[str]]:
            found = fetch_rows(connection, SQL["list_dead_leases"], boot=living.boot, node=living.node)
            returned = plan_returns(((row["id"], row["message_id"], row["crashes"]) for row in found), now, pause)
            domains = set[str]()
            for each in returned:
                try:
                    rows = unreadable.fetch(connection, SQL["return_dead_lease"], DELIVERY_PREFIX, _returned_values(each, now))
                except REFUSED:
                    hold_damaged(connection, [each.id], unreadable)
                    continue
                domains |= {row["domain"] for row in rows if row is not None}
            return returned, domains

        returned, domains = await self._database.write(action)
        self._scan.look_again_at(domains)
        return returned

    async def _queue_again(self, statement: Statement, delivery_ids: Sequence[DeliveryId], **values: Any) -> int:
        """Runs a statement that returns the domain of each delivery that it has queued."""
        unreadable = self._database.unreadable
        values["ids"] = to_json(delivery_ids)
        rows = await self._database.write(
            lambda connection, _: unreadable.fetch(connection, statement, DELIVERY_PREFIX, values), is_alone=False, deliveries=delivery_ids
        )
        self._scan.look_again_at({row["domain"] for row in rows if row is not None})
        return len(rows)

    async def bring_forward(self, *, now: datetime, latest: datetime, limit: int) -> int:
        rows = await self._database.read_rows(SQL["list_late"], latest=to_ms(latest), limit=limit)
        count = await move(self._database, [row["id"] for row in rows], (DeliveryState.QUEUED, DeliveryState.QUEUED), now)
        if count:
            self._scan.restart()
        return count

    async def expire_deliveries(
        self,
        *,
        now: datetime,
        created_before: datetime,
        make_event: EventMaker,
        limit: int,
        released_before: datetime | None = None,
        is_otp: bool = False,
    ) -> int:
        rows = await self._database.read_rows(
            SQL["list_overdue_otp" if is_otp else "list_overdue"],
            moment=to_ms(now),
            created_before=to_ms(created_before),
            released_before=to_ms(released_before or now),
            limit=limit,
        )
        states = (DeliveryState.QUEUED, DeliveryState.EXPIRED)
        count = 0
        for is_in_doubt, metadata in ((False, {"reason": "expired"}), (True, {"reason": "expired", "possibly_duplicate": True})):
            numbers = [row["id"] for row in rows if bool(row["is_in_doubt"]) is is_in_doubt]
            count += await move(self._database, numbers, states, now, (make_event, EventType.FAILED, metadata))
        return count

    async def capture_due(self, *, now: datetime, simulate: Simulator, limit: int) -> list[Capture]:
        moment = to_ms(now)
        if await self._database.find_row(SQL["has_captures"], moment=moment) is None:
            return []
        rows = await self._database.list_rows(SQL["list_captures"], DELIVERY_PREFIX, moment=moment, limit=limit)
        simulated = {row["id"]: simulate(row["forward_path"]) for row in rows if row is not None}
        if not simulated:
            return []

        def action(connection: Connection, rows: Rows) -> list[Capture]:
            captured: list[Capture] = []
            for number, (state, events) in simulated.items():
                if not change(connection, SQL["begin_capture"], id=number, moment=moment):
                    continue
                delivered_at = moment if state is DeliveryState.DELIVERED else None
                change(connection, SQL["end_capture"], id=number, state=state.value, delivered_at=delivered_at)
                row = fetch_row(connection, SQL["subject_of_delivery"], id=number)
                subject = read_subject(row) if row else EventSubject(number, 0, "", 0, "live")
                rows.add_events(subject, events, moment)
                if row:
                    captured.append(_capture(subject, state, events))
            return captured

        return await self._database.write(action, is_alone=False)

    async def take_up_again(self, reply: str, now: datetime) -> int:
        values = {"moment": to_ms(now), "reply": reply, "limit": TAKEN_UP_AT_ONCE}
        number, last = 0, TAKEN_UP_AT_ONCE
        while last == TAKEN_UP_AT_ONCE:
            last = await self._database.change(SQL["take_up_again"], **values)
            number += last
        return number

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        first = await self._first_due(self._scan.shards)
        if busy and first is not None:
            values = {"busy": to_json(sorted(busy)), "shards": self._scan.shards}
            first = await self._database.read(partial(_first_due_but, values=values))
        return from_ms(first) if isinstance(first, int) else None


def _first_due_but(connection: Connection, values: Row) -> Any:
    connection.follow_indexes()
    return connection.value(SQL["first_due_but"], values)


def _returned_values(returned: ReturnedDelivery, now: datetime) -> dict[str, Any]:
    is_held = returned.due_at is None
    return {
        "id": returned.id,
        "state": (DeliveryState.HELD if is_held else DeliveryState.QUEUED).value,
        "due_at": to_ms_or_none(returned.due_at),
        "moment": to_ms(now),
        "crashes": returned.crashes,
        "hold_reason": HoldReason.CRASHES.value if is_held else None,
    }


def _capture(subject: EventSubject, state: DeliveryState, events: Sequence[NewEvent]) -> Capture:
    return Capture(
        account_id=AccountId(subject.account_id),
        message_id=MessageId(subject.message_id),
        recipient=subject.recipient,
        state=state,
        metadata=events[-1].metadata if events else {},
    )
