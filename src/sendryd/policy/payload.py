"""The JSON payload of webhook notifications."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sendryd.model.apikey import KeyMode
from sendryd.model.event import Event, EventType
from sendryd.model.ids import EVENT_PREFIX, INBOUND_PREFIX, MESSAGE_PREFIX, NOTIFICATION_PREFIX, format_id
from sendryd.model.inbound import InboundMail
from sendryd.model.moment import timestamp
from sendryd.model.webhook import Notification


def _bounce(metadata: Mapping[str, object]) -> dict[str, Any]:
    return {
        "bounce_type": metadata.get("bounce_type", "hard"),
        "bounce_subtype": metadata.get("category", "other"),
        "diagnostic_code": metadata.get("reply") or metadata.get("reason"),
    }


def _complaint(metadata: Mapping[str, object]) -> dict[str, Any]:
    return {"complaint_feedback_type": metadata.get("complaint_feedback_type", "abuse")}


def _open(metadata: Mapping[str, object]) -> dict[str, Any]:
    return {"opened_by": metadata["opened_by"]} if "opened_by" in metadata else {}


def _click(metadata: Mapping[str, object]) -> dict[str, Any]:
    by = {"clicked_by": metadata["clicked_by"]} if "clicked_by" in metadata else {}
    return {"link": metadata.get("link"), **by}


_EXTRAS: Final[Mapping[EventType, Callable[[Mapping[str, object]], dict[str, Any]]]] = {
    EventType.BOUNCED: _bounce,
    EventType.COMPLAINED: _complaint,
    EventType.OPENED: _open,
    EventType.CLICKED: _click,
}


def fact_id(notification: Notification) -> str:
    """The id of the fact: the same for retries, replays and all webhooks, so that receivers recognise repeats."""
    if notification.event is not None:
        return format_id(EVENT_PREFIX, notification.event.id)
    return format_id(NOTIFICATION_PREFIX, notification.origin_id)


def payload_of(notification: Notification) -> dict[str, Any]:
    """The JSON body: `type` and the older `event` with the same word, and `data`. Events of test mail are marked `test`."""
    event = notification.event
    created_at = event.created_at if event is not None else notification.created_at
    return {
        "id": fact_id(notification),
        "type": notification.type.value,
        "event": notification.type.value,
        "created_at": timestamp(created_at),
        "test": notification.mode is KeyMode.TEST,
        "data": _mail_data(event) if event is not None else dict(notification.body or {}),
    }


def inbound_payload(mail: InboundMail) -> dict[str, Any]:
    """A mail that came in, as the API shows it and as it is posted."""
    content = mail.content
    return {
        "id": format_id(INBOUND_PREFIX, mail.id),
        "from": content.author,
        "to": list(content.to),
        "cc": list(content.cc),
        "subject": content.subject,
        "text": content.text,
        "html": content.html,
        "headers": dict(reversed(content.headers)),  # of several fields of one name the first counts
        "attachments": [
            {
                "filename": each.filename,
                "contentType": each.content_type,
                "size": each.size,
                **({"contentId": each.content_id} if each.content_id else {}),
            }
            for each in content.attachments
        ],
        "webhook_delivered": mail.is_forwarded,
        "created_at": timestamp(mail.created_at),
    }


def make_body(notification: Notification) -> bytes:
    """The octets that are signed and sent: compact JSON in UTF-8."""
    text = json.dumps(payload_of(notification), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")  # what receiving servers say may hold what is no character


def _mail_data(event: Event) -> dict[str, Any]:
    extras = _EXTRAS.get(event.type)
    return {
        "email_id": format_id(MESSAGE_PREFIX, event.message_id),
        "to": event.recipient,
        "timestamp": timestamp(event.created_at),
        **(extras(event.metadata) if extras else {}),
    }
