"""What outlives a run of the program of next hops, and what an operator asks of them; what is released, what is forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import DomainId
from sendryd.store.base import MailStore, NewEvent, Outcome, QueueFilter
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_the_latest_hosts_that_did_tls_are_kept(store: MailStore) -> None:
    await store.note_tls_hosts({f"mx{number}.test": NOW + number * HOUR for number in range(5)}, keep_since=NOW, most=9)
    await store.note_tls_hosts({"mx1.test": NOW, "mx9.test": NOW + 9 * HOUR}, keep_since=NOW + HOUR, most=4)
    found = await store.list_tls_hosts()
    assert found == [(f"mx{number}.test", NOW + number * HOUR) for number in (2, 3, 4, 9)]


@pytest.mark.parametrize("is_held", [False, True])
async def test_what_an_operator_moves_asks_for_a_probe_of_its_domain(store: MailStore, samples: Samples, *, is_held: bool) -> None:
    await store.accept(samples.message(["a@one.test", "b@two.test"]))
    which = QueueFilter(domain="one.test")
    if is_held:
        await store.hold(which, NOW)
    assert await store.list_probes() == []
    await (store.release_held(which, NOW) if is_held else store.retry(which, NOW))
    assert await store.list_probes() == ["one.test"]
    await store.clear_probes(["other.test"])
    assert await store.list_probes() == ["one.test"]
    await store.clear_probes(["one.test"])
    assert await store.list_probes() == []


async def claim(store: MailStore, samples: Samples) -> None:
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
    await claim(store, samples)
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


async def test_removed_domains_are_forgotten_once_no_mail_waits_for_them(store: MailStore, samples: Samples) -> None:
    for number, name in enumerate(("one.test", "two.test", "three.test"), 1):
        new = samples.domain(name)
        await store.add_domain(replace(new, domain=replace(new.domain, id=DomainId(number))))
        await store.remove_domain(DomainId(number), NOW + (2 * DAY if number == 3 else timedelta()))
    await store.accept(samples.message(["a@one.test"]))  # that the first was to sign
    await store.hold_for_domain(DomainId(1), NOW)
    assert await store.delete_removed_domains(created_before=NOW + DAY, limit=9) == 1
    assert await store.delete_removed_domains(created_before=NOW + DAY, limit=9) == 0
    (held,) = await store.list_queue(QueueFilter())
    assert held.hold_reason is HoldReason.DOMAIN_REMOVED
    assert await store.release_for_domain(ACCOUNT, "one.test", NOW) == 1
    await store.cancel(QueueFilter(), NOW, samples.event)
    assert await store.delete_removed_domains(created_before=NOW + 3 * DAY, limit=9) == 2
