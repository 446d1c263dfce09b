"""Reports on deliveries that are done: late bounces and complaints."""

import asyncio
from datetime import timedelta

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import DeliveryId, SuppressionId
from sendryd.model.message import MessageStatus
from sendryd.model.suppression import SuppressionReason
from sendryd.store.base import EventFilter, LateReport, LateResult, MailStore, MessageFilter, NewSuppression, Outcome
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(hours=1)
REPLY = "550 5.1.1 User unknown"


def bounce(samples: Samples, delivery_id: DeliveryId, *, email: str | None = None) -> LateReport:
    return _report(samples, delivery_id, EventType.BOUNCED, SuppressionReason.HARD_BOUNCE, email)


def complaint(samples: Samples, delivery_id: DeliveryId, *, email: str | None = None) -> LateReport:
    return _report(samples, delivery_id, EventType.COMPLAINED, SuppressionReason.COMPLAINT, email)


def _report(samples: Samples, delivery_id: DeliveryId, kind: EventType, reason: SuppressionReason, email: str | None) -> LateReport:
    suppression = NewSuppression(id=SuppressionId(samples.number()), email=email, reason=reason) if email else None
    reply = REPLY if kind is EventType.BOUNCED else ""
    return LateReport(delivery_id=delivery_id, event=samples.event(kind, {"category": "other"}), reply=reply, suppression=suppression)


async def deliver(store: MailStore, samples: Samples, state: DeliveryState = DeliveryState.DELIVERED) -> DeliveryId:
    new = samples.message(["u@x.test"])
    await store.accept(new)
    lease = samples.lease()
    (claim,) = await store.claim_deliveries(now=NOW, lease=lease, limit=9, busy=frozenset(), per_domain=9)
    if state is not DeliveryState.LEASED:
        outcome = Outcome(delivery_id=claim.deliveries[0].id, state=state, due_at=None, reply="250 Ok", events=())
        await store.record_attempt(lease, [outcome], NOW)
    return claim.deliveries[0].id


async def test_a_late_bounce_moves_the_delivery_and_suppresses_once(store: MailStore, samples: Samples) -> None:
    number = await deliver(store, samples)
    assert await store.record_late(bounce(samples, number, email="u@x.test"), LATER) is LateResult.RECORDED
    assert await store.record_late(bounce(samples, number, email="u@x.test"), LATER) is LateResult.REPEATED
    view = await store.find_delivery(number)
    assert view is not None
    assert view.state is DeliveryState.BOUNCED
    page = await store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, type=EventType.BOUNCED), limit=9)
    (event,) = page.items
    assert (event.delivery_id, event.recipient, event.created_at, event.metadata) == (number, "u@x.test", LATER, {"category": "other"})
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == {"u@x.test"}
    assert await store.count_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE, status=MessageStatus.BOUNCED)) == 1


async def test_reports_at_the_same_time_count_once(store: MailStore, samples: Samples) -> None:
    number = await deliver(store, samples)
    reports = [make(samples, number) for make in (bounce, complaint) for _ in range(3)]
    results = await asyncio.gather(*(store.record_late(each, LATER) for each in reports))
    assert [results.count(each) for each in (LateResult.RECORDED, LateResult.REPEATED)] == [2, 4]
    page = await store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, type=EventType.COMPLAINED), limit=9)
    assert len(page.items) == 1


async def test_a_complaint_changes_no_state(store: MailStore, samples: Samples) -> None:
    number = await deliver(store, samples)
    assert await store.record_late(complaint(samples, number, email="u@x.test"), LATER) is LateResult.RECORDED
    view = await store.find_delivery(number)
    assert view is not None
    assert view.state is DeliveryState.DELIVERED
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == {"u@x.test"}


async def test_a_bounce_before_the_outcome_is_stored_has_to_come_again(store: MailStore, samples: Samples) -> None:
    number = await deliver(store, samples, DeliveryState.LEASED)
    assert await store.record_late(bounce(samples, number, email="u@x.test"), LATER) is LateResult.TOO_EARLY
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == frozenset()


async def test_what_is_waiting_gone_or_of_a_test_key_stays(store: MailStore, samples: Samples) -> None:
    waiting = samples.message(["u@x.test"])
    test = samples.message(["u@x.test"], mode=KeyMode.TEST)
    await store.accept(waiting)
    await store.accept(test)
    for number in (waiting.deliveries[0].id, test.deliveries[0].id, DeliveryId(5)):
        assert await store.record_late(bounce(samples, number, email="u@x.test"), LATER) is LateResult.UNFIT
    assert await store.record_late(complaint(samples, test.deliveries[0].id), LATER) is LateResult.UNFIT
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == frozenset()
