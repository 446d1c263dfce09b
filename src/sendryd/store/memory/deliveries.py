"""Claiming deliveries and recording outcomes, in dictionaries."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NO_DOMAIN, DeliveryState, HoldReason
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, DeliveryId, MessageId
from sendryd.model.message import MessageClass
from sendryd.policy.fairness import WEIGHTS, FairQueue, cost_of
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import lane_of
from sendryd.store.base import (
    Capture,
    Claim,
    CrashPause,
    CrowdedLane,
    EventMaker,
    Lease,
    OneHop,
    Outcome,
    Owner,
    ReturnedDelivery,
    Simulator,
)
from sendryd.store.base.leases import plan_returns
from sendryd.store.errors import LeaseLost
from sendryd.store.memory.delivery import Delivery, read_claimed
from sendryd.store.memory.state import MemoryMail

MAX_REPLY: Final = 1000  # characters


class MemoryDeliveries(MemoryMail):
    """`DeliveryStore`."""

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
        due = [each for each in self._deliveries.values() if each.state is DeliveryState.QUEUED and each.due_at <= now]
        due = [each for each in due if each.message.mode is KeyMode.LIVE]
        due = [each for each in due if (each.message.account_id, each.priority) not in served]
        due = [each for each in due if each.attempts or each.message.scheduled_at is None or each.due_at <= (settled or now)]
        due.sort(key=lambda one: one.due_at)
        chosen = _of_crowded(due, crowded)[:limit]
        others = [each for each in due if each.new.domain not in busy and each not in chosen]
        taken: dict[str, int] = {}
        if one_hop is not None:
            others.sort(key=lambda one: not lane_of(one.new.domain))
        for each in _in_turn(others, per_domain):
            if len(chosen) >= limit:
                break
            if one_hop is not None and not lane_of(each.new.domain):
                if not one_hop.most:
                    break
                one_hop = replace(one_hop, most=one_hop.most - 1)
            if taken.get(each.new.domain, 0) < per_domain:
                taken[each.new.domain] = taken.get(each.new.domain, 0) + 1
                chosen.append(each)
        groups: dict[tuple[MessageId, str, str | None], list[Delivery]] = {}
        for each in chosen:
            each.move(DeliveryState.LEASED)
            each.lease, each.returned = lease, None
            groups.setdefault((each.message.id, each.new.domain, each.detour), []).append(each)
        return [
            Claim(message=members[0].message, domain=domain, deliveries=tuple(map(read_claimed, members)), lease=lease)
            for (_, domain, _), members in groups.items()
        ]

    async def read_content(self, message_id: MessageId) -> bytes:
        return self._contents.read(self._place(message_id))

    async def stream_content(self, message_id: MessageId) -> AsyncIterator[bytes]:
        place = self._place(message_id)
        for piece in self._contents.read_range(place, 0, place.size):
            yield piece

    def _held(self, lease: Lease, delivery_id: DeliveryId) -> Delivery:
        delivery = self._deliveries.get(delivery_id)
        if delivery is None or not delivery.is_held_by(lease):
            raise LeaseLost("the lease was returned, or another worker holds the delivery")
        return delivery

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        held = [(self._held(lease, outcome.delivery_id), outcome) for outcome in outcomes]
        self._commits += 1
        for delivery, outcome in held:
            delivery.move(DeliveryState.LEASED)  # again, if its lease was returned
            delivery.move(outcome.state, outcome.hold_reason)
            delivery.returned = None
            delivery.due_at = outcome.due_at or delivery.due_at
            delivery.last_reply = outcome.reply[:MAX_REPLY]
            if outcome.is_attempt:
                delivery.attempts += 1
                delivery.crashes = 0
                delivery.is_released = False
            delivery.is_in_doubt |= outcome.leaves_doubt
            delivery.delivered_at = now if outcome.state is DeliveryState.DELIVERED else None
            self._add_events(delivery, outcome.events, now)
            self._suppress(delivery.message.account_id, outcome.suppression)

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        for each in delivery_ids:
            delivery = self._deliveries.get(each)
            if delivery is not None and delivery.lease == lease:
                delivery.move(DeliveryState.QUEUED)

    async def return_dead_leases(self, living: Owner, *, now: datetime, pause: CrashPause) -> list[ReturnedDelivery]:
        leases = ((each, each.lease.owner) for _, each in sorted(self._deliveries.items()) if each.lease is not None)
        dead = [each for each, owner in leases if owner.node == living.node and owner.boot != living.boot]
        returned = plan_returns(((each.new.id, each.message.id, each.crashes) for each in dead), now, pause)
        for delivery, plan in zip(dead, returned, strict=True):
            delivery.crashes = plan.crashes
            delivery.give_back()
            if plan.due_at is None:
                delivery.due_at = min(delivery.due_at, now)
                delivery.move(DeliveryState.HELD, HoldReason.CRASHES)
            else:
                delivery.due_at = plan.due_at if plan.due_at > now else min(delivery.due_at, now)
        return returned

    async def return_leases(self, owner: Owner, delivery_ids: Sequence[DeliveryId], now: datetime) -> int:
        found = [self._deliveries[each] for each in delivery_ids if each in self._deliveries]
        held = [each for each in found if each.lease is not None and each.lease.owner == owner]
        for delivery in held:
            delivery.give_back()
            delivery.due_at = min(delivery.due_at, now)
        return len(held)

    async def list_leased(self, owner: Owner) -> list[tuple[int, DeliveryId]]:
        leased = ((each.lease, each.new.id) for each in self._deliveries.values())
        return [(lease.token, number) for lease, number in leased if lease is not None and lease.owner == owner]

    async def bring_forward(self, *, now: datetime, latest: datetime, limit: int) -> int:
        late = [
            each
            for each in self._deliveries.values()
            if each.state is DeliveryState.QUEUED and each.due_at > latest and (each.attempts or each.message.scheduled_at is None)
        ]
        for delivery in late[:limit]:
            delivery.due_at = now
        return len(late[:limit])

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
        overdue = [
            each
            for each in self._deliveries.values()
            if each.state is DeliveryState.QUEUED and each.due_at <= now and each.message.waits_since < created_before
        ]
        overdue = [each for each in overdue if not is_otp or each.priority is MessageClass.OTP]
        overdue = [each for each in overdue if not each.is_released or each.due_at < (released_before or now)]
        for delivery in overdue[:limit]:
            delivery.move(DeliveryState.EXPIRED)
            metadata = {"reason": "expired"} | ({"possibly_duplicate": True} if delivery.is_in_doubt else {})
            self._add_events(delivery, [make_event(EventType.FAILED, metadata)], now)
        return len(overdue[:limit])

    async def capture_due(self, *, now: datetime, simulate: Simulator, limit: int) -> list[Capture]:
        due = [
            each
            for each in self._deliveries.values()
            if each.state is DeliveryState.QUEUED and each.new.domain == NO_DOMAIN and each.due_at <= now
        ][:limit]
        captured = []
        for each in due:
            state, events = simulate(each.new.forward_path)
            each.move(DeliveryState.LEASED)
            each.move(state)
            each.delivered_at = now if state is DeliveryState.DELIVERED else None
            self._add_events(each, events, now)
            captured.append(
                Capture(
                    account_id=each.message.account_id,
                    message_id=each.message.id,
                    recipient=each.new.forward_path,
                    state=state,
                    metadata=events[-1].metadata if events else {},
                )
            )
        return captured

    async def take_up_again(self, reply: str, now: datetime) -> int:
        waiting = [each for each in self._deliveries.values() if each.state is DeliveryState.QUEUED and lane_of(each.new.domain)]
        found = [each for each in waiting if each.last_reply == reply and each.due_at > now]
        for each in found:
            each.due_at = now
        return len(found)

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        waiting = (each for each in self._deliveries.values() if each.state is DeliveryState.QUEUED and each.new.domain != NO_DOMAIN)
        return min((each.due_at for each in waiting if each.new.domain not in busy), default=None)


def _of_crowded(due: Sequence[Delivery], crowded: Sequence[CrowdedLane]) -> list[Delivery]:
    """Due deliveries of accounts and classes that have little in crowded lanes."""
    chosen: list[Delivery] = []
    for lane in crowded:
        taken: Counter[tuple[AccountId, MessageClass]] = Counter()
        for each in sorted(due, key=lambda one: list(WEIGHTS).index(one.priority)):
            turn, name = (each.message.account_id, each.priority), each.new.domain
            is_here = name not in lane.without and (name in lane.domains or (ANY_DOMAIN in lane.domains and not lane_of(name)))
            if is_here and turn not in lane.enough and taken[turn] < lane.each and taken.total() < lane.room and each not in chosen:
                taken[turn] += 1
                chosen.append(each)
    return chosen


def _in_turn(due: Sequence[Delivery], per_domain: int) -> Iterator[Delivery]:
    """Due deliveries, oldest first; accounts and classes take turns in the places of a domain that has more than can be claimed."""
    numbers = Counter(each.new.domain for each in due)
    queues: dict[str, FairQueue[Delivery]] = {domain: FairQueue() for domain, number in numbers.items() if number > per_domain}
    for each in due:
        if each.new.domain in queues:
            queues[each.new.domain].put(each.message.account_id, each.priority, cost_of(each.message.size), each)
    return (queues[each.new.domain].take() if each.new.domain in queues else each for each in due)
