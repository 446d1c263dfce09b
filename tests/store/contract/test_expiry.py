"""Expiry: queued mail that is too old, unless it was released and not tried since."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import DomainId
from sendryd.store.base import MailStore, NewEvent, Outcome, QueueFilter
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples

LATER = NOW + timedelta(minutes=5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_overdue_deliveries_expire(store: MailStore, samples: Samples) -> None:
    old = samples.message(created_at=NOW - timedelta(days=4))
    young, waiting = samples.message(), samples.message(created_at=NOW - timedelta(days=4), due_at=NOW + timedelta(days=1))
    for new in (old, young, waiting):
        await store.accept(new)
    count = await store.expire_deliveries(now=LATER, created_before=NOW - timedelta(days=3), make_event=samples.event, limit=10)
    assert count == 1
    summary = await store.get_message(ACCOUNT, old.message.id)
    assert summary is not None
    assert (summary.states, summary.last_event) == ({DeliveryState.EXPIRED: 1}, EventType.FAILED)


async def fail_attempt(store: MailStore, samples: Samples) -> None:
    """One failed attempt of what is due."""
    lease = samples.lease()
    later = NOW + 9 * DAY
    for each in await store.claim_deliveries(now=later, lease=lease, limit=9, busy=frozenset(), per_domain=9):
        outcomes = [
            Outcome(delivery_id=one.id, state=DeliveryState.QUEUED, due_at=NOW + 9 * DAY, reply="", events=()) for one in each.deliveries
        ]
        await store.record_attempt(lease, outcomes, later)


@pytest.mark.parametrize("how", ["operator", "domain", "retried"])
async def test_what_is_released_does_not_expire_before_it_was_tried(store: MailStore, samples: Samples, how: str) -> None:
    released = NOW + 9 * DAY
    await store.accept(samples.message(["a@one.test"]))
    if how == "domain":
        domain = samples.domain("one.test")
        await store.add_domain(replace(domain, domain=replace(domain.domain, id=DomainId(1))))
        await store.remove_domain(DomainId(1), NOW)
        assert await store.hold_for_domain(DomainId(1), NOW) == 1
        assert await store.release_for_domain(ACCOUNT, "one.test", released) == 1
    else:
        await store.hold(QueueFilter(), NOW)
        await store.release_held(QueueFilter(), released)
    if how == "retried":
        await store.retry(QueueFilter(), released)

    async def expire(now: timedelta) -> int:
        moment = released + now
        return await store.expire_deliveries(
            now=moment, created_before=moment - 3 * DAY, released_before=moment - HOUR, make_event=samples.event, limit=9
        )

    assert await expire(timedelta()) == await expire(HOUR) == 0
    await fail_attempt(store, samples)
    assert await expire(timedelta()) == 1


async def test_what_is_released_and_never_tried_expires_later(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["a@one.test"]))
    await store.hold(QueueFilter(), NOW)
    await store.release_held(QueueFilter(), NOW)
    late = NOW + 9 * DAY
    assert await store.expire_deliveries(now=late, created_before=late, released_before=late, make_event=samples.event, limit=9) == 1


@pytest.mark.parametrize("is_in_doubt", [False, True])
async def test_what_expires_says_that_it_may_have_been_delivered(store: MailStore, samples: Samples, *, is_in_doubt: bool) -> None:
    made: list[Metadata] = []

    def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
        made.append(metadata)
        return samples.event(event_type, metadata)

    lease = samples.lease()
    await store.accept(samples.message(["a@one.test"], lease=lease))
    if is_in_doubt:
        await store.return_dead_leases(replace(OWNER, boot=OWNER.boot + 1), now=NOW, pause=lambda *_: timedelta())
    else:
        (each,) = await store.list_queue(QueueFilter())
        await store.release(lease, [each.id])
    late = NOW + 9 * DAY
    assert await store.expire_deliveries(now=late, created_before=late, make_event=make_event, limit=9) == 1
    assert made == [{"reason": "expired"} | ({"possibly_duplicate": True} if is_in_doubt else {})]


async def test_an_error_in_an_operation_is_that_of_its_caller(store: MailStore, samples: Samples) -> None:

    def make_event(*_: object) -> None:
        raise RuntimeError("a bug")

    await store.accept(samples.message(created_at=NOW))
    with pytest.raises(RuntimeError, match="a bug"):
        await store.expire_deliveries(now=NOW, created_before=NOW.replace(year=2030), make_event=make_event, limit=1)  # type: ignore[arg-type]
    await store.check_writable()
