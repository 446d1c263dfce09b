"""Messages, deliveries, events, in dictionaries."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NO_DOMAIN, NOT_GONE_STATES, WAITING_STATES, DeliveryState, HoldReason
from sendryd.model.event import Event, EventType
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, ApiKeyId, DeliveryId, DomainId, EventId, MessageId, parse_id
from sendryd.model.message import Message, MessageSummary, derive_status
from sendryd.store.base import (
    Answer,
    Capture,
    Claim,
    CrashPause,
    DeliveryView,
    Ended,
    Engagement,
    EventFilter,
    EventMaker,
    Lease,
    MessageFilter,
    NewEvent,
    NewMessage,
    Outcome,
    Owner,
    Page,
    Player,
    QueuedDelivery,
    QueueFilter,
    ReturnedDelivery,
    SpoolReport,
)
from sendryd.store.base.leases import plan_returns
from sendryd.store.errors import AlreadyAnswered, Changed, Conflict, LeaseLost, NotAllowed, NotFound
from sendryd.store.memory.accounts import MemoryAccounts
from sendryd.store.memory.content import MemoryContents, MemoryPlace
from sendryd.store.memory.delivery import Delivery, read_claimed, read_queued
from sendryd.store.memory.lists import MemoryLists
from sendryd.store.memory.nexthops import MemoryNextHops
from sendryd.store.memory.traces import MemoryTraces

MAX_REPLY = 1000  # characters


class MemoryStore(MemoryLists, MemoryAccounts, MemoryTraces, MemoryNextHops):
    """`MailStore` without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: dict[MessageId, NewMessage] = {}
        self._contents = MemoryContents()
        self._places: dict[MessageId, MemoryPlace] = {}
        self._deliveries: dict[DeliveryId, Delivery] = {}
        self._events: dict[EventId, tuple[Event, AccountId, KeyMode]] = {}
        self._commits = 0
        self._seen: datetime | None = None

    # Accepting and delivering.

    def check_room(self, size: int) -> None:
        pass

    async def accept(self, message: NewMessage) -> None:
        if message.message.id in self._messages:
            raise Conflict("the message exists")
        self._commits += 1
        self._messages[message.message.id] = message
        self._put(message)
        for new in message.deliveries:
            is_done = new.state is DeliveryState.DELIVERED
            lease = message.lease if new.state is DeliveryState.LEASED else None
            created = message.message.created_at
            delivery = Delivery(new, message.message, new.state, new.due_at, lease, created if is_done else None)
            self._deliveries[new.id] = delivery
            self._add_events(delivery, new.events, created)

    def _add_events(self, delivery: Delivery, events: Sequence[NewEvent], now: datetime) -> None:
        message = delivery.message
        for new in events:
            event = Event(
                id=new.id,
                message_id=message.id,
                delivery_id=delivery.new.id,
                type=new.type,
                recipient=delivery.new.forward_path,
                created_at=now,
                metadata=new.metadata,
            )
            self._events[new.id] = (event, message.account_id, message.mode)

    async def accept_all(self, messages: Sequence[NewMessage], answer: Answer | None, *, kept_since: datetime) -> None:
        if answer is not None:
            standing = await self.find_answer(answer.account_id, answer.key, kept_since=kept_since)
            if standing is not None:
                raise AlreadyAnswered(standing)
        if any(each.message.id in self._messages for each in messages):
            raise Conflict("the message exists")
        if answer is not None:
            self._answers[answer.account_id, answer.key] = answer
        for each in messages:
            await self.accept(each)

    def _untried(self, account_id: AccountId, message_id: MessageId) -> list[Delivery]:
        new = self._messages.get(message_id)
        if new is None or new.message.account_id != account_id:
            raise NotFound("no such message")
        found = [each for each in self._deliveries.values() if each.message.id == message_id and each.state is not DeliveryState.SUPPRESSED]
        if not found or any(each.state not in {DeliveryState.QUEUED, DeliveryState.HELD} or each.attempts for each in found):
            raise NotAllowed("the message is under way or done")
        return found

    def _put(self, new: NewMessage) -> None:
        old = self._places.get(new.message.id)
        (self._places[new.message.id],) = self._contents.put_many(None, [(new.message.id, new.content)])
        if old is not None:
            self._contents.drop(None, [old])

    async def amend(self, new: NewMessage, now: datetime, *, made_from: bytes | None = None) -> None:
        waiting = self._untried(new.message.account_id, new.message.id)
        if any(each.state is not DeliveryState.QUEUED or each.due_at <= now for each in waiting):
            raise NotAllowed("the message is held or due")
        old = self._messages[new.message.id]
        if made_from is not None and old.draft != made_from:
            raise Changed("the message has been changed by somebody else at the same time: try again")
        self._messages[new.message.id] = replace(old, message=new.message, content=new.content, draft=new.draft)
        self._put(new)
        for each in waiting:
            each.due_at = min(delivery.due_at for delivery in new.deliveries)
        for each in self._deliveries.values():
            if each.message.id == new.message.id:
                each.message = new.message

    async def read_draft(self, message_id: MessageId) -> bytes | None:
        new = self._messages.get(message_id)
        is_waiting = any(each.state in WAITING_STATES for each in self._deliveries.values() if each.message.id == message_id)
        return new.draft if new and is_waiting else None

    async def count_accepted(
        self, account_id: AccountId, api_key_id: ApiKeyId | None, mode: KeyMode, since: datetime, until: datetime
    ) -> int:
        messages = (each.message for each in self._messages.values())
        return sum(
            (each.account_id, each.mode) == (account_id, mode)
            and api_key_id in {None, each.api_key_id}
            and since <= each.created_at < until
            for each in messages
        )

    async def claim_deliveries(
        self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[str], per_domain: int, settled: datetime | None = None
    ) -> list[Claim]:
        due = [each for each in self._deliveries.values() if each.state is DeliveryState.QUEUED and each.due_at <= now]
        due = [each for each in due if each.message.mode is KeyMode.LIVE and each.new.domain not in busy]
        due = [each for each in due if each.attempts or each.message.scheduled_at is None or each.due_at <= (settled or now)]
        taken: dict[str, int] = {}
        groups: dict[tuple[MessageId, str], list[Delivery]] = {}
        for each in sorted(due, key=lambda one: one.due_at):
            if sum(taken.values()) >= limit:
                break
            if taken.get(each.new.domain, 0) < per_domain:
                taken[each.new.domain] = taken.get(each.new.domain, 0) + 1
                each.move(DeliveryState.LEASED)
                each.lease, each.returned = lease, None
                groups.setdefault((each.message.id, each.new.domain), []).append(each)
        return [
            Claim(message=members[0].message, domain=domain, deliveries=tuple(map(read_claimed, members)), lease=lease)
            for (_, domain), members in groups.items()
        ]

    def _place(self, message_id: MessageId) -> MemoryPlace:
        if message_id not in self._places:
            raise NotFound("no such message")
        return self._places[message_id]

    async def read_content(self, message_id: MessageId) -> bytes:
        return self._contents.read(self._place(message_id))

    async def stream_content(self, message_id: MessageId) -> AsyncIterator[bytes]:
        place = self._place(message_id)
        for piece in self._contents.read_range(place, 0, place.size):
            yield piece

    def _held(self, lease: Lease, delivery_id: DeliveryId) -> Delivery:
        delivery = self._deliveries.get(delivery_id)
        if delivery is None or not delivery.is_held_by(lease):
            raise LeaseLost("somebody else holds the delivery, or nobody does")
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
        self, *, now: datetime, created_before: datetime, make_event: EventMaker, limit: int, released_before: datetime | None = None
    ) -> int:
        overdue = [
            each
            for each in self._deliveries.values()
            if each.state is DeliveryState.QUEUED and each.due_at <= now and each.message.waits_since < created_before
        ]
        overdue = [each for each in overdue if not each.is_released or each.due_at < (released_before or now)]
        for delivery in overdue[:limit]:
            delivery.move(DeliveryState.EXPIRED)
            metadata = {"reason": "expired"} | ({"possibly_duplicate": True} if delivery.is_in_doubt else {})
            self._add_events(delivery, [make_event(EventType.FAILED, metadata)], now)
        return len(overdue[:limit])

    async def capture_due(self, *, now: datetime, play: Player, limit: int) -> list[Capture]:
        due = [
            each
            for each in self._deliveries.values()
            if each.state is DeliveryState.QUEUED and each.new.domain == NO_DOMAIN and each.due_at <= now
        ][:limit]
        captured = []
        for each in due:
            state, events = play(each.new.forward_path)
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

    async def due_at(self, *, busy: frozenset[str] = frozenset()) -> datetime | None:
        waiting = (each for each in self._deliveries.values() if each.state is DeliveryState.QUEUED and each.new.domain != NO_DOMAIN)
        return min((each.due_at for each in waiting if each.new.domain not in busy), default=None)

    # The operator.

    def _matching(self, which: QueueFilter) -> list[Delivery]:
        states = which.states
        if states is None and which.message_id is None and which.delivery_id is None:
            states = WAITING_STATES
        return [
            each
            for each in self._deliveries.values()
            if (states is None or each.state in states)
            and which.domain in {None, each.new.domain}
            and which.message_id in {None, each.message.id}
            and which.delivery_id in {None, each.new.id}
            and which.has_attempts in {None, each.attempts > 0}
            and (which.created_before is None or each.message.waits_since < which.created_before)
        ]

    async def list_queue(self, which: QueueFilter, *, limit: int | None = None) -> list[QueuedDelivery]:
        found = sorted(self._matching(which), key=lambda each: each.new.id, reverse=True)
        return [read_queued(each) for each in found[:limit]]

    async def count_queue(self) -> Mapping[DeliveryState, int]:
        states = [each.state for each in self._deliveries.values()]
        return {state: states.count(state) for state in (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.HELD)}

    async def hold(self, which: QueueFilter, now: datetime) -> int:
        return self._move_all(which, DeliveryState.QUEUED, DeliveryState.HELD, now, None)

    async def release_held(self, which: QueueFilter, now: datetime) -> int:
        return self._move_all(which, DeliveryState.HELD, DeliveryState.QUEUED, now, None)

    async def hold_for_domain(self, domain_id: DomainId, now: datetime) -> int:  # noqa: ARG002  held ones keep their due time
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
            delivery.due_at, delivery.is_released = now, True
        return len(found)

    async def retry(self, which: QueueFilter, now: datetime) -> int:
        return self._move_all(which, DeliveryState.QUEUED, DeliveryState.QUEUED, now, None)

    async def cancel(self, which: QueueFilter, now: datetime, make_event: EventMaker) -> int:
        states = (DeliveryState.QUEUED, DeliveryState.HELD)
        return sum(self._move_all(which, state, DeliveryState.CANCELLED, now, make_event) for state in states)

    async def cancel_message(self, account_id: AccountId, message_id: MessageId, now: datetime, make_event: EventMaker) -> None:
        for delivery in self._untried(account_id, message_id):
            delivery.move(DeliveryState.CANCELLED)
            self._add_events(delivery, [make_event(EventType.CANCELLED, {})], now)
        self._messages[message_id] = replace(self._messages[message_id], draft=None)

    def _move_all(
        self, which: QueueFilter, before: DeliveryState, after: DeliveryState, now: datetime, make_event: EventMaker | None
    ) -> int:
        moved = sorted((each for each in self._matching(which) if each.state is before), key=lambda each: each.new.id)
        for delivery in moved:
            delivery.move(after)
            if before is DeliveryState.HELD:
                delivery.crashes = 0
                delivery.is_released = after is DeliveryState.QUEUED
            if after is DeliveryState.QUEUED:
                delivery.due_at = now
                self._probes.add(delivery.new.domain)
            if make_event is not None:
                self._add_events(delivery, [make_event(EventType.CANCELLED, {})], now)
        return len(moved)

    # Reading.

    def _summary(self, message: Message) -> MessageSummary:
        deliveries = [each for each in self._deliveries.values() if each.message.id == message.id]
        events = sorted(each.id for each, _, _ in self._events.values() if each.message_id == message.id)
        states = [each.state for each in deliveries]
        return MessageSummary(
            message=message,
            states={state: states.count(state) for state in states},
            has_attempts=any(each.attempts for each in deliveries),
            is_complained=any(self._events[each][0].type is EventType.COMPLAINED for each in events),
            sent_at=min((each.delivered_at for each in deliveries if each.delivered_at), default=None),
            last_event=self._events[events[-1]][0].type if events else None,
        )

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        new = self._messages.get(message_id)
        return self._summary(new.message) if new and new.message.account_id == account_id else None

    def _messages_of(self, account_id: AccountId, which: MessageFilter) -> list[MessageSummary]:
        found = []
        for new in sorted(self._messages.values(), key=lambda each: each.message.id, reverse=True):
            message = new.message
            if message.account_id != account_id or message.mode is not which.mode:
                continue
            if which.api_key_id not in {None, message.api_key_id}:
                continue
            paths = {each.forward_path.lower() for each in new.deliveries}
            if which.recipient is not None and which.recipient.lower() not in paths:
                continue
            if which.subject and which.subject.lower() not in message.subject.lower():
                continue
            if which.created_from is not None and message.created_at < which.created_from:
                continue
            texts = [message.subject, *message.to, *message.cc, *(each.forward_path for each in new.deliveries)]
            if which.text and not any(which.text.lower() in text.lower() for text in texts):
                continue
            summary = self._summary(message)
            if which.has_gone and summary.states.keys() & NOT_GONE_STATES:
                continue
            status = derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)
            if which.status in {None, status}:
                found.append(summary)
        return found

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        found = [each for each in self._messages_of(account_id, which) if before is None or each.message.id < before]
        return Page(items=tuple(found[:limit]), has_more=len(found) > limit)

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        return len(self._messages_of(account_id, which))

    async def find_delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        found = self._deliveries.get(delivery_id)
        if found is None:
            return None
        return DeliveryView(
            id=delivery_id,
            message=found.message,
            forward_path=found.new.forward_path,
            state=found.state,
            delivered_at=found.delivered_at,
        )

    async def record_engagements(self, engagements: Sequence[Engagement]) -> int:
        known = [each for each in engagements if each.delivery_id in self._deliveries]
        for each in known:
            delivery = self._deliveries[each.delivery_id]
            self._add_events(delivery, [each.event], each.happened_at)
            self._suppress(delivery.message.account_id, each.suppression)
            self._unsubscribe(delivery.message.account_id, each.unsubscribe)
        return len(known)

    def _events_of(self, account_id: AccountId, which: EventFilter) -> list[Event]:
        number = parse_id(which.text.lower(), MESSAGE_PREFIX) if which.text else None
        return [
            event
            for event, owner, mode in sorted(self._events.values(), key=lambda each: each[0].id, reverse=True)
            if owner == account_id
            and mode is which.mode
            and which.message_id in {None, event.message_id}
            and which.type in {None, event.type}
            and (which.recipient is None or which.recipient.lower() == event.recipient.lower())
            and (number is None or event.message_id == number)
            and (number is not None or not which.text or which.text.lower() in event.recipient.lower())
            and (which.created_from is None or event.created_at >= which.created_from)
            and (which.created_to is None or event.created_at <= which.created_to)
        ]

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        found = [each for each in self._events_of(account_id, which) if before is None or each.id < before]
        return Page(items=tuple(found[:limit]), has_more=len(found) > limit)

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        return len(self._events_of(account_id, which))

    async def list_ended(self, *, since: datetime) -> list[Ended]:
        return [
            Ended(event=event, message=self._messages[event.message_id].message)
            for event, _, mode in sorted(self._events.values(), key=lambda each: each[0].id)
            if (event.type is EventType.CANCELLED or (event.type is EventType.FAILED and mode is KeyMode.LIVE))
            and event.created_at >= since
            and event.message_id in self._messages
        ]

    # Upkeep.

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        waiting = {each.message.id for each in self._deliveries.values() if each.state in WAITING_STATES}
        old = [
            number for number, new in sorted(self._messages.items()) if new.message.waits_since < created_before and number not in waiting
        ][:limit]
        for number in old:
            self._contents.drop(None, [self._places.pop(number)])
            for delivery in self._messages.pop(number).deliveries:
                del self._deliveries[delivery.id]
        return len(old)

    async def delete_removed_domains(self, *, created_before: datetime, limit: int) -> int:
        needed = {each.message.signing_domain_id for each in self._deliveries.values() if each.state in WAITING_STATES}
        old = [number for number, (_, moment) in self._removed_domains.items() if moment < created_before and number not in needed][:limit]
        for number in old:
            del self._removed_domains[number]
        return len(old)

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        old = sorted(number for number, (event, _, _) in self._events.items() if event.created_at < created_before)[:limit]
        for number in old:
            del self._events[number]
        return len(old)

    async def compare_spool(self) -> SpoolReport:
        return SpoolReport(segments=0, messages=len(self._messages))

    async def check_writable(self) -> None:
        self._commits += 1

    async def read_clock(self) -> datetime | None:
        return self._seen

    async def note_clock(self, settled: datetime) -> None:
        self._seen = settled

    def can_write(self) -> bool:
        return True

    def statistics(self) -> Mapping[str, int | float]:
        return {"commits": self._commits}

    async def aclose(self) -> None:
        pass
