"""Webhooks, notifications, and rows of `webhook` and `notification`."""

import json
from typing import Any

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import NOTIFICATION_PREFIX, WEBHOOK_PREFIX, AccountId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookAttempt, WebhookEvent
from sendryd.store.codec.events import read_event
from sendryd.store.codec.reading import FAULTS, Row, part, row_of
from sendryd.store.codec.values import clean, from_ms, from_ms_or_none, read_object, to_json, to_ms, to_ms_or_none
from sendryd.store.errors import RowUnreadable


def webhook_row(webhook: Webhook) -> dict[str, Any]:
    """The columns of a webhook."""
    return {
        "id": webhook.id,
        "account_id": webhook.account_id,
        "url": webhook.url,
        "events": to_json(webhook.events),
        "secret": webhook.secret,
        "is_active": webhook.is_active,
        "created_at": to_ms(webhook.created_at),
        "updated_at": to_ms(webhook.updated_at),
        "failing_since": to_ms_or_none(webhook.failing_since),
        "disabled_reason": webhook.disabled_reason,
        "mode": webhook.mode.value,
        "previous_secret": webhook.previous_secret,
        "previous_until": to_ms_or_none(webhook.previous_until),
    }


@row_of(WEBHOOK_PREFIX)
def read_webhook(row: Row) -> Webhook:
    """A webhook. Raises `RowUnreadable`."""
    return Webhook(
        id=WebhookId(row["id"]),
        account_id=AccountId(row["account_id"]),
        url=row["url"],
        events=_read_words(row["events"]),
        secret=row["secret"],
        is_active=bool(row["is_active"]),
        created_at=from_ms(row["created_at"]),
        updated_at=from_ms(row["updated_at"]),
        failing_since=from_ms_or_none(row["failing_since"]),
        disabled_reason=row["disabled_reason"],
        mode=KeyMode(row["mode"]),
        previous_secret=row["previous_secret"],
        previous_until=from_ms_or_none(row["previous_until"]),
    )


def _read_words(text: str) -> tuple[WebhookEvent, ...]:
    """The events that a webhook subscribes to. Leaves out words that this version does not know; none if the column is damaged."""
    try:
        return tuple(WebhookEvent(word) for word in json.loads(text) if word in set(WebhookEvent))
    except FAULTS:
        return ()


@row_of(NOTIFICATION_PREFIX)
def read_notification(row: Row) -> Notification:
    """A notification with its event, whose columns begin with `event_`. Raises `RowUnreadable`."""
    event = read_event(part(row, "event_")) if row["event_id"] is not None else None
    body = read_object(row["body"]) if row["body"] else None
    if event is None and body is None:  # the event was deleted before the notification
        body = {}
    return Notification(
        id=NotificationId(row["id"]),
        webhook_id=WebhookId(row["webhook_id"]),
        account_id=AccountId(row["account_id"]),
        type=WebhookEvent(row["type"]),
        body=body,
        origin_id=NotificationId(row["origin_id"]),
        state=NotificationState(row["state"]),
        attempts=row["attempts"],
        due_at=from_ms(row["due_at"]),
        status_code=row["status_code"],
        response=row["response"],
        delivered_at=from_ms_or_none(row["delivered_at"]),
        created_at=from_ms(row["created_at"]),
        mode=KeyMode(row["mode"]) if row["mode"] else KeyMode.LIVE,
        event=event,
    )


@row_of(NOTIFICATION_PREFIX)
def show_notification(row: Row) -> Notification:
    """The readable part of a notification, to be shown: a damaged body and event are left out. Raises `RowUnreadable`."""
    try:
        return read_notification(row)
    except RowUnreadable:
        return read_notification({**row, "body": None, "event_id": None})


def attempt_row(attempt: WebhookAttempt) -> dict[str, Any]:
    """The columns of an attempt that are its own."""
    return {
        "started_at": to_ms(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "url": attempt.url,
        "headers": to_json(attempt.headers),
        "status_code": attempt.status_code,
        "content_type": clean(attempt.content_type),
        "response": clean(attempt.response),
        "fault": clean(attempt.fault),
    }


@row_of(NOTIFICATION_PREFIX)
def read_attempt(row: Row) -> WebhookAttempt:
    """An attempt; the column `id` is that of its notification. Raises `RowUnreadable`."""
    return WebhookAttempt(
        started_at=from_ms(row["started_at"]),
        duration_ms=row["duration_ms"],
        url=row["url"],
        headers=read_object(row["headers"]),
        status_code=row["status_code"],
        content_type=row["content_type"],
        response=row["response"],
        fault=row["fault"],
        number=row["number"],
    )
