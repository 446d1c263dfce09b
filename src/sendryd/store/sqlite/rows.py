"""Between rows and model values."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DnsRecord, DomainSettings, DomainStatus, RecordPurpose, SendingDomain, TlsPolicy
from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, DomainId, EventId, MessageId
from sendryd.model.message import Message
from sendryd.store.base import NewDelivery, NewEvent, NewMessage

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


def _maybe(value: int | None) -> datetime | None:
    return None if value is None else from_ms(value)


def first_id(moment: datetime) -> int:
    """Identifiers made before this time are smaller than this number."""
    return max(0, (moment - _IDS_EPOCH) // _MILLISECOND) << _ID_SHIFT


def to_json(value: object) -> str:
    """JSON as stored. Lone surrogates, which SQLite cannot hold, come out as escapes."""
    return _encode(value)


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
    )


def delivery_row(new: NewMessage, delivery: NewDelivery) -> tuple[Any, ...]:
    """The values of `insert_delivery`."""
    created = to_ms(new.message.created_at)
    lease = new.lease if delivery.state is DeliveryState.LEASED else None
    return (
        delivery.id,
        new.message.id,
        delivery.forward_path,
        delivery.domain,
        delivery.state.value,
        to_ms(delivery.due_at),
        lease.token if lease else None,
        to_ms(lease.until) if lease else None,
        created,
        created if delivery.state is DeliveryState.DELIVERED else None,
        delivery.notify,
        delivery.orcpt,
    )


def event_row(
    event: NewEvent,
    *,
    message_id: int,
    delivery_id: int | None,
    account_id: int,
    mode: str,
    recipient: str,
    created_at: int,
) -> tuple[Any, ...]:
    """The values of `insert_event`."""
    metadata = to_json(event.metadata) if event.metadata else None
    return event.id, message_id, delivery_id, account_id, mode, event.type.value, recipient, created_at, metadata


def read_message(row: Row) -> Message:
    """A message from the columns of `get_message`."""
    to, cc = json.loads(row[6])
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
    )


def read_event(row: Row) -> Event:
    """An event from its columns."""
    metadata: Metadata = json.loads(row[6]) if row[6] else {}
    return Event(
        id=EventId(row[0]),
        message_id=MessageId(row[1]),
        delivery_id=None if row[2] is None else DeliveryId(row[2]),
        type=EventType(row[3]),
        recipient=row[4],
        created_at=from_ms(row[5]),
        metadata=metadata,
    )


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
        expires_at=_maybe(row[7]),
        revoked_at=_maybe(row[8]),
        last_used_at=_maybe(row[9]),
    )


def settings_json(settings: DomainSettings) -> str:
    """Settings as stored."""
    return to_json(asdict(settings))


def records_json(records: Sequence[DnsRecord]) -> str:
    """Records as stored."""
    return to_json([asdict(record) for record in records])


def read_domain(row: Row) -> SendingDomain:
    """A sending domain from its columns."""
    settings = json.loads(row[6])
    records = [{**record, "purpose": RecordPurpose(record["purpose"])} for record in json.loads(row[7])]
    return SendingDomain(
        id=DomainId(row[0]),
        account_id=AccountId(row[1]),
        name=row[2],
        status=DomainStatus(row[3]),
        selector=row[4],
        public_key=row[5],
        settings=DomainSettings(**{**settings, "tls_policy": TlsPolicy(settings["tls_policy"])}),
        created_at=from_ms(row[8]),
        verified_at=_maybe(row[9]),
        checked_at=_maybe(row[10]),
        failing_since=_maybe(row[11]),
        failures=row[12],
        records=tuple(DnsRecord(**record) for record in records),
    )
