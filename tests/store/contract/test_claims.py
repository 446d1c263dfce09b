"""Claims: the oldest due deliveries, each leased once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass
from sendryd.policy.crashes import pause_after_crash
from sendryd.store.base import Claim, CrowdedLane, Lease, MailStore, OneHop, Outcome, Owner
from sendryd.testing.samples import NOW, Samples

LATER = NOW + timedelta(minutes=5)
MORE_THAN_ONE_LOOK = 612  # deliveries; SQLite looks at 512 with one statement
NOBODY: frozenset[str] = frozenset()


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


async def test_claims_group_by_message_and_domain_and_are_exclusive(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@one.test", "c@two.test"])
    await store.accept(new)
    first = samples.lease()
    claims = await claim(store, first)
    assert {(each.domain, len(each.deliveries)) for each in claims} == {("one.test", 2), ("two.test", 1)}
    assert all(each.lease == first and each.message.id == new.message.id for each in claims)
    assert await claim(store, samples.lease()) == []
    assert await store.count_queue() == {DeliveryState.QUEUED: 0, DeliveryState.LEASED: 3, DeliveryState.HELD: 0}


async def test_only_what_is_due_is_claimed_oldest_first(store: MailStore, samples: Samples) -> None:
    for minutes in (3, 1, 2, 60):
        await store.accept(samples.message([f"u@m{minutes}.test"], due_at=NOW + timedelta(minutes=minutes)))
    assert await store.due_at() == NOW + timedelta(minutes=1)
    claims = await claim(store, samples.lease(), limit=2)
    assert [each.domain for each in claims] == ["m1.test", "m2.test"]
    assert await store.due_at() == NOW + timedelta(minutes=3)
    assert await store.due_at(busy=frozenset({"m3.test"})) == NOW + timedelta(minutes=60)


async def test_busy_domains_and_crowded_ones_are_stepped_over(store: MailStore, samples: Samples) -> None:
    backlog = [samples.message(["u@dead.test"]) for _ in range(MORE_THAN_ONE_LOOK)]
    await store.accept_all(backlog, None, kept_since=NOW)
    for number in range(5):
        await store.accept(samples.message([f"u@alive{number}.test"], due_at=NOW + timedelta(minutes=1)))
    claims = await claim(store, samples.lease(), busy=frozenset({"dead.test"}))
    assert sorted(each.domain for each in claims) == [f"alive{number}.test" for number in range(5)]
    claims = await claim(store, samples.lease(), per_domain=3)
    assert len(claims) == 3


async def test_an_account_with_a_backlog_does_not_keep_another_one_waiting(store: MailStore, samples: Samples) -> None:
    other = AccountId(2)
    await store.ensure_account(other, "other", NOW)
    for number in range(60):
        await store.accept(samples.message(["u@one.test"], created_at=NOW - timedelta(hours=2) + timedelta(seconds=number)))
    late = samples.message(["u@one.test"], account_id=other, created_at=NOW - timedelta(minutes=1))
    await store.accept(late)
    taken: list[Claim] = []
    for _ in range(2):
        taken += await store.claim_deliveries(now=NOW, lease=samples.lease(), limit=9, busy=frozenset(), per_domain=4)
    assert late.message.id in {claim.message.id for claim in taken}


async def test_one_time_passwords_pass_the_bulk_mail_of_their_account(store: MailStore, samples: Samples) -> None:
    for number in range(60):
        sent = NOW - timedelta(hours=2) + timedelta(seconds=number)
        await store.accept(samples.message(["u@one.test"], created_at=sent, priority=MessageClass.BULK))
    for _ in range(6):
        await store.accept(samples.message(["u@one.test"], created_at=NOW - timedelta(minutes=1), priority=MessageClass.OTP))
    taken: list[Claim] = []
    for _ in range(3):
        taken += await store.claim_deliveries(now=NOW, lease=samples.lease(), limit=9, busy=frozenset(), per_domain=4)
    assert sum(claim.priority is MessageClass.OTP for claim in taken) == 6


async def test_test_mail_is_never_claimed(store: MailStore, samples: Samples) -> None:
    captured = samples.message(mode=KeyMode.TEST)
    forged = replace(captured.deliveries[0], state=DeliveryState.QUEUED)
    await store.accept(replace(captured, deliveries=(forged,)))
    assert await claim(store, samples.lease()) == []


async def test_due_times_of_another_clock_are_brought_forward(store: MailStore, samples: Samples) -> None:
    far = NOW + timedelta(days=3650)
    late, near = samples.message(due_at=far), samples.message(due_at=NOW + timedelta(hours=8))
    scheduled = samples.message(scheduled_at=NOW + timedelta(days=29))
    deferred = samples.message(scheduled_at=NOW)
    for new in (late, near, scheduled, deferred):
        await store.accept(new)
    (claimed,) = await claim(store, samples.lease())
    outcome = Outcome(delivery_id=claimed.deliveries[0].id, state=DeliveryState.QUEUED, due_at=far, reply="later", events=())
    await store.record_attempt(claimed.lease, [outcome], NOW)
    latest = NOW + timedelta(hours=9)
    assert await store.bring_forward(now=NOW, latest=latest, limit=1) == 1
    assert await store.bring_forward(now=NOW, latest=latest, limit=10) == 1
    assert await store.bring_forward(now=NOW, latest=latest, limit=10) == 0
    assert {each.message.id for each in await claim(store, samples.lease())} == {late.message.id, deferred.message.id}


async def test_claims_at_the_same_time_share_what_is_due(store: MailStore, samples: Samples) -> None:
    await asyncio.gather(*(store.accept(samples.message([f"u@d{number}.test"])) for number in range(30)))
    later = NOW + timedelta(minutes=1)
    taken = await asyncio.gather(
        *(store.claim_deliveries(now=later, lease=samples.lease(), limit=10, busy=NOBODY, per_domain=10) for _ in range(3))
    )
    assert [len(each) for each in taken] == [10, 10, 10]
    assert len({claim.deliveries[0].id for each in taken for claim in each}) == 30


async def test_a_claim_that_was_cut_off_loses_nothing(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message())
    later = NOW + timedelta(minutes=1)
    task = asyncio.create_task(store.claim_deliveries(now=later, lease=samples.lease(), limit=9, busy=NOBODY, per_domain=9))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await store.return_dead_leases(Owner(node="local", boot=8), now=later, pause=pause_after_crash)
    assert len(await store.claim_deliveries(now=later, lease=samples.lease(), limit=9, busy=NOBODY, per_domain=9)) == 1


async def test_accounts_and_classes_that_are_served_are_left_out(store: MailStore, samples: Samples) -> None:
    bulk, code = MessageClass.BULK, MessageClass.OTP
    for number in range(3):
        for account, priority in ((1, bulk), (1, code), (2, bulk)):
            recipient = f"u@d{number}.test"
            await store.accept(samples.message([recipient], account_id=AccountId(account), priority=priority, created_at=NOW))
    served = frozenset({(AccountId(1), bulk)})
    claims: list[Claim] = []
    for _ in range(9):  # some domains have their turn in the next look
        claims += await store.claim_deliveries(now=LATER, lease=samples.lease(), limit=2, busy=frozenset(), per_domain=1, served=served)
    assert sorted((each.message.account_id, each.priority) for each in claims) == sorted([(1, code), (2, bulk)] * 3)
    later = LATER + timedelta(minutes=1)
    left = await store.claim_deliveries(now=later, lease=samples.lease(), limit=9, busy=frozenset(), per_domain=9)
    assert [(each.message.account_id, each.priority) for each in left] == [(1, bulk)] * 3


async def test_a_crowded_lane_gets_mail_of_accounts_that_have_little_in_it(store: MailStore, samples: Samples) -> None:
    bulk, code = MessageClass.BULK, MessageClass.OTP
    domains = frozenset(f"d{number}.test" for number in range(100))
    for domain in sorted(domains):
        await store.accept(samples.message([f"u@{domain}"], account_id=AccountId(1), priority=bulk, created_at=NOW))
    for domain in ("d93.test", "elsewhere.test"):
        await store.accept(samples.message([f"u@{domain}"], account_id=AccountId(2), priority=code, created_at=NOW))
    for _ in range(9):
        await store.accept(samples.message(["u@d7.test"], account_id=AccountId(3), priority=bulk, created_at=NOW))
    await store.accept(samples.message(["u@d95.test"], account_id=AccountId(1), priority=code, created_at=NOW))
    lane = CrowdedLane(domains=domains, enough=frozenset({(AccountId(1), bulk)}), each=4, room=40)
    await store.accept(samples.message(["u@d8.test"], account_id=AccountId(3), created_at=NOW))
    lane = replace(lane, without=frozenset({"d8.test"}))
    busy = domains | {"elsewhere.test"}
    claims = await store.claim_deliveries(now=LATER, lease=samples.lease(), limit=100, busy=busy, per_domain=100, crowded=[lane])
    found = sorted((each.message.account_id, each.priority.value, each.domain) for each in claims)
    assert found == [(1, "otp", "d95.test"), (2, "otp", "d93.test"), *[(3, "bulk", "d7.test")] * 4]
    lane = replace(lane, each=9, room=3)
    claims = await store.claim_deliveries(now=LATER, lease=samples.lease(), limit=100, busy=busy, per_domain=100, crowded=[lane])
    assert [each.domain for each in claims] == ["d7.test"] * 3


async def test_one_time_passwords_come_first_into_a_crowded_lane_with_little_room(store: MailStore, samples: Samples) -> None:
    for account in range(1, 101):
        await store.accept(samples.message([f"u@d{account}.test"], account_id=AccountId(account), created_at=NOW))
    for account in (70, 100):
        recipient = f"u@d{account - 1}.test"
        await store.accept(samples.message([recipient], account_id=AccountId(account), priority=MessageClass.OTP, created_at=NOW))
    domains = frozenset(f"d{number}.test" for number in range(1, 101))
    lane = CrowdedLane(domains=domains, enough=frozenset(), each=4, room=2)
    claims = await store.claim_deliveries(now=LATER, lease=samples.lease(), limit=100, busy=domains, per_domain=100, crowded=[lane])
    assert [(each.message.account_id, each.priority) for each in claims] == [(70, MessageClass.OTP), (100, MessageClass.OTP)]
    taken: list[int] = []
    for _ in range(60):
        claims = await store.claim_deliveries(now=LATER, lease=samples.lease(), limit=100, busy=domains, per_domain=100, crowded=[lane])
        taken += [each.message.account_id for each in claims]
    assert sorted(taken) == list(range(1, 101))


async def test_a_full_next_hop_of_all_mail_leaves_the_lanes_of_other_smart_hosts_their_turn(store: MailStore, samples: Samples) -> None:
    own = "relay.test:587~0123456789abcdef"
    for number in range(20):
        await store.accept(samples.message([f"u@d{number}.test"], created_at=NOW))
    for number in range(3):
        await store.accept(samples.message([f"v@d{number}.test"], lane=own, created_at=NOW))
    values = {"now": LATER, "limit": 100, "per_domain": 2}
    claims = await store.claim_deliveries(lease=samples.lease(), busy=frozenset(), one_hop=OneHop(most=0), **values)  # type: ignore[arg-type]
    assert [each.domain for each in claims] == [own] * 2
    assert await store.claim_deliveries(lease=samples.lease(), busy=frozenset({own}), one_hop=OneHop(most=0), **values) == []  # type: ignore[arg-type]
    claims = await store.claim_deliveries(lease=samples.lease(), busy=frozenset(), one_hop=OneHop(most=5), **values)  # type: ignore[arg-type]
    assert [each.domain for each in claims].count(own) == 1
    assert len(claims) == 6


async def test_mail_for_smart_hosts_that_waits_with_a_reply_is_due_at_once_on_request(store: MailStore, samples: Samples) -> None:
    own = "relay.test:587~0123456789abcdef"
    for lane in (own, own, ""):
        await store.accept(samples.message(["u@one.test"], lane=lane, created_at=NOW))
    replies = ["Mail to one.test is paused", "451 later", "Mail to one.test is paused"]
    for each, reply in zip(await claim(store, samples.lease()), replies, strict=True):
        await store.record_attempt(each.lease, [outcome(each, samples, DeliveryState.QUEUED, reply=reply, is_attempt=False)], LATER)
    assert await claim(store, samples.lease()) == []
    assert await store.take_up_again("Mail to one.test is paused", LATER) == 1
    (found,) = await claim(store, samples.lease())
    assert (found.domain, found.deliveries[0].last_reply) == (own, "Mail to one.test is paused")
