"""The facts that a delivery's row and its events hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from sendryd.accounts.explanations import explain_delivery, facts_of
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import DeliveryId, EventId
from sendryd.policy.explain import Tone
from sendryd.store.base import QueuedDelivery
from sendryd.testing.samples import Samples

NOW: Final = datetime(2026, 5, 5, 13, 58, tzinfo=UTC)
LIFETIME: Final = timedelta(hours=72)


@pytest.fixture
def delivery() -> QueuedDelivery:
    made = Samples(NOW).message(("ann@corp.example",), created_at=NOW - timedelta(hours=1), due_at=NOW + timedelta(minutes=7))
    return QueuedDelivery(
        id=made.deliveries[0].id,
        message=made.message,
        forward_path="ann@corp.example",
        domain="corp.example",
        state=DeliveryState.QUEUED,
        attempts=2,
        due_at=NOW + timedelta(minutes=7),
        created_at=NOW - timedelta(hours=1),
        last_reply="",
    )


def event(number: int, kind: EventType, metadata: Metadata, *, of: QueuedDelivery, minutes: int = 0) -> Event:
    return Event(
        id=EventId(number),
        message_id=of.message.id,
        delivery_id=of.id,
        type=kind,
        recipient=of.forward_path,
        created_at=NOW - timedelta(minutes=minutes),
        metadata=metadata,
    )


def deferred(number: int, category: str, of: QueuedDelivery) -> Event:
    return event(number, EventType.DEFERRED, {"category": category, "host": f"mx{number}.corp.example", "reply": "451 Later"}, of=of)


def test_the_last_attempt_counts_in_whatever_order_the_events_come(delivery: QueuedDelivery) -> None:
    events = [deferred(2, "greylisted", delivery), deferred(1, "mailbox_full", delivery)]
    found = facts_of(delivery, events, NOW, lifetime=LIFETIME)
    assert found.last is not None
    assert (found.last.category, found.last.host, found.last.reply) == ("greylisted", "mx2.corp.example", "451 Later")
    assert found.expires_at == NOW + timedelta(hours=71)


def test_another_recipients_events_are_left_out(delivery: QueuedDelivery) -> None:
    other = replace(deferred(1, "greylisted", delivery), delivery_id=DeliveryId(1))
    assert facts_of(delivery, [other], NOW, lifetime=LIFETIME).last is None


def test_an_expired_delivery_names_what_stood_in_its_way(delivery: QueuedDelivery) -> None:
    events = [deferred(1, "greylisted", delivery), event(2, EventType.FAILED, {"category": "expired", "reason": "expired"}, of=delivery)]
    found = explain_delivery(replace(delivery, state=DeliveryState.EXPIRED), events, NOW, lifetime=LIFETIME)
    assert found.tone is Tone.BAD
    assert (
        found.sentence
        == "Given up after 60 min and 2 tries: corp.example asks new senders to come back. It usually says yes at the next try."
    )


def test_a_damaged_content_is_named(delivery: QueuedDelivery) -> None:
    held = replace(delivery, state=DeliveryState.HELD, hold_reason=HoldReason.CONTENT_DAMAGED, last_reply="Held: 1.seg: it is missing")
    assert explain_delivery(held, [], NOW, lifetime=LIFETIME).sentence == "Held: 1.seg: it is missing."


@pytest.mark.parametrize("metadata", [{}, {"reason": "hard_bounce"}, {"reason": 7}])
def test_a_suppressed_delivery_says_since_when(delivery: QueuedDelivery, metadata: Metadata) -> None:
    events = [event(1, EventType.SUPPRESSED, metadata, of=delivery)]
    found = explain_delivery(replace(delivery, state=DeliveryState.SUPPRESSED), events, NOW, lifetime=LIFETIME)
    assert found.sentence.startswith("Not sent: ann@corp.example is suppressed since 5 May, after ")


def test_a_complaint_after_delivery_comes_first(delivery: QueuedDelivery) -> None:
    events = [event(1, EventType.DELIVERED, {"category": "delivered"}, of=delivery), event(2, EventType.COMPLAINED, {}, of=delivery)]
    found = explain_delivery(replace(delivery, state=DeliveryState.DELIVERED), events, NOW, lifetime=LIFETIME)
    assert found.tone is Tone.ABUSE
