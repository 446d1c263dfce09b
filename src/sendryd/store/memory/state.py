"""The dictionaries of the mail side, and the methods that its parts share."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.event import Event
from sendryd.model.ids import AccountId, DeliveryId, EventId, MessageId
from sendryd.policy.detour import DetourHost
from sendryd.store.base import (
    NewEvent,
    NewMessage,
)
from sendryd.store.errors import NotFound
from sendryd.store.memory.content import MemoryContents, MemoryPlace
from sendryd.store.memory.delivery import Delivery
from sendryd.store.memory.dkimkeys import MemoryDkimKeys
from sendryd.store.memory.egress import MemoryEgress
from sendryd.store.memory.lists import MemoryLists
from sendryd.store.memory.nexthops import MemoryNextHops
from sendryd.store.memory.traces import MemoryTraces
from sendryd.store.rules import list_untried


class MemoryMail(MemoryLists, MemoryDkimKeys, MemoryTraces, MemoryNextHops, MemoryEgress):
    """Messages, contents, deliveries and events."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: dict[MessageId, NewMessage] = {}
        self._contents = MemoryContents()
        self._places: dict[MessageId, MemoryPlace] = {}
        self._deliveries: dict[DeliveryId, Delivery] = {}
        self._events: dict[EventId, tuple[Event, AccountId, KeyMode]] = {}
        self._commits = 0
        self._seen: datetime | None = None
        self._detour_hosts: dict[str, tuple[DetourHost, datetime]] = {}

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

    def _untried(self, account_id: AccountId, message_id: MessageId) -> list[Delivery]:
        new = self._messages.get(message_id)
        if new is None or new.message.account_id != account_id:
            raise NotFound("no such message")
        found = [each for each in self._deliveries.values() if each.message.id == message_id]
        untried = {each.id for each in list_untried([each.as_waiting() for each in found])}
        return [each for each in found if each.new.id in untried]

    def _put(self, new: NewMessage) -> None:
        old = self._places.get(new.message.id)
        (self._places[new.message.id],) = self._contents.put_many(None, [(new.message.id, new.content)])
        if old is not None:
            self._contents.drop(None, [old])

    def _place(self, message_id: MessageId) -> MemoryPlace:
        if message_id not in self._places:
            raise NotFound("no such message")
        return self._places[message_id]
