"""The reads of the API, in dictionaries."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NOT_GONE_STATES, DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, DeliveryId, DomainId, EventId, MessageId, parse_id
from sendryd.model.message import Message, MessageSummary, derive_status
from sendryd.policy.searchterms import search_terms
from sendryd.store.base import (
    DeliveryView,
    DomainTraffic,
    Ended,
    Engagement,
    EventFilter,
    Hits,
    MessageFilter,
    Page,
)
from sendryd.store.memory.state import MemoryMail


class MemoryReading(MemoryMail):
    """`EventStore`."""

    def _summary(self, message: Message) -> MessageSummary:
        mine = [each for each in self._deliveries.values() if each.message.id == message.id]
        deliveries, copies = [each for each in mine if not each.new.is_copy], {each.new.id for each in mine if each.new.is_copy}
        of_message = [each for each, _, _ in self._events.values() if each.message_id == message.id]
        events = sorted(each.id for each in of_message if each.delivery_id not in copies)
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

    async def count_traffic(self, account_id: AccountId, *, since: datetime, limit: int) -> Mapping[DomainId, DomainTraffic]:
        found = [each for each in self._messages_of(account_id, MessageFilter(mode=KeyMode.LIVE)) if each.message.created_at >= since]
        newest = [(each.message.signing_domain_id, DeliveryState.BOUNCED in each.states) for each in found[:limit]]
        return {
            domain_id: DomainTraffic(
                sent=newest.count((domain_id, False)) + newest.count((domain_id, True)), bounced=newest.count((domain_id, True))
            )
            for domain_id, _ in newest
            if domain_id is not None
        }

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
            if not which.wanted.is_empty and not which.wanted.fits(search_terms(message, [each.forward_path for each in new.deliveries])):
                continue
            summary = self._summary(message)
            if which.has_gone and summary.states.keys() & NOT_GONE_STATES:
                continue
            if which.states is not None and not summary.states.keys() & which.states:
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

    async def search_messages(self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None) -> Hits:
        page = await self.list_messages(account_id, which, limit=limit, before=before)
        return Hits(items=page.items, has_more=page.has_more)

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

    async def list_ended(self, *, since: datetime) -> list[EventId]:
        kinds = {EventType.CANCELLED, EventType.FAILED}
        return sorted(event.id for event, _, _ in self._events.values() if event.type in kinds and event.created_at >= since)

    async def read_ended(self, event_ids: Sequence[EventId]) -> list[Ended]:
        return [
            Ended(event=event, message=self._messages[event.message_id].message)
            for event, _, mode in sorted(self._events.values(), key=lambda each: each[0].id)
            if (event.type is EventType.CANCELLED or (event.type is EventType.FAILED and mode is KeyMode.LIVE))
            and event.id in event_ids
            and event.message_id in self._messages
        ]
