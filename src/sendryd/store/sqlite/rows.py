"""Between rows and model values."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sendryd.model.account import Account, AccountSettings, Branding, InboundForwarding
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import Bimi, DnsRecord, DomainSettings, DomainStatus, RecordPurpose, SendingDomain, TlsPolicy
from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import (
    API_KEY_PREFIX,
    DOMAIN_PREFIX,
    EVENT_PREFIX,
    MESSAGE_PREFIX,
    ORGANIZATION_PREFIX,
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
from sendryd.store.errors import RowUnreadable
from sendryd.store.sqlite.unreadable import FAULTS, row_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IDS_EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)  # as in sendryd.model.ids
_ID_SHIFT: Final = 22  # bits of node and counter
_MILLISECOND: Final = timedelta(milliseconds=1)

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make one for every call

Row = Sequence[Any]


def to_ms(moment: datetime) -> int:
    """A time as stored."""
    return (moment - _EPOCH) // _MILLISECOND


def to_ms_or_none(moment: datetime | None) -> int | None:
    """A time as stored, if there is one."""
    return None if moment is None else (moment - _EPOCH) // _MILLISECOND


def from_ms(value: int) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(value / 1000, UTC)


def from_ms_or_none(value: int | None) -> datetime | None:
    """A stored time, if there is one."""
    return None if value is None else from_ms(value)


def first_id(moment: datetime) -> int:
    """Identifiers made before this time are smaller than this number."""
    return max(0, (moment - _IDS_EPOCH) // _MILLISECOND) << _ID_SHIFT


def to_json(value: object) -> str:
    """JSON as stored. Lone surrogates, which SQLite cannot hold, come out as escapes."""
    return _encode(value)


def contains(text: str) -> str:
    """The pattern of LIKE that finds a text anywhere; the escape is a backslash."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def clean(text: str) -> str:
    """Text without lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


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


def read_object(text: str) -> dict[str, Any]:
    """A stored JSON object. Raises `ValueError` for everything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("a JSON object was stored, and something else is there")
    return found


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


@row_of(API_KEY_PREFIX)
def read_api_key(row: Row) -> ApiKey:
    """A key from its columns."""
    return ApiKey(
        id=ApiKeyId(row[0]),
        account_id=AccountId(row[1]),
        name=row[2],
        scope=Scope(row[3]),
        mode=KeyMode(row[4]),
        prefix=row[5],
        created_at=from_ms(row[6]),
        expires_at=from_ms_or_none(row[7]),
        revoked_at=from_ms_or_none(row[8]),
        last_used_at=from_ms_or_none(row[9]),
    )


def settings_json(settings: DomainSettings) -> str:
    """Settings as stored."""
    return to_json(asdict(settings))


def records_json(records: Sequence[DnsRecord]) -> str:
    """Records as stored."""
    return to_json([asdict(record) for record in records])


def _read_records(text: str) -> tuple[DnsRecord, ...]:
    """The records of the last check; none if they are damaged: the next check makes them anew."""
    try:
        return tuple(DnsRecord(**{**record, "purpose": RecordPurpose(record["purpose"])}) for record in json.loads(text))
    except FAULTS:
        return ()


@row_of(DOMAIN_PREFIX)
def read_domain(row: Row) -> SendingDomain:
    """A sending domain from its columns. Settings that are damaged are not guessed: one of them may forbid clear text."""
    settings = json.loads(row[6])
    return SendingDomain(
        id=DomainId(row[0]),
        account_id=AccountId(row[1]),
        name=row[2],
        status=DomainStatus(row[3]),
        selector=row[4],
        public_key=row[5],
        settings=DomainSettings(**{**settings, "tls_policy": TlsPolicy(settings["tls_policy"])}),
        created_at=from_ms(row[8]),
        verified_at=from_ms_or_none(row[9]),
        checked_at=from_ms_or_none(row[10]),
        failing_since=from_ms_or_none(row[11]),
        failures=row[12],
        records=_read_records(row[7]),
    )


def bimi_row(bimi: Bimi) -> tuple[Any, ...]:
    """The values of `set_bimi` behind the domain."""
    return (
        bimi.logo_url,
        bimi.vmc_url,
        bimi.selector,
        bimi.is_verified,
        to_ms_or_none(bimi.verified_at),
        to_ms(bimi.created_at),
        to_ms(bimi.updated_at),
    )


def read_bimi(row: Row) -> Bimi:
    """A logo from its columns."""
    return Bimi(
        logo_url=row[0],
        vmc_url=row[1],
        selector=row[2],
        is_verified=bool(row[3]),
        verified_at=from_ms_or_none(row[4]),
        created_at=from_ms(row[5]),
        updated_at=from_ms(row[6]),
    )


@row_of(ORGANIZATION_PREFIX)
def read_account(row: Row) -> Account:
    """An account from its columns. Settings that it lacks have their defaults."""
    settings = json.loads(row[3])
    branding = Branding(**settings.pop("branding", {}))
    inbound = InboundForwarding(**settings.pop("inbound", {}))
    return Account(
        id=AccountId(row[0]),
        name=row[1],
        created_at=from_ms(row[2]),
        settings=AccountSettings(branding=branding, inbound=inbound, **settings),
    )
