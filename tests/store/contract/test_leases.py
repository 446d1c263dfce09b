"""Leases: what ends them, and whose outcome counts."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType
from sendryd.policy.crashes import CRASH_PAUSES, pause_after_crash
from sendryd.store.base import Claim, ClaimedDelivery, EventFilter, Lease, MailStore, Outcome, Owner, QueueFilter
from sendryd.store.errors import LeaseLost
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples

LATER = NOW + timedelta(minutes=5)
YEARS = timedelta(days=3650)
NEXT_BOOT = Owner(node=OWNER.node, boot=OWNER.boot + 1)
EVERYTHING = QueueFilter()


async def claim(store: MailStore, lease: Lease, *, after: timedelta = timedelta(0)) -> list[Claim]:
    return await store.claim_deliveries(now=LATER + after, lease=lease, limit=100, busy=frozenset(), per_domain=100)


def outcome(samples: Samples, delivery: ClaimedDelivery, state: DeliveryState = DeliveryState.DELIVERED, **changes: object) -> Outcome:
    made = Outcome(
        delivery_id=delivery.id,
        state=state,
        due_at=LATER if state is DeliveryState.QUEUED else None,
        reply="250 Ok",
        events=(samples.event(EventType.DELIVERED),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # each caller names fields


async def crash(store: MailStore, boots: int) -> Owner:
    """The program ends, and starts again as the next boot."""
    owner = Owner(node=OWNER.node, boot=OWNER.boot + boots)
    await store.return_dead_leases(owner, now=LATER, pause=pause_after_crash)
    return owner


async def test_no_time_ends_a_lease(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    lease = samples.lease()
    (claimed,) = await claim(store, lease)
    assert await claim(store, samples.lease(), after=YEARS) == []
    assert await store.return_dead_leases(OWNER, now=LATER + YEARS, pause=pause_after_crash) == []
    assert await store.list_leased(OWNER) == [(lease.token, claimed.deliveries[0].id)]
    await store.record_attempt(lease, [outcome(samples, claimed.deliveries[0])], LATER + YEARS)
    assert await store.list_leased(OWNER) == []


async def test_a_start_returns_the_leases_of_other_boots_of_its_node(store: MailStore, samples: Samples) -> None:
    elsewhere = Owner(node="other", boot=1)
    for owner in (OWNER, elsewhere, NEXT_BOOT):
        await store.accept(samples.message(lease=samples.lease(owner)))
    (returned,) = await store.return_dead_leases(NEXT_BOOT, now=LATER, pause=pause_after_crash)
    assert (returned.crashes, returned.due_at) == (1, LATER)
    assert [len(await store.list_leased(owner)) for owner in (OWNER, elsewhere, NEXT_BOOT)] == [0, 1, 1]
    (again,) = await claim(store, samples.lease(NEXT_BOOT))
    assert again.deliveries[0].id == returned.id
    assert again.deliveries[0].is_in_doubt
    assert again.message.id == returned.message_id


async def test_a_late_outcome_counts_while_nobody_has_leased_the_delivery(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@two.test"])
    await store.accept(new)
    lease = samples.lease()
    deliveries = [each.deliveries[0] for each in await claim(store, lease)]
    await crash(store, 1)
    await store.record_attempt(lease, [outcome(samples, each) for each in deliveries], LATER)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert summary.states == {DeliveryState.DELIVERED: 2}
    assert await claim(store, samples.lease(NEXT_BOOT), after=YEARS) == []
    with pytest.raises(LeaseLost):
        await store.record_attempt(lease, [outcome(samples, deliveries[0])], LATER)


async def test_an_outcome_is_lost_once_somebody_else_leases_the_delivery(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["a@one.test", "b@two.test"]))
    stale = samples.lease()
    claims = await claim(store, stale)
    await crash(store, 1)
    fresh = samples.lease(NEXT_BOOT)
    (held, *_) = await store.claim_deliveries(now=LATER, lease=fresh, limit=1, busy=frozenset(), per_domain=1)
    with pytest.raises(LeaseLost):
        await store.record_attempt(stale, [outcome(samples, each.deliveries[0]) for each in claims], LATER)
    with pytest.raises(LeaseLost):  # the token alone is not enough
        await store.record_attempt(replace(fresh, owner=OWNER), [outcome(samples, held.deliveries[0])], LATER)
    await store.release(stale, [held.deliveries[0].id])
    assert await store.return_leases(OWNER, [held.deliveries[0].id], LATER) == 0
    live = EventFilter(mode=KeyMode.LIVE, type=EventType.DELIVERED)
    assert await store.count_events(ACCOUNT, live) == 0
    await store.record_attempt(fresh, [outcome(samples, held.deliveries[0])], LATER)
    assert await store.count_events(ACCOUNT, live) == 1


async def test_released_and_returned_deliveries_are_no_crash(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    lease = samples.lease()
    (claimed,) = await claim(store, lease)
    await store.release(lease, [claimed.deliveries[0].id])
    with pytest.raises(LeaseLost):
        await store.record_attempt(lease, [outcome(samples, claimed.deliveries[0])], LATER)
    (again,) = await claim(store, samples.lease())
    assert not again.deliveries[0].is_in_doubt
    assert await store.return_leases(OWNER, [again.deliveries[0].id], LATER) == 1
    (cut_off,) = await claim(store, samples.lease())
    assert cut_off.deliveries[0].is_in_doubt
    (queued,) = await store.list_queue(EVERYTHING)
    assert (queued.crashes, queued.attempts) == (0, 0)


async def test_a_delivery_that_ends_the_program_waits_longer_each_time_and_is_held(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    start, waits = LATER, []
    for boot in range(len(CRASH_PAUSES) + 1):
        owner = Owner(node=OWNER.node, boot=boot)
        assert len(await store.claim_deliveries(now=start, lease=samples.lease(owner), limit=9, busy=frozenset(), per_domain=9)) == 1
        (returned,) = await store.return_dead_leases(replace(owner, boot=boot + 1), now=start, pause=pause_after_crash)
        assert returned.crashes == boot + 1
        if returned.due_at is not None:
            waits.append(returned.due_at - start)
            assert await store.due_at() == (returned.due_at if boot else NOW)
            start = returned.due_at
    assert waits == [pause for pause, _ in CRASH_PAUSES]
    assert waits == sorted(set(waits))
    (held,) = await store.list_queue(EVERYTHING)
    assert (held.state, held.crashes, held.hold_reason) == (DeliveryState.HELD, len(CRASH_PAUSES) + 1, HoldReason.CRASHES)
    assert await store.claim_deliveries(now=start + YEARS, lease=samples.lease(), limit=9, busy=frozenset(), per_domain=9) == []
    assert await store.release_held(QueueFilter(delivery_id=held.id), start) == 1
    (released,) = await store.list_queue(EVERYTHING)
    assert (released.state, released.crashes, released.hold_reason) == (DeliveryState.QUEUED, 0, None)


@pytest.mark.parametrize("is_attempt", [True, False])
async def test_a_recorded_attempt_forgets_the_crashes(store: MailStore, samples: Samples, *, is_attempt: bool) -> None:
    await store.accept(samples.message(lease=samples.lease()))
    owner = await crash(store, 1)
    lease = samples.lease(owner)
    (claimed,) = await claim(store, lease)
    deferred = outcome(samples, claimed.deliveries[0], DeliveryState.QUEUED, is_attempt=is_attempt)
    await store.record_attempt(lease, [deferred], LATER)
    (queued,) = await store.list_queue(EVERYTHING)
    assert queued.crashes == (0 if is_attempt else 1)


async def test_many_that_were_leased_at_the_same_crashes_come_one_after_the_other(store: MailStore, samples: Samples) -> None:
    for _ in range(20):
        await store.accept(samples.message(lease=samples.lease()))
    for boots in (1, 2):
        owner = Owner(node=OWNER.node, boot=OWNER.boot + boots)
        returned = await store.return_dead_leases(owner, now=LATER, pause=pause_after_crash)
        assert len(returned) == 20
        if boots == 1:
            assert len(await claim(store, samples.lease(owner))) == 20
    due = [each.due_at for each in await store.list_queue(EVERYTHING)]
    assert len(set(due)) == 20
    pause, distance = CRASH_PAUSES[1]
    assert (min(due), max(due)) == (LATER + pause, LATER + pause + 19 * distance)


async def test_scheduled_mail_waits_for_settled_time_and_other_mail_does_not(store: MailStore, samples: Samples) -> None:
    time = NOW + timedelta(days=1)
    scheduled = samples.message(["a@one.test"], scheduled_at=time)
    late, plain = samples.message(["b@one.test"], scheduled_at=NOW), samples.message(["c@one.test"])
    for new in (scheduled, late, plain):
        await store.accept(new)

    async def claimed(settled: datetime) -> set[int]:
        lease, leap = samples.lease(), NOW + timedelta(days=5)
        found = await store.claim_deliveries(now=leap, lease=lease, limit=9, busy=frozenset(), per_domain=9, settled=settled)
        return {each.message.id for each in found}

    assert await claimed(NOW) == {late.message.id, plain.message.id}
    assert await claimed(time - timedelta(minutes=1)) == set()
    later = {
        number
        for minutes in range(3)  # the scan begins anew within a minute
        for number in {
            each.message.id
            for each in await store.claim_deliveries(
                now=NOW + timedelta(days=5, minutes=minutes), lease=samples.lease(), limit=9, busy=frozenset(), per_domain=9, settled=time
            )
        }
    }
    assert later == {scheduled.message.id}
