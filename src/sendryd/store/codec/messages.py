"""Messages and rows of `message`."""

import json
from typing import Any, Final

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, ApiKeyId, DomainId, MessageId, TemplateId
from sendryd.model.message import Message, MessageType, TlsDemand
from sendryd.store.codec.reading import NUMBER_OR_NONE, TEXT_OR_NONE, Row, Types, check_types, row_of
from sendryd.store.codec.values import clean, from_ms, from_ms_or_none, to_json, to_ms
from sendryd.store.errors import RowUnreadable

_TYPES: Final[Types] = {
    "id": int,
    "account_id": int,
    "api_key_id": NUMBER_OR_NONE,
    "mode": str,
    "reverse_path": str,
    "author": str,
    "recipients": str,
    "subject": str,
    "internet_message_id": str,
    "size": int,
    "created_at": int,
    "signing_domain_id": NUMBER_OR_NONE,
    "needs_smtputf8": int,
    "is_8bit": int,
    "ret": TEXT_OR_NONE,
    "envid": TEXT_OR_NONE,
    "tags": TEXT_OR_NONE,
    "type": str,
    "scheduled_at": NUMBER_OR_NONE,
    "tracking": int,
    "template_id": NUMBER_OR_NONE,
    "list_id": TEXT_OR_NONE,
    "unsubscribe_url": TEXT_OR_NONE,
    "tls_demand": str,
}


def message_row(message: Message) -> dict[str, Any]:
    """The columns of a message, without the place of its content."""
    return {
        "id": message.id,
        "account_id": message.account_id,
        "api_key_id": message.api_key_id,
        "mode": message.mode.value,
        "reverse_path": message.reverse_path,
        "author": clean(message.author),
        "recipients": to_json([message.to, message.cc]),
        "subject": clean(message.subject),
        "internet_message_id": clean(message.internet_message_id),
        "size": message.size,
        "created_at": to_ms(message.created_at),
        "signing_domain_id": message.signing_domain_id,
        "needs_smtputf8": message.needs_smtputf8,
        "is_8bit": message.is_8bit,
        "ret": message.ret,
        "envid": message.envid,
        "tags": to_json(message.tags) if message.tags else None,
        "type": message.type.value,
        "scheduled_at": None if message.scheduled_at is None else to_ms(message.scheduled_at),
        "tracking": message.track_opens | message.track_clicks << 1,
        "template_id": message.template_id,
        "list_id": None if message.list_id is None else clean(message.list_id),
        "unsubscribe_url": None if message.unsubscribe_url is None else clean(message.unsubscribe_url),
        "tls_demand": message.tls_demand.value,
    }


@row_of(MESSAGE_PREFIX)
def read_message(row: Row) -> Message:
    """A message. Raises `RowUnreadable`."""
    to, cc = json.loads(row["recipients"])
    if not isinstance(to, list) or not isinstance(cc, list):
        raise TypeError("the recipients are not lists")
    api_key_id, signing_domain_id, template_id = row["api_key_id"], row["signing_domain_id"], row["template_id"]
    tags, tracking = row["tags"], row["tracking"]
    return Message(
        id=MessageId(row["id"]),
        account_id=AccountId(row["account_id"]),
        api_key_id=None if api_key_id is None else ApiKeyId(api_key_id),
        mode=KeyMode(row["mode"]),
        reverse_path=row["reverse_path"],
        author=row["author"],
        to=tuple(to),
        cc=tuple(cc),
        subject=row["subject"],
        internet_message_id=row["internet_message_id"],
        size=row["size"],
        created_at=from_ms(row["created_at"]),
        signing_domain_id=None if signing_domain_id is None else DomainId(signing_domain_id),
        needs_smtputf8=bool(row["needs_smtputf8"]),
        is_8bit=bool(row["is_8bit"]),
        ret=row["ret"],
        envid=row["envid"],
        tags=tuple((name, value) for name, value in json.loads(tags)) if tags else (),
        type=MessageType(row["type"]),
        scheduled_at=from_ms_or_none(row["scheduled_at"]),
        track_opens=bool(tracking & 1),
        track_clicks=bool(tracking & 2),
        template_id=None if template_id is None else TemplateId(template_id),
        list_id=row["list_id"],
        unsubscribe_url=row["unsubscribe_url"],
        tls_demand=TlsDemand(row["tls_demand"]),
    )


@row_of(MESSAGE_PREFIX)
def read_claimable(row: Row) -> Message:
    """A message to send. A value of a wrong type makes it unreadable. Raises `RowUnreadable`."""
    check_types(row, _TYPES)
    return read_message(row)


@row_of(MESSAGE_PREFIX)
def show_message(row: Row) -> Message:
    """The readable part of a message, to be shown, never sent: damaged recipients and tags are left out. Raises `RowUnreadable`."""
    try:
        return read_message(row)
    except RowUnreadable:
        return read_message({**row, "recipients": "[[],[]]", "tags": None})
