"""Addresses that mail leaves from: suspensions, and the counts of warming ones."""

from datetime import date, timedelta

from sendryd.model.delivery import DeliveryState
from sendryd.store.base import EgressKind, EgressSuspension, MailStore, Outcome, QueueFilter
from sendryd.testing.samples import NOW, Samples

HOUR = timedelta(hours=1)
TODAY, YESTERDAY, BEFORE = date(2026, 11, 30), date(2026, 11, 29), date(2026, 11, 28)


def suspension(kind: EgressKind, name: str, *, hours: int | None = None, reason: str = "") -> EgressSuspension:
    return EgressSuspension(
        kind=kind, name=name, by="operator", since=NOW, until=NOW + hours * HOUR if hours is not None else None, reason=reason
    )


async def test_a_suspension_is_kept_until_it_is_ended_or_replaced(store: MailStore) -> None:
    address, pool = suspension(EgressKind.ADDRESS, "192.0.2.1", hours=2), suspension(EgressKind.POOL, "bulk", reason="listed")
    await store.suspend_egress(pool)
    await store.suspend_egress(suspension(EgressKind.ADDRESS, "192.0.2.1"))
    await store.suspend_egress(address)
    assert await store.list_egress_suspensions() == [address, pool]
    await store.end_egress_suspensions(NOW + HOUR)
    assert await store.list_egress_suspensions() == [address, pool]
    await store.end_egress_suspensions(NOW + 2 * HOUR)
    assert await store.list_egress_suspensions() == [pool]
    assert not await store.resume_egress(EgressKind.ADDRESS, "bulk")
    assert await store.resume_egress(EgressKind.POOL, "bulk")
    assert await store.list_egress_suspensions() == []


async def test_counts_are_added_up_by_day_and_never_negative(store: MailStore) -> None:
    a, b = ("192.0.2.1", "Gmail"), ("192.0.2.2", "example.org")
    await store.add_egress_counts(BEFORE, {a: 7}, keep_since=BEFORE, most=9)
    await store.add_egress_counts(TODAY, {a: 5, b: 1}, keep_since=YESTERDAY, most=9)
    await store.add_egress_counts(TODAY, {a: -2, b: -9}, keep_since=YESTERDAY, most=9)
    assert await store.list_egress_counts(TODAY) == {a: 3, b: 0}
    assert await store.list_egress_counts(BEFORE) == {}


async def test_counts_are_bounded(store: MailStore) -> None:
    await store.add_egress_counts(TODAY, {("192.0.2.1", f"site{number}"): 1 for number in range(5)}, keep_since=TODAY, most=3)
    await store.add_egress_counts(TODAY, {("192.0.2.1", "site0"): 1, ("192.0.2.1", "late"): 1}, keep_since=TODAY, most=3)
    found = await store.list_egress_counts(TODAY)
    assert (len(found), found["192.0.2.1", "site0"]) == (3, 2)


async def test_deliveries_are_found_by_the_first_words_of_their_last_reply(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["a@one.test", "b@two.test"]))
    lease = samples.lease()
    for claim in await store.claim_deliveries(now=NOW, lease=lease, limit=9, busy=frozenset(), per_domain=9):
        for each in claim.deliveries:
            reply = "The address pool bulk is suspended" if each.domain == "one.test" else "The address pool bulk% is suspended"
            outcome = Outcome(delivery_id=each.id, state=DeliveryState.QUEUED, due_at=NOW + HOUR, reply=reply, events=(), is_attempt=False)
            await store.record_attempt(lease, [outcome], NOW)
    for words, number in (("The address pool bulk ", 1), ("The address pool ", 2), ("The address pool %", 0), ("address", 0)):
        assert len(await store.list_queue(QueueFilter(reply_begins=words))) == number
    assert await store.retry(QueueFilter(reply_begins="The address pool bulk "), NOW) == 1
