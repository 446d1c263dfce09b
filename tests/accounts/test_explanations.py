"""The facts that a delivery's row and its events hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import pytest

from sendryd.accounts.explanations import Surroundings, explain_delivery, facts_of, read_surroundings
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Event, EventType, Metadata
from sendryd.model.ids import AccountId, DeliveryId, EventId, SuppressionId
from sendryd.model.lane import LaneSnapshot, TriedServer
from sendryd.model.suppression import Suppression, SuppressionReason
from sendryd.policy.explain import Tone
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.store.base import QueuedDelivery, Store
from sendryd.store.memory import MemoryStore
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


@pytest.mark.parametrize(
    ("reason", "days", "said"),
    [
        (SuppressionReason.MANUAL, 2, "since 3 May, after an entry by hand."),
        (SuppressionReason.COMPLAINT, 2, "since 3 May, after a complaint."),
        (SuppressionReason.MANUAL, -1, "since 5 May, after an entry in the list."),  # lifted, and entered again later
    ],
)
def test_a_skipped_delivery_says_what_put_its_address_on_the_list(
    delivery: QueuedDelivery, reason: SuppressionReason, days: int, said: str
) -> None:
    entered_at = NOW - timedelta(days=days)
    entry = Suppression(id=SuppressionId(1), account_id=AccountId(1), email="ann@corp.example", reason=reason, created_at=entered_at)
    found = explain_delivery(
        replace(delivery, state=DeliveryState.SUPPRESSED),
        [event(1, EventType.SUPPRESSED, {"reason": "suppressed"}, of=delivery)],
        NOW,
        lifetime=LIFETIME,
        around=Surroundings(entries={delivery.id: entry}),
    )
    assert found.sentence == f"Not sent: ann@corp.example is suppressed {said}"


def test_a_complaint_after_delivery_comes_first(delivery: QueuedDelivery) -> None:
    events = [event(1, EventType.DELIVERED, {"category": "delivered"}, of=delivery), event(2, EventType.COMPLAINED, {}, of=delivery)]
    found = explain_delivery(replace(delivery, state=DeliveryState.DELIVERED), events, NOW, lifetime=LIFETIME)
    assert found.tone is Tone.ABUSE


def lane(**changes: Any) -> LaneSnapshot:
    server = TriedServer(host="mx9.corp.example", address="192.0.2.1", port=25, tls="", fault="not connected: refused", at=NOW)
    known: dict[str, Any] = {
        "next_hop": "corp.example",
        "at": NOW,
        "sending": 1,
        "limit": 5,
        "per_minute": 20,
        "suspended_until": None,
        "last_success": None,
        "last_reply": "",
        "servers": (server,),
    }
    return LaneSnapshot(**{**known, **changes})


def test_those_that_go_first_and_the_pace_are_told(delivery: QueuedDelivery) -> None:
    around = Surroundings(lanes={"corp.example": lane()}, ahead={delivery.id: 200})
    found = explain_delivery(replace(delivery, due_at=NOW), [], NOW, lifetime=LIFETIME, around=around)
    assert (found.sentence, found.advice) == ("In the queue: 200 others to corp.example go first.", "About 10 min at this pace.")


def test_the_server_that_is_being_talked_to_is_named(delivery: QueuedDelivery) -> None:
    leased = replace(delivery, state=DeliveryState.LEASED)
    for lanes, host in (
        ({"corp.example": lane()}, "mx9.corp.example"),
        ({"*": lane(next_hop="*")}, "mx9.corp.example"),
        ({}, "corp.example"),
    ):
        found = explain_delivery(leased, [], NOW, lifetime=LIFETIME, around=Surroundings(lanes=lanes))
        assert found.sentence == f"Being handed to {host}."


def test_every_server_that_was_tried_is_named(delivery: QueuedDelivery) -> None:
    tried = event(
        1, EventType.DEFERRED, {"category": "connect_failure", "host": "mx2.test", "tried": ["mx1.test", "mx2.test", 7]}, of=delivery
    )
    found = explain_delivery(delivery, [tried], NOW, lifetime=LIFETIME)
    assert found.sentence == "corp.example does not answer: mx1.test and mx2.test were tried."
    blocked = explain_delivery(delivery, [tried], NOW, lifetime=LIFETIME, around=Surroundings(nothing_reachable=True))
    assert blocked.sentence == "No server can be reached: outgoing port 25 seems blocked here."


async def test_surroundings_are_read_of_the_store(delivery: QueuedDelivery) -> None:
    store = cast("Store", MemoryStore())
    servers = lane().servers
    lanes = [lane(next_hop=name, servers=servers) for name in ("corp.example", "b.test", "c.test")]
    await store.put_lanes(lanes, keep_since=NOW - timedelta(days=1), most=9)
    await store.pause_destination("corp.example", by="Mara", now=NOW)
    around = await read_surroundings(store, ["corp.example"], NOW, of=[delivery, replace(delivery, due_at=NOW)])
    assert (list(around.lanes), around.nothing_reachable, around.ahead) == (["corp.example"], True, {delivery.id: 0})
    assert explain_delivery(delivery, [], NOW, lifetime=LIFETIME, around=around).sentence == "Mail to corp.example is paused by Mara."
    assert await store.resume_destination("corp.example")
    await store.pause_destination(ANY_DOMAIN, by="Mara", now=NOW)
    around = await read_surroundings(store, ["corp.example"], NOW)
    assert explain_delivery(delivery, [], NOW, lifetime=LIFETIME, around=around).sentence == "All mail is paused by Mara."


async def test_a_pause_of_its_site_is_named_with_its_end_and_reason(delivery: QueuedDelivery) -> None:
    store, until = MemoryStore(), NOW + timedelta(hours=2)
    await store.pause_destination("mx.corp.example", by="Mara", now=NOW, until=until, reason="their server is moved")
    lane = LaneSnapshot(
        next_hop="corp.example",
        at=NOW,
        sending=0,
        limit=5,
        per_minute=0,
        suspended_until=None,
        last_success=None,
        last_reply="",
        servers=(),
        site="mx.corp.example",
    )
    around = Surroundings(paused=tuple(await store.list_paused_destinations()), lanes={"corp.example": lane})
    sentence = explain_delivery(delivery, [], NOW, lifetime=LIFETIME, around=around).sentence
    assert sentence == 'Mail to the site mx.corp.example is paused by Mara until 15:58 UTC: "their server is moved"'
