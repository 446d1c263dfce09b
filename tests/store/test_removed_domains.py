"""Mail whose sending domain is removed is held, and goes on when a domain of that name is verified."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import AccountId, DomainId
from sendryd.store.base import DomainCheck, MailStore, NewDomain, NewMessage, Outcome, QueueFilter
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER_ACCOUNT = AccountId(2)
LATER = NOW + timedelta(hours=1)


async def add(store: MailStore, samples: Samples, name: str = "example.test", account_id: AccountId = ACCOUNT) -> NewDomain:
    new = samples.domain(name, account_id)
    await store.add_domain(new)
    return new


async def verify(store: MailStore, domain_id: DomainId) -> None:
    check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=NOW, verified_at=NOW, failing_since=None, failures=0)
    domain = await store.get_domain(domain_id)
    assert domain is not None
    await store.record_domain_check(domain, check)


async def accept(store: MailStore, samples: Samples, domain_id: DomainId, *recipients: str) -> NewMessage:
    new = samples.message(recipients or ("user@example.org",))
    new = replace(new, message=replace(new.message, signing_domain_id=domain_id))
    await store.accept(new)
    return new


async def reasons(store: MailStore) -> dict[str, HoldReason | None]:
    return {each.forward_path: each.hold_reason for each in await store.list_queue(QueueFilter())}


async def test_the_queued_mail_of_a_removed_domain_is_held(store: MailStore, samples: Samples) -> None:
    gone, kept = await add(store, samples), await add(store, samples, "other.test")
    await accept(store, samples, gone.domain.id, "a@one.test", "b@two.test")
    await accept(store, samples, kept.domain.id, "c@one.test")
    await store.remove_domain(gone.domain.id, NOW)
    assert await store.hold_for_domain(gone.domain.id, NOW) == 2
    assert await reasons(store) == {"a@one.test": HoldReason.DOMAIN_REMOVED, "b@two.test": HoldReason.DOMAIN_REMOVED, "c@one.test": None}
    assert {each.state for each in await store.list_queue(QueueFilter(states=frozenset({DeliveryState.HELD})))} == {DeliveryState.HELD}
    assert await store.hold_for_domain(gone.domain.id, NOW) == 0


async def test_it_goes_on_when_the_name_is_there_again_but_not_what_an_operator_holds(store: MailStore, samples: Samples) -> None:
    gone = await add(store, samples)
    await accept(store, samples, gone.domain.id, "a@one.test")
    await accept(store, samples, gone.domain.id, "b@two.test")
    await store.hold(QueueFilter(domain="two.test"), NOW)
    await store.remove_domain(gone.domain.id, NOW)
    await store.hold_for_domain(gone.domain.id, NOW)
    assert await reasons(store) == {"a@one.test": HoldReason.DOMAIN_REMOVED, "b@two.test": HoldReason.OPERATOR}
    assert await store.release_for_domain(ACCOUNT, "other.test", LATER) == 0
    assert await store.release_for_domain(OTHER_ACCOUNT, "example.test", LATER) == 0
    assert await store.release_for_domain(ACCOUNT, "example.test", LATER) == 1
    (released,) = await store.list_queue(QueueFilter(states=frozenset({DeliveryState.QUEUED})))
    assert (released.forward_path, released.due_at, released.hold_reason) == ("a@one.test", LATER, None)
    assert await reasons(store) == {"a@one.test": None, "b@two.test": HoldReason.OPERATOR}


async def test_a_worker_holds_what_it_cannot_sign(store: MailStore, samples: Samples) -> None:
    gone = await add(store, samples)
    await accept(store, samples, gone.domain.id)
    await store.remove_domain(gone.domain.id, NOW)
    lease = samples.lease()
    (claim,) = await store.claim_deliveries(now=NOW, lease=lease, limit=9, busy=frozenset(), per_domain=9)
    outcome = Outcome(
        delivery_id=claim.deliveries[0].id,
        state=DeliveryState.HELD,
        due_at=None,
        reply="Held: its sending domain was removed",
        events=(),
        is_attempt=False,
        hold_reason=HoldReason.DOMAIN_REMOVED,
    )
    await store.record_attempt(lease, [outcome], NOW)
    (held,) = await store.list_queue(QueueFilter())
    assert (held.state, held.hold_reason, held.attempts) == (DeliveryState.HELD, HoldReason.DOMAIN_REMOVED, 0)
    assert held.last_reply == "Held: its sending domain was removed"
    assert await store.release_for_domain(ACCOUNT, "example.test", LATER) == 1


async def test_an_operator_releases_what_is_held_for_any_reason(store: MailStore, samples: Samples) -> None:
    gone = await add(store, samples)
    await accept(store, samples, gone.domain.id)
    await store.remove_domain(gone.domain.id, NOW)
    await store.hold_for_domain(gone.domain.id, NOW)
    assert await store.release_held(QueueFilter(domain="example.org"), LATER) == 1
    assert await reasons(store) == {"user@example.org": None}


@pytest.mark.parametrize("is_verified", [True, False])
async def test_a_successor_has_the_name_and_is_verified(store: MailStore, samples: Samples, is_verified: bool) -> None:
    await store.ensure_account(OTHER_ACCOUNT, "other", NOW)
    gone = await add(store, samples)
    assert await store.find_successor(gone.domain.id) is None
    await store.remove_domain(gone.domain.id, NOW)
    stranger = await add(store, samples, account_id=OTHER_ACCOUNT)
    await verify(store, stranger.domain.id)
    assert await store.find_successor(gone.domain.id) is None
    again = await add(store, samples)
    if is_verified:
        await verify(store, again.domain.id)
    assert await store.find_successor(gone.domain.id) == (again.domain.id if is_verified else None)
