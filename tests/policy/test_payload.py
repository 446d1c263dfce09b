"""What webhooks are told: the envelope, and the facts of each event."""

import json
from datetime import UTC, datetime

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.event import Event, EventType
from sendryd.model.ids import AccountId, EventId, MessageId, NotificationId, WebhookId
from sendryd.model.webhook import MAIL_EVENTS, Notification, NotificationState, WebhookEvent
from sendryd.policy.payload import fact_id, payload_of
from sendryd.testing.cases import cases

NOW = datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)
LATER = datetime(2026, 3, 2, tzinfo=UTC)


def told(
    event: Event | None, *, mode: KeyMode = KeyMode.LIVE, number: int = 7, origin: int = 7, body: dict[str, object] | None = None
) -> Notification:
    return Notification(
        id=NotificationId(number),
        webhook_id=WebhookId(1),
        account_id=AccountId(1),
        type=MAIL_EVENTS[event.type] if event else WebhookEvent.DOMAIN_DELETED,
        event=event,
        mode=mode,
        body=body,
        origin_id=NotificationId(origin),
        state=NotificationState.PENDING,
        attempts=0,
        due_at=LATER,
        status_code=None,
        response="",
        delivered_at=None,
        created_at=LATER,
    )


def happened(event_type: EventType, **metadata: object) -> Event:
    return Event(
        id=EventId(32),
        message_id=MessageId(33),
        delivery_id=None,
        type=event_type,
        recipient="user@example.org",
        created_at=NOW,
        metadata=metadata,
    )


def test_the_envelope_of_a_mails_event() -> None:
    assert payload_of(told(happened(EventType.DELIVERED, reply="250 ok"))) == {
        "id": "evt_0000000000010",
        "type": "email.delivered",
        "event": "email.delivered",
        "created_at": "2026-03-01T12:00:00.005Z",
        "test": False,
        "data": {"email_id": "em_0000000000011", "to": "user@example.org", "timestamp": "2026-03-01T12:00:00.005Z"},
    }


@cases(
    ("event_type", "metadata", "expected"),
    [
        (EventType.DELIVERED, {"reply": "250 ok"}, {}),
        (EventType.OPENED, {}, {}),
        (EventType.OPENED, {"opened_by": "scanner", "ip": "192.0.2.1"}, {"opened_by": "scanner"}),
        (EventType.CLICKED, {"link": "https://example.org/"}, {"link": "https://example.org/"}),
        (EventType.CLICKED, {"link": "https://e.org/", "clicked_by": "person"}, {"link": "https://e.org/", "clicked_by": "person"}),
        (EventType.COMPLAINED, {}, {"complaint_feedback_type": "abuse"}),
        (EventType.COMPLAINED, {"complaint_feedback_type": "fraud"}, {"complaint_feedback_type": "fraud"}),
        (EventType.BOUNCED, {}, {"bounce_type": "hard", "bounce_subtype": "other", "diagnostic_code": None}),
        (
            EventType.BOUNCED,
            {"reply": "550 5.1.1 no such user", "category": "unknown_user", "bounce_type": "soft"},
            {"bounce_type": "soft", "bounce_subtype": "unknown_user", "diagnostic_code": "550 5.1.1 no such user"},
        ),
        (
            EventType.BOUNCED,
            {"reason": "expired", "reply": ""},
            {"bounce_type": "hard", "bounce_subtype": "other", "diagnostic_code": "expired"},
        ),
    ],
)
def test_what_each_event_adds(event_type: EventType, metadata: dict[str, object], expected: dict[str, object]) -> None:
    data = payload_of(told(happened(event_type, **metadata)))["data"]
    assert {name: value for name, value in data.items() if name not in {"email_id", "to", "timestamp"}} == expected


@pytest.mark.parametrize("event_type", list(MAIL_EVENTS))
def test_every_event_that_webhooks_are_told_is_json(event_type: EventType) -> None:
    payload = payload_of(told(happened(event_type)))
    assert json.loads(json.dumps(payload)) == payload
    assert payload["type"] == f"email.{event_type.value}"


def test_what_a_test_keys_mail_did_is_marked() -> None:
    assert payload_of(told(happened(EventType.OPENED), mode=KeyMode.TEST))["test"] is True


def test_a_fact_with_a_body_of_its_own() -> None:
    payload = payload_of(told(None, body={"id": "dom_1"}))
    assert payload["type"] == "domain.deleted"
    assert payload["data"] == {"id": "dom_1"}
    assert payload["created_at"] == "2026-03-02T00:00:00.000Z"
    assert payload_of(told(None))["data"] == {}


def test_the_identity_is_that_of_the_fact() -> None:
    assert fact_id(told(happened(EventType.OPENED), number=7)) == fact_id(told(happened(EventType.OPENED), number=8, origin=8))
    assert fact_id(told(None, number=8, origin=7)) == fact_id(told(None, number=7)) == "whd_0000000000007"
    assert fact_id(told(None, number=8, origin=8)) != fact_id(told(None, number=7))
