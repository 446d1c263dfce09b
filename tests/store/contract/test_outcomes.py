"""Outcomes of attempts: recorded once, all of an attempt's or none, fenced by the lease."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, SuppressionId
from sendryd.model.message import MessageStatus, derive_status
from sendryd.model.suppression import SuppressionReason
from sendryd.store.base import (
    Claim,
    EventFilter,
    Lease,
    MailStore,
    MessageFilter,
    NewSuppression,
    Outcome,
    QueueFilter,
)
from sendryd.store.errors import LeaseLost
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
LIVE_EVENTS = EventFilter(mode=KeyMode.LIVE)


async def claim(
    store: MailStore, lease: Lease, *, limit: int = 100, busy: frozenset[str] = frozenset(), per_domain: int = 100
) -> list[Claim]:
    return await store.claim_deliveries(now=LATER, lease=lease, limit=limit, busy=busy, per_domain=per_domain)


def outcome(claimed: Claim, samples: Samples, state: DeliveryState, **changes: object) -> Outcome:
    types = {
        DeliveryState.DELIVERED: (EventType.SENT, EventType.DELIVERED),
        DeliveryState.BOUNCED: (EventType.BOUNCED,),
        DeliveryState.QUEUED: (EventType.DEFERRED,),
        DeliveryState.EXPIRED: (EventType.FAILED,),
    }
    made = Outcome(
        delivery_id=claimed.deliveries[0].id,
        state=state,
        due_at=LATER + timedelta(hours=1) if state is DeliveryState.QUEUED else None,
        reply="250 2.0.0 Ok",
        events=tuple(samples.event(each, {"code": 250}) for each in types[state]),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # each caller names fields


async def test_a_delivered_outcome(store: MailStore, samples: Samples) -> None:
    new = samples.message()
    await store.accept(new)
    lease = samples.lease()
    (claimed,) = await claim(store, lease)
    await store.record_attempt(lease, [outcome(claimed, samples, DeliveryState.DELIVERED)], LATER)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert (summary.states, summary.sent_at, summary.last_event) == ({DeliveryState.DELIVERED: 1}, LATER, EventType.DELIVERED)
    assert derive_status(summary.states, has_attempts=summary.has_attempts) is MessageStatus.DELIVERED
    page = await store.list_events(ACCOUNT, replace(LIVE_EVENTS, message_id=new.message.id), limit=10)
    assert [event.type for event in page.items] == [EventType.DELIVERED, EventType.SENT, EventType.QUEUED]
    assert page.items[0].metadata == {"code": 250}
    assert page.items[0].recipient == "user@example.org"


async def test_the_status_of_a_message_does_not_depend_on_its_copies(store: MailStore, samples: Samples) -> None:
    new = samples.message(("archive@team.test", "user@example.org"))
    archive, user = new.deliveries
    await store.accept(replace(new, deliveries=(replace(archive, is_copy=True), user)))
    assert {each.forward_path: each.is_copy for each in await store.list_queue(QueueFilter())} == {
        "archive@team.test": True,
        "user@example.org": False,
    }
    lease = samples.lease()
    claims = {each.domain: each for each in await claim(store, lease)}
    await store.record_attempt(lease, [outcome(claims["example.org"], samples, DeliveryState.DELIVERED)], LATER)
    delivered = await store.get_message(ACCOUNT, new.message.id)
    assert delivered is not None
    assert (delivered.states, delivered.last_event) == ({DeliveryState.DELIVERED: 1}, EventType.DELIVERED)
    await store.record_attempt(lease, [outcome(claims["team.test"], samples, DeliveryState.BOUNCED)], LATER)
    assert await store.get_message(ACCOUNT, new.message.id) == delivered
    for status, number in ((MessageStatus.DELIVERED, 1), (MessageStatus.BOUNCED, 0)):
        assert len((await store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE, status=status), limit=9)).items) == number
    page = await store.list_events(ACCOUNT, replace(LIVE_EVENTS, type=EventType.BOUNCED), limit=10)
    assert [event.recipient for event in page.items] == ["archive@team.test"]


async def test_a_deferred_outcome_waits_for_its_time(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    lease = samples.lease()
    (claimed,) = await claim(store, lease)
    deferred = outcome(claimed, samples, DeliveryState.QUEUED, reply="451 later " + "x" * 3000)
    await store.record_attempt(lease, [deferred], LATER)
    assert await claim(store, samples.lease()) == []
    assert await store.due_at() == deferred.due_at
    (queued,) = await store.list_queue(QueueFilter())
    assert (queued.attempts, queued.state, len(queued.last_reply)) == (1, DeliveryState.QUEUED, 1000)
    again = await store.claim_deliveries(now=LATER + timedelta(hours=2), lease=samples.lease(), limit=1, busy=frozenset(), per_domain=1)
    assert again[0].deliveries[0].attempts == 1


async def test_an_outcome_that_is_no_attempt(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    lease = samples.lease()
    (claimed,) = await claim(store, lease)
    await store.record_attempt(lease, [outcome(claimed, samples, DeliveryState.QUEUED, is_attempt=False)], LATER)
    (queued,) = await store.list_queue(QueueFilter())
    assert queued.attempts == 0


async def test_one_stale_outcome_of_several_undoes_all(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["a@one.test"]))
    await store.accept(samples.message(["b@two.test"]))
    lease, other = samples.lease(), samples.lease()
    (mine,) = await claim(store, lease, limit=1)
    (theirs,) = await claim(store, other, limit=1)
    with pytest.raises(LeaseLost):
        await store.record_attempt(lease, [outcome(each, samples, DeliveryState.BOUNCED) for each in (mine, theirs)], LATER)
    assert (await store.count_queue())[DeliveryState.LEASED] == 2


async def test_an_outcome_that_is_recorded_twice_at_once_counts_once(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    lease = samples.lease()
    (claimed,) = await claim(store, lease)
    results = await asyncio.gather(
        *(store.record_attempt(lease, [outcome(claimed, samples, DeliveryState.DELIVERED)], LATER) for _ in range(3)),
        return_exceptions=True,
    )
    assert [result for result in results if result is None] == [None]
    assert sum(isinstance(result, LeaseLost) for result in results) == 2
    assert await store.count_events(ACCOUNT, replace(LIVE_EVENTS, type=EventType.DELIVERED)) == 1


async def test_a_message_may_be_leased_as_it_is_accepted(store: MailStore, samples: Samples) -> None:
    lease = samples.lease()
    new = samples.message(lease=lease)
    await store.accept(new)
    assert await claim(store, samples.lease()) == []
    claimed = Claim(message=new.message, domain="example.org", deliveries=(), lease=lease)
    made = outcome(replace(claimed, deliveries=(new.deliveries[0],)), samples, DeliveryState.DELIVERED)  # type: ignore[arg-type]
    await store.record_attempt(lease, [made], LATER)


async def test_doubt_stays_until_the_delivery_ends(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    seen = []
    for leaves_doubt in (False, True, False, False):
        (claimed,) = await claim(store, samples.lease())
        (delivery,) = claimed.deliveries
        seen.append((delivery.is_in_doubt, delivery.attempts))
        again = Outcome(
            delivery_id=delivery.id, state=DeliveryState.QUEUED, due_at=NOW, reply="later", events=(), leaves_doubt=leaves_doubt
        )
        await store.record_attempt(claimed.lease, [again], NOW)
    assert seen == [(False, 0), (False, 1), (True, 2), (True, 3)]


def suppression(samples: Samples, email: str = "u@x.test") -> NewSuppression:
    return NewSuppression(id=SuppressionId(samples.number()), email=email, reason=SuppressionReason.HARD_BOUNCE)


async def test_a_bounce_suppresses_with_its_outcome_or_not_at_all(store: MailStore, samples: Samples) -> None:
    lease = samples.lease()
    new = samples.message(["u@x.test"], lease=lease)
    await store.accept(new)
    bounced = Outcome(
        delivery_id=new.deliveries[0].id,
        state=DeliveryState.BOUNCED,
        due_at=None,
        reply="550 no such user",
        events=(samples.event(EventType.BOUNCED),),
        suppression=suppression(samples),
    )
    with pytest.raises(LeaseLost):
        await store.record_attempt(samples.lease(), [bounced], LATER)
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == frozenset()
    await store.record_attempt(lease, [bounced], LATER)
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == {"u@x.test"}
    assert await store.find_suppressed(AccountId(2), ["u@x.test"]) == frozenset()
