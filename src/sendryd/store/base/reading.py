"""Messages and events as the API and pages show them, and engagements of recipients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event, EventType
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, DomainId, EventId, MessageId
from sendryd.model.message import Message, MessageStatus, MessageSummary
from sendryd.policy.searchterms import ANYTHING, Wanted
from sendryd.store.base.events import NewEvent
from sendryd.store.base.lists import NewSuppression, NewUnsubscribe
from sendryd.store.base.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A delivery as shown on pages that recipients reach by a link."""

    id: DeliveryId
    message: Message
    forward_path: str
    state: DeliveryState
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A delivery that was cancelled or failed without a final reply: its `cancelled` or `failed` event, and its message."""

    event: Event
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """An action of a recipient: an open, a click, an unsubscribe or a complaint."""

    delivery_id: DeliveryId
    event: NewEvent
    happened_at: datetime
    suppression: NewSuppression | None = None
    unsubscribe: NewUnsubscribe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainTraffic:
    """Live messages of a sending domain in a time."""

    sent: int
    bounced: int  # of these; with at least one bounced delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages of an account to list. All given conditions hold."""

    mode: KeyMode
    status: MessageStatus | None = None
    text: str | None = None  # case-insensitive, in a recipient or the subject
    api_key_id: ApiKeyId | None = None
    recipient: str | None = None  # exact, case-insensitive, a forward-path
    subject: str | None = None  # case-insensitive, in the subject
    has_gone: bool = False  # True: leave out scheduled and cancelled messages
    created_from: datetime | None = None
    states: frozenset[DeliveryState] | None = None  # at least one delivery is in one of them
    wanted: Wanted = ANYTHING  # terms of the search index


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
    """The reads of the API and the dashboard."""

    async def get_message(self, account_id: AccountId, message_id: MessageId) -> MessageSummary | None:
        """One message of an account."""
        ...

    async def list_messages(
        self, account_id: AccountId, which: MessageFilter, *, limit: int, before: MessageId | None = None
    ) -> Page[MessageSummary]:
        """Messages older than `before`, newest first."""
        ...

    async def count_messages(self, account_id: AccountId, which: MessageFilter) -> int:
        """Number of messages that match the filter."""
        ...

    async def count_traffic(self, account_id: AccountId, *, since: datetime, limit: int) -> Mapping[DomainId, DomainTraffic]:
        """The live messages of each sending domain since then, among the newest `limit` of the account: a bound for what it may cost. With as many
        messages as that, there may be more.
        """
        ...

    async def find_delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """A delivery with its message, by its id alone; None once it is deleted."""
        ...

    async def record_engagements(self, engagements: Sequence[Engagement]) -> int:
        """Stores engagements, each with its event, suppression and unsubscribe. Leaves out those of deleted deliveries. Returns how many were
        stored.
        """
        ...

    async def list_events(self, account_id: AccountId, which: EventFilter, *, limit: int, before: EventId | None = None) -> Page[Event]:
        """Events older than `before`, newest first."""
        ...

    async def count_events(self, account_id: AccountId, which: EventFilter) -> int:
        """Number of events that match the filter."""
        ...

    async def list_ended(self, *, since: datetime) -> list[EventId]:
        """The `cancelled` and `failed` events of all accounts since then, oldest first. Cheap: an index holds only these."""
        ...

    async def read_ended(self, event_ids: Sequence[EventId]) -> list[Ended]:
        """The `cancelled` ones among these, and the `failed` ones of live messages, oldest first. Events of captured mail are returned by
        `capture_due`.
        """
        ...
