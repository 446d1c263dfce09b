"""Events: immutable facts about a delivery, in the order of storage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sendryd.model.ids import DeliveryId, EventId, MessageId

Metadata = Mapping[str, object]


class EventType(StrEnum):
    """The public words of events; they never change."""

    QUEUED = "queued"
    SENT = "sent"  # the receiver's 250
    DELIVERED = "delivered"  # written together with `sent`
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    FAILED = "failed"  # expired, or no attempt was possible
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. Its id is greater than that of every event stored before it."""

    id: EventId
    message_id: MessageId
    delivery_id: DeliveryId | None
    type: EventType
    recipient: str  # the forward-path, as text
    created_at: datetime
    metadata: Metadata = field(default_factory=dict)  # JSON: reply, host, attempt, retry time; free text of strangers
