"""Messages and events, as the API and pages read them, and what recipients did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, EventId, MessageId
from sendryd.model.message import Message, MessageStatus, MessageSummary
from sendryd.store.base.events import NewEvent
from sendryd.store.base.lists import NewSuppression, NewUnsubscribe
from sendryd.store.base.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A delivery as the pages see it that recipients reach by a link."""

    id: DeliveryId
    message: Message
    forward_path: str
    state: DeliveryState
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A delivery that ended without an attempt's success or refusal: its `cancelled` or `failed` event, and its message."""

    event: Event
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """What a recipient did with a message: opened it, followed a link, unsubscribed, complained."""

    delivery_id: DeliveryId
    event: NewEvent
    happened_at: datetime
    suppression: NewSuppression | None = None
    unsubscribe: NewUnsubscribe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages of an account to list. All given conditions hold."""

    mode: KeyMode
    status: MessageStatus | None = None
    text: str | None = None  # case-insensitive, in a recipient or the subject
    api_key_id: ApiKeyId | None = None
    recipient: str | None = None  # exact, case-insensitive, a forward-path
    subject: str | None = None  # case-insensitive, in the subject
    has_gone: bool = False  # True: not what waits for its time, or was cancelled
    created_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events of an account to list. All given conditions hold."""

    mode: KeyMode
    message_id: MessageId | None = None
    type: EventType | None = None
    recipient: str | None = None  # exact, case-insensitive
    text: str | None = None  # case-insensitive, in the recipient, or the message's whole public id
    created_from: datetime | None = None
    created_to: datetime | None = None


class EventStore(Protocol):
    """What the API and the dashboard read."""

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        """One message of an account."""
        ...

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        """Messages older than `before`, newest first."""
        ...

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        """How many messages the filter lets through."""
        ...

    async def find_delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """A delivery with its message, by its number alone; None once it is gone."""
        ...

    async def record_engagements(self, engagements: Sequence[Engagement]) -> int:
        """Stores what recipients did, each with the event, suppression and unsubscribe that it names. Those of deliveries that are gone are
        left out. Returns how many were stored.
        """
        ...

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        """Events older than `before`, newest first."""
        ...

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        """How many events the filter lets through."""
        ...

    async def list_ended(self, *, since: datetime) -> list[Ended]:
        """The `cancelled` events of all accounts since then, and the `failed` ones of live messages, oldest first. Cheap: an index has these
        alone. Those of captured mail are returned by `capture_due`.
        """
        ...
