"""The only JSON shapes of the API: model values in, plain data out."""

from collections.abc import Iterable, Sequence
from typing import assert_never

from sendryd.api.framework.answers import Json, timestamp_or_none
from sendryd.message.parse import Summary
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DnsRecord, SendingDomain
from sendryd.model.event import Event
from sendryd.model.ids import (
    DELIVERY_PREFIX,
    DOMAIN_PREFIX,
    EVENT_PREFIX,
    MESSAGE_PREFIX,
    NOTIFICATION_PREFIX,
    TEMPLATE_PREFIX,
    TEMPLATE_VERSION_PREFIX,
    TEST_MESSAGE_PREFIX,
    UNSUBSCRIBE_PREFIX,
    WEBHOOK_PREFIX,
    format_id,
)
from sendryd.model.message import Message, MessageStatus, MessageSummary, derive_status
from sendryd.model.moment import timestamp
from sendryd.model.suppression import Suppression, Unsubscribe
from sendryd.model.template import Template, TemplateVersion
from sendryd.model.webhook import Notification, NotificationState, Webhook
from sendryd.policy.payload import payload_of
from sendryd.store.base import QueuedDelivery


def page(items: Sequence[Json], *, has_more: bool, total: int | None = None, has_total: bool = False) -> Json:
    """A list. The cursor is the last row's id."""
    body: Json = {"data": list(items), "has_more": has_more, "next_cursor": items[-1]["id"] if has_more else None}
    if has_total:
        body["total"] = total
    return body


def smtp_info(hostname: str, port: int) -> Json:
    """`GET /v1/smtp/info`, as the public documentation shows it."""
    return {
        "host": hostname,
        "port": port,
        "tls": False,
        "auth": {"username": "(any value)", "password": "use any API key with sending_access scope"},
    }


def email_json(summary: MessageSummary, attachments: Summary | None = None) -> Json:
    """A message. Attachments are shown where the content was read."""
    message = summary.message
    status = derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)
    body: Json = {
        "id": format_id(MESSAGE_PREFIX, message.id),
        "from": message.author,
        "to": list(message.to),
        "subject": message.subject,
        "status": status_word(status),
        "created_at": timestamp(message.created_at),
        "sent_at": timestamp_or_none(summary.sent_at),
        "last_event": summary.last_event.value if summary.last_event else None,
        "region": None,
        "scheduled_at": timestamp_or_none(message.scheduled_at),
        "tags": [{"name": name, "value": value} for name, value in message.tags],
    }
    if attachments is not None:
        body["attachments"] = [{"filename": each.filename, "content_type": each.content_type} for each in attachments.attachments]
    return body


def status_word(status: MessageStatus) -> str:
    """The public word of a status."""
    match status:
        case (
            MessageStatus.QUEUED
            | MessageStatus.SENDING
            | MessageStatus.DELIVERED
            | MessageStatus.BOUNCED
            | MessageStatus.FAILED
            | MessageStatus.COMPLAINED
            | MessageStatus.CANCELLED
        ):
            return status.value
    assert_never(status)


def delivery_word(state: DeliveryState, attempts: int) -> str:
    """The public word of one delivery's state; `held` for operators."""
    match state:
        case DeliveryState.QUEUED:
            return "sending" if attempts else "queued"
        case DeliveryState.LEASED:
            return "sending"
        case DeliveryState.EXPIRED | DeliveryState.SUPPRESSED:
            return "failed"
        case DeliveryState.HELD | DeliveryState.DELIVERED | DeliveryState.BOUNCED | DeliveryState.CANCELLED:
            return state.value
    assert_never(state)


def event_json(event: Event) -> Json:
    """An event."""
    return {
        "id": format_id(EVENT_PREFIX, event.id),
        "email_id": format_id(MESSAGE_PREFIX, event.message_id),
        "type": event.type.value,
        "recipient": event.recipient,
        "metadata": dict(event.metadata),
        "created_at": timestamp(event.created_at),
    }


def test_email_json(message: Message) -> Json:
    """A captured message in the Test Inbox's list."""
    return {
        "id": format_id(TEST_MESSAGE_PREFIX, message.id),
        "from": message.author,
        "to": list(message.to),
        "subject": message.subject,
        "message_type": message.type.value,
        "created_at": timestamp(message.created_at),
    }


def whole_test_email_json(message: Message, content: Summary) -> Json:
    """A captured message with its bodies."""
    return {
        **test_email_json(message),
        "cc": list(message.cc) or None,
        "html": content.html,
        "text": content.text,
        "headers": _headers_json(content.headers),
        "attachments": [{"filename": each.filename, "content_type": each.content_type, "size": each.size} for each in content.attachments],
    }


def _headers_json(fields: Iterable[tuple[str, str]]) -> Json:
    """Header fields by their names; the values of a name that occurs again are lines of one text, in their order."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(names.setdefault(name.lower(), name), []).append(value)
    return {name: "\n".join(each) for name, each in values.items()}


def record_json(record: DnsRecord) -> Json:
    """A DNS record to publish."""
    body: Json = {
        "type": record.type,
        "host": record.name,
        "value": record.value,
        "name": record.name,
        "verified": record.is_verified,
    }
    return {**body, "reason": record.reason} if record.reason else body


def domain_json(domain: SendingDomain) -> Json:
    """A sending domain."""
    settings = domain.settings
    return {
        "id": format_id(DOMAIN_PREFIX, domain.id),
        "name": domain.name,
        "status": domain.status.value,
        "region": settings.region,
        "tls_policy": settings.tls_policy.value,
        "custom_return_path": settings.custom_return_path,
        "include_subdomains": settings.include_subdomains,
        "track_opens": settings.track_opens,
        "track_clicks": settings.track_clicks,
        "tracking": {"opens": settings.track_opens, "clicks": settings.track_clicks},
        "dns_records": [record_json(record) for record in domain.records],
        "created_at": timestamp(domain.created_at),
    }


def delivery_json(delivery: QueuedDelivery) -> Json:
    """A delivery, for operators."""
    return {
        "id": format_id(DELIVERY_PREFIX, delivery.id),
        "email_id": format_id(MESSAGE_PREFIX, delivery.message.id),
        "from": delivery.message.author,
        "recipient": delivery.forward_path,
        "domain": delivery.domain,
        "subject": delivery.message.subject,
        "state": delivery_word(delivery.state, delivery.attempts),
        "attempts": delivery.attempts,
        "due_at": timestamp(delivery.due_at),
        "created_at": timestamp(delivery.created_at),
        "last_reply": delivery.last_reply or None,
        "hold_reason": delivery.hold_reason.value if delivery.hold_reason else None,
        "crashes": delivery.crashes,
    }


def webhook_json(webhook: Webhook, *, has_secret: bool = False) -> Json:
    """An endpoint; its secret is not in lists."""
    body: Json = {
        "id": format_id(WEBHOOK_PREFIX, webhook.id),
        "url": webhook.url,
        "events": [event.value for event in webhook.events],
        "active": webhook.is_active,
        "failing_since": timestamp_or_none(webhook.failing_since),
        "disabled_reason": webhook.disabled_reason,
        "created_at": timestamp(webhook.created_at),
        "updated_at": timestamp(webhook.updated_at),
    }
    if webhook.mode is KeyMode.TEST:
        body["mode"] = KeyMode.TEST.value
    return {**body, "secret": webhook.secret} if has_secret else body


def notification_word(state: NotificationState) -> str:
    """The public word of where a notification stands."""
    match state:
        case NotificationState.PENDING | NotificationState.LEASED:
            return "pending"
        case NotificationState.DELIVERED | NotificationState.FAILED:
            return state.value
    assert_never(state)


def notification_json(notification: Notification) -> Json:
    """What a webhook was told, or is owed."""
    word = notification_word(notification.state)
    return {
        "id": format_id(NOTIFICATION_PREFIX, notification.id),
        "webhook_id": format_id(WEBHOOK_PREFIX, notification.webhook_id),
        "event": notification.type.value,
        "payload": payload_of(notification),
        "status": word,
        "status_code": notification.status_code,
        "response": notification.response or None,
        "attempts": notification.attempts,
        "next_attempt_at": timestamp(notification.due_at) if word == "pending" else None,
        "delivered_at": timestamp_or_none(notification.delivered_at),
        "created_at": timestamp(notification.created_at),
    }


def template_json(template: Template) -> Json:
    """A template."""
    content = template.content
    body: Json = {
        "id": format_id(TEMPLATE_PREFIX, template.id),
        "name": template.name,
        "subject": content.subject,
        "html": content.html,
        "text": content.text,
        "engine": content.engine,
        "variables": None if content.variables is None else dict(content.variables),
        "blocks": None if content.blocks is None else dict(content.blocks),
        "created_at": timestamp(template.created_at),
        "updated_at": timestamp(template.updated_at),
    }
    return {**body, "mode": KeyMode.TEST.value} if template.mode is KeyMode.TEST else body


def template_version_json(version: TemplateVersion) -> Json:
    """A version in its template's list."""
    return {
        "id": format_id(TEMPLATE_VERSION_PREFIX, version.id),
        "version": version.version,
        "subject": version.content.subject,
        "created_at": timestamp(version.created_at),
    }


def suppression_json(suppression: Suppression) -> Json:
    """An address that gets no mail."""
    return {"email": suppression.email, "reason": suppression.reason.value, "created_at": timestamp(suppression.created_at)}


def unsubscribe_json(unsubscribe: Unsubscribe) -> Json:
    """An address that gets no marketing."""
    return {
        "id": format_id(UNSUBSCRIBE_PREFIX, unsubscribe.id),
        "email": unsubscribe.email,
        "list_id": unsubscribe.list_id,
        "reason": unsubscribe.reason,
        "created_at": timestamp(unsubscribe.created_at),
    }
