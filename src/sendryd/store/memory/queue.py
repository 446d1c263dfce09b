"""The operator's operations on the queue, in dictionaries."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import WAITING_STATES, DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, DeliveryId, DomainId, MessageId
from sendryd.model.message import MessageClass
from sendryd.policy.detour import DetourHost
from sendryd.policy.smarthost import domain_of, is_toward
from sendryd.store.base import (
    DETOUR_HOST_KEPT,
    EventMaker,
    HeldBy,
    Page,
    QueuedDelivery,
    QueueFilter,
    WaitingDestination,
)
from sendryd.store.memory.delivery import Delivery, read_queued
from sendryd.store.memory.state import MemoryMail


class MemoryQueue(MemoryMail):
    """`QueueStore`."""

    def _matching(self, which: QueueFilter) -> list[Delivery]:
        states = which.states
        if states is None and which.message_id is None and which.delivery_id is None:
            states = WAITING_STATES
        return [
            each
            for each in self._deliveries.values()
            if (states is None or each.state in states)
            and which.domain in {None, each.new.domain}
            and (which.toward is None or is_toward(each.new.domain, each.new.forward_path, which.toward))
            and which.account_id in {None, each.message.account_id}
            and which.message_id in {None, each.message.id}
            and (which.message_ids is None or each.message.id in which.message_ids)
            and which.delivery_id in {None, each.new.id}
            and (which.delivery_ids is None or each.new.id in which.delivery_ids)
            and which.has_attempts in {None, each.attempts > 0}
            and (not which.is_suspended or (each.held_by is not None and each.held_by.is_suspended))
            and which.hold_reason in {None, each.hold_reason}
            and (which.created_before is None or each.message.waits_since < which.created_before)
            and (which.reply_begins is None or each.last_reply.startswith(which.reply_begins))
        ]

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        found = sorted(self._matching(which), key=lambda each: each.new.id, reverse=True)
        return [read_queued(each) for each in found[:limit]]

    async def list_waiting_destinations(
        self, account_id: AccountId | None, *, limit: int, domain: str | None = None
    ) -> list[WaitingDestination]:
        found: dict[str, list[Delivery]] = {}
        for each in sorted(self._matching(QueueFilter(domain=domain, account_id=account_id)), key=lambda each: each.new.id):
            found.setdefault(each.new.domain, []).append(each)
        return [_destination(domain, deliveries) for domain, deliveries in list(found.items())[:limit]]

    async def page_destination(
        self, domain: str, account_id: AccountId | None, *, limit: int, before: DeliveryId | None = None
    ) -> Page[QueuedDelivery]:
        found = await self.list_queue(QueueFilter(domain=domain, account_id=account_id))
        older = [each for each in found if before is None or each.id < before]
        return Page(items=tuple(older[:limit]), has_more=len(older) > limit)

    async def count_ahead(self, domain: str, due_at: datetime, *, most: int) -> int:
        queued = [each for each in self._deliveries.values() if each.state is DeliveryState.QUEUED and each.new.domain == domain]
        return min(most, sum(each.due_at < due_at for each in queued))

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        states = [each.state for each in self._deliveries.values()]
        return {state: states.count(state) for state in (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.HELD)}

    async def find_deliveries(self, which: QueueFilter) -> list[DeliveryId]:
        found = self._matching(replace(which, states=which.states or frozenset(DeliveryState)))
        return sorted(each.new.id for each in found)

    async def hold(self, which: QueueFilter, now: datetime, *, by: HeldBy | None = None) -> int:  # noqa: ARG002  held deliveries keep their due time
        is_person = by is None or not by.is_suspended
        found = [each for each in self._matching(which) if each.state is DeliveryState.QUEUED or (is_person and each.is_held_for_a_time)]
        for delivery in found:
            if delivery.state is DeliveryState.QUEUED:
                delivery.move(DeliveryState.HELD)
            else:
                delivery.hold_reason, delivery.crashes = HoldReason.OPERATOR, 0
            delivery.held_by = by
        return len(found)

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        return self._move_all(which, DeliveryState.HELD, DeliveryState.QUEUED, now, None)

    async def hold_for_domain(self, domain_id: DomainId, now: datetime) -> int:  # noqa: ARG002  held deliveries keep their due time
        found = [
            each for each in self._deliveries.values() if each.state is DeliveryState.QUEUED and each.message.signing_domain_id == domain_id
        ]
        for delivery in found:
            delivery.move(DeliveryState.HELD, HoldReason.DOMAIN_REMOVED)
        return len(found)

    async def release_for_domain(self, account_id: AccountId, name: str, now: datetime) -> int:
        removed = {number for number, (named, _) in self._removed_domains.items() if named == (account_id, name)}
        found = [
            each
            for each in self._deliveries.values()
            if each.hold_reason is HoldReason.DOMAIN_REMOVED and each.message.signing_domain_id in removed
        ]
        for delivery in found:
            delivery.move(DeliveryState.QUEUED)
            delivery.due_at, delivery.is_released = max(now, delivery.message.scheduled_at or now), True
        return len(found)

    async def reroute(self, domain_id: DomainId, lane: str | None, delivery_ids: Sequence[DeliveryId] | None = None) -> int:
        moved = 0
        for each in self._deliveries.values():
            domain = domain_of(each.new.forward_path, lane)
            is_meant = delivery_ids is None or each.new.id in delivery_ids
            is_of_domain = each.message.signing_domain_id == domain_id and each.message.mode is KeyMode.LIVE
            if is_meant and is_of_domain and each.state in WAITING_STATES and each.new.domain != domain and each.detour is None:
                each.new = replace(each.new, domain=domain)
                moved += 1
        return moved

    async def set_detour(self, which: QueueFilter, detour: str | None, lane: str | None = None) -> list[DeliveryId]:
        moved = []
        for each in sorted(self._matching(which), key=lambda each: each.new.id):
            domain = domain_of(each.new.forward_path, lane)
            is_meant = each.message.mode is KeyMode.LIVE and each.state in WAITING_STATES
            if is_meant and (each.new.domain, each.detour) != (domain, detour):
                each.new, each.detour = replace(each.new, domain=domain), detour
                moved.append(each.new.id)
        return moved

    async def put_detour_host(self, host: DetourHost, now: datetime) -> None:
        used = {each.new.domain for each in self._deliveries.values() if each.state in WAITING_STATES}
        kept = {lane: each for lane, each in self._detour_hosts.items() if each[1] >= now - DETOUR_HOST_KEPT or lane in used}
        self._detour_hosts = {**kept, host.lane: (host, now)}

    async def find_detour_host(self, lane: str) -> DetourHost | None:
        found = self._detour_hosts.get(lane)
        return found[0] if found is not None else None

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        return self._move_all(which, DeliveryState.QUEUED, DeliveryState.QUEUED, now, None)

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        states = (DeliveryState.QUEUED, DeliveryState.HELD)
        return sum(self._move_all(which, state, DeliveryState.CANCELLED, now, make_event) for state in states)

    async def bounce(self, which: QueueFilter, now: datetime, make_event: EventMaker, *, metadata: Metadata) -> int:
        found = [each for each in self._matching(which) if each.state in {DeliveryState.QUEUED, DeliveryState.HELD}]
        for delivery in found:
            delivery.move(DeliveryState.BOUNCED)
            self._add_events(delivery, [make_event(EventType.BOUNCED, metadata)], now)
        return len(found)

    async def set_class(self, which: QueueFilter, priority: MessageClass) -> int:
        states = {DeliveryState.QUEUED, DeliveryState.HELD}
        found = [each for each in self._matching(which) if each.state in states and each.priority is not priority]
        for delivery in found:
            delivery.priority = priority
        return len(found)

    async def cancel_message(self, account_id: AccountId, message_id: MessageId, now: datetime, make_event: EventMaker) -> None:
        for delivery in self._untried(account_id, message_id):
            delivery.move(DeliveryState.CANCELLED)
            self._add_events(delivery, [make_event(EventType.CANCELLED, {})], now)
        self._messages[message_id] = replace(self._messages[message_id], source_request=None)

    def _move_all(
        self, which: QueueFilter, before: DeliveryState, after: DeliveryState, now: datetime, make_event: EventMaker | None
    ) -> int:
        moved = sorted((each for each in self._matching(which) if each.state is before), key=lambda each: each.new.id)
        if before is after and not which.names_one:
            moved = [each for each in moved if each.attempts or (each.message.scheduled_at or now) <= now]
        for delivery in moved:
            delivery.move(after)
            if before is DeliveryState.HELD:
                delivery.crashes = 0
                delivery.is_released = after is DeliveryState.QUEUED
            if after is DeliveryState.QUEUED:
                scheduled_at = delivery.message.scheduled_at if before is DeliveryState.HELD else None
                delivery.due_at = max(now, scheduled_at or now)
                self._probes.add(delivery.new.domain)
            if make_event is not None:
                self._add_events(delivery, [make_event(EventType.CANCELLED, {})], now)
        return len(moved)


def _destination(domain: str, deliveries: list[Delivery]) -> WaitingDestination:
    """The waiting deliveries of a domain, given oldest first."""
    states = [each.state for each in deliveries]
    queued = [each for each in deliveries if each.state is DeliveryState.QUEUED]
    sample = min([*queued, deliveries[0]], key=lambda each: (each.attempts == 0, each.new.id))
    return WaitingDestination(
        domain=domain,
        queued=len(queued),
        leased=states.count(DeliveryState.LEASED),
        held=states.count(DeliveryState.HELD),
        since=deliveries[0].message.waits_since,
        next_due=min((each.due_at for each in queued), default=None),
        sample=sample.new.id,
        last_reply=sample.last_reply,
    )
