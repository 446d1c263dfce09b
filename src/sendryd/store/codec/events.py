"""Events and rows of `event`."""

from typing import Any, NamedTuple

from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import EVENT_PREFIX, DeliveryId, EventId, MessageId
from sendryd.store.base import Ended, NewEvent
from sendryd.store.codec.messages import show_message
from sendryd.store.codec.reading import Row, part, row_of
from sendryd.store.codec.values import from_ms, read_object
from sendryd.store.errors import RowUnreadable


class EventSubject(NamedTuple):
    """The delivery that an event is about."""

    delivery_id: int
    message_id: int
    recipient: str  # its forward-path
    account_id: int
    mode: str


def read_subject(row: Row) -> EventSubject:
    """The subject from the columns `id`, `message_id`, `forward_path` of a delivery and `account_id`, `mode` of its message. The last two are None
    if the message is deleted: then the event belongs to no account.
    """
    return EventSubject(row["id"], row["message_id"], row["forward_path"], row["account_id"] or 0, row["mode"] or "live")


def event_row(subject: EventSubject, event: NewEvent, moment: int, metadata: str | None) -> dict[str, Any]:
    """The columns of an event. `metadata` is JSON, which events of one attempt share."""
    return {
        "id": event.id,
        "message_id": subject.message_id,
        "delivery_id": subject.delivery_id,
        "account_id": subject.account_id,
        "mode": subject.mode,
        "type": event.type.value,
        "recipient": subject.recipient,
        "created_at": moment,
        "metadata": metadata,
    }


@row_of(EVENT_PREFIX)
def read_event(row: Row) -> Event:
    """An event. Raises `RowUnreadable`."""
    metadata: Metadata = read_object(row["metadata"]) if row["metadata"] else {}
    return Event(
        id=EventId(row["id"]),
        message_id=MessageId(row["message_id"]),
        delivery_id=None if row["delivery_id"] is None else DeliveryId(row["delivery_id"]),
        type=EventType(row["type"]),
        recipient=row["recipient"],
        created_at=from_ms(row["created_at"]),
        metadata=metadata,
    )


@row_of(EVENT_PREFIX)
def show_event(row: Row) -> Event:
    """The readable part of an event, to be shown: damaged metadata are left out. Raises `RowUnreadable`."""
    try:
        return read_event(row)
    except RowUnreadable:
        return read_event({**row, "metadata": None})


def read_ended(row: Row) -> Ended:
    """An event with its message; the event's columns begin with `event_`. Raises `RowUnreadable`."""
    return Ended(event=show_event(part(row, "event_")), message=show_message(row))
