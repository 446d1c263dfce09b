"""Messages, deliveries and events."""

import json
from typing import Any, Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import (
    EVENT_PREFIX,
    MESSAGE_PREFIX,
    AccountId,
    ApiKeyId,
    DeliveryId,
    DomainId,
    EventId,
    MessageId,
    TemplateId,
)
from sendryd.model.message import Message, MessageType
from sendryd.store.base import NewDelivery, NewMessage
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import clean, from_ms, from_ms_or_none, read_object, to_json, to_ms
from sendryd.store.errors import RowUnreadable


def message_row(new: NewMessage) -> tuple[Any, ...]:
    """The values of `insert_message` but for where its content is."""
    message = new.message
    return (
        message.id,
        message.account_id,
        message.api_key_id,
        message.mode.value,
        message.reverse_path,
        clean(message.author),
        to_json([message.to, message.cc]),
        clean(message.subject),
        clean(message.internet_message_id),
        message.size,
        to_ms(message.created_at),
        message.signing_domain_id,
        message.needs_smtputf8,
        message.is_8bit,
        message.ret,
        message.envid,
        to_json(message.tags) if message.tags else None,
        message.type.value,
        None if message.scheduled_at is None else to_ms(message.scheduled_at),
        message.track_opens | message.track_clicks << 1,
        message.template_id,
        None if message.list_id is None else clean(message.list_id),
        None if message.unsubscribe_url is None else clean(message.unsubscribe_url),
    )


def delivery_row(new: NewMessage, delivery: NewDelivery) -> tuple[Any, ...]:
    """The values of `insert_delivery`."""
    created = to_ms(new.message.waits_since)
    lease = new.lease if delivery.state is DeliveryState.LEASED else None
    return (
        delivery.id,
        new.message.id,
        delivery.forward_path,
        delivery.domain,
        delivery.state.value,
        to_ms(delivery.due_at),
        lease.token if lease else None,
        lease.owner.node if lease else None,
        lease.owner.boot if lease else None,
        created,
        created if delivery.state is DeliveryState.DELIVERED else None,
        delivery.notify,
        delivery.orcpt,
    )


@row_of(MESSAGE_PREFIX)
def read_message(row: Row) -> Message:
    """A message from the columns of `get_message`."""
    to, cc = json.loads(row[6])
    if not isinstance(to, list) or not isinstance(cc, list):
        raise TypeError("the recipients are no lists")
    return Message(
        id=MessageId(row[0]),
        account_id=AccountId(row[1]),
        api_key_id=None if row[2] is None else ApiKeyId(row[2]),
        mode=KeyMode(row[3]),
        reverse_path=row[4],
        author=row[5],
        to=tuple(to),
        cc=tuple(cc),
        subject=row[7],
        internet_message_id=row[8],
        size=row[9],
        created_at=from_ms(row[10]),
        signing_domain_id=None if row[11] is None else DomainId(row[11]),
        needs_smtputf8=bool(row[12]),
        is_8bit=bool(row[13]),
        ret=row[14],
        envid=row[15],
        tags=tuple((name, value) for name, value in json.loads(row[16])) if row[16] else (),
        type=MessageType(row[17]),
        scheduled_at=from_ms_or_none(row[18]),
        track_opens=bool(row[19] & 1),
        track_clicks=bool(row[19] & 2),
        template_id=None if row[20] is None else TemplateId(row[20]),
        list_id=row[21],
        unsubscribe_url=row[22],
    )


_TEXT_OR_NONE: Final = (str, type(None))
_NUMBER_OR_NONE: Final = (int, type(None))
_MESSAGE_TYPES: Final[tuple[type | tuple[type, ...], ...]] = (
    *(int, int, _NUMBER_OR_NONE, str, str, str, str, str, str, int, int, _NUMBER_OR_NONE, int, int),
    *(_TEXT_OR_NONE, _TEXT_OR_NONE, _TEXT_OR_NONE, str, _NUMBER_OR_NONE, int, _NUMBER_OR_NONE, _TEXT_OR_NONE, _TEXT_OR_NONE),
)  # of the columns of `get_message`


@row_of(MESSAGE_PREFIX)
def read_claimable(row: Row) -> Message:
    """A message that is to be sent: nothing of it is taken for what it is not."""
    if not all(isinstance(value, kind) for value, kind in zip(row, _MESSAGE_TYPES, strict=True)):
        raise TypeError("a value of it has the wrong type")
    return read_message(row)


@row_of(MESSAGE_PREFIX)
def show_message(row: Row) -> Message:
    """What can be read of a message, to be shown: without recipients and tags if those are damaged. Not to be sent."""
    try:
        return read_message(row)
    except RowUnreadable:
        return read_message((*row[:6], "[[],[]]", *row[7:16], None, *row[17:]))


@row_of(EVENT_PREFIX)
def show_event(row: Row) -> Event:
    """What can be read of an event, to be shown: without metadata if they are damaged."""
    try:
        return read_event(row)
    except RowUnreadable:
        return read_event((*row[:6], None))


@row_of(EVENT_PREFIX)
def read_event(row: Row) -> Event:
    """An event from its columns."""
    metadata: Metadata = read_object(row[6]) if row[6] else {}
    return Event(
        id=EventId(row[0]),
        message_id=MessageId(row[1]),
        delivery_id=None if row[2] is None else DeliveryId(row[2]),
        type=EventType(row[3]),
        recipient=row[4],
        created_at=from_ms(row[5]),
        metadata=metadata,
    )
