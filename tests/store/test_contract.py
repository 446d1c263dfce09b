"""The contract: one suite, every backend."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DnsRecord, DomainSettings, DomainStatus, RecordPurpose, TlsPolicy
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, ApiKeyId, DomainId, MessageId, format_id
from sendryd.model.message import MessageStatus, derive_status
from sendryd.store.base import Claim, DomainCheck, EventFilter, Lease, MailStore, MessageFilter, NewEvent, Outcome, QueueFilter
from sendryd.store.errors import Conflict, LeaseLost, NotFound
from sendryd.store.sqlite.mail import claims as module
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
LIVE = MessageFilter(mode=KeyMode.LIVE)
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


async def test_what_is_accepted_can_be_read(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@example.org", "b@example.org"], content=b"From: x\r\n\r\n" + b"y" * 300_000, subject="Gr\u00fc\u00dfe \ud800")
    await store.accept(new)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert (summary.message.to, summary.message.size) == (new.message.to, new.message.size)
    assert summary.states == {DeliveryState.QUEUED: 2}
    assert summary.last_event is EventType.QUEUED
    assert await store.read_content(new.message.id) == new.content
    assert await store.get_message(AccountId(2), new.message.id) is None


async def test_an_id_is_accepted_once(store: MailStore, samples: Samples) -> None:
    new = samples.message()
    await store.accept(new)
    with pytest.raises(Conflict):
        await store.accept(new)
    await store.accept(samples.message())
    assert await store.count_messages(ACCOUNT, LIVE) == 2


async def test_a_content_that_is_not_there(store: MailStore) -> None:
    with pytest.raises(NotFound):
        await store.read_content(MessageId(1))
    with pytest.raises(NotFound):
        await anext(store.stream_content(MessageId(1)))


@pytest.mark.parametrize("octets", [0, 1, 65_000, 65_536, 300_000])
async def test_a_content_can_be_read_piece_by_piece(store: MailStore, samples: Samples, octets: int) -> None:
    for content in (b"From: x\r\n\r\n" + b"a" * octets, b"From: y\r\n\r\n" + b"b" * octets):
        new = samples.message(content=content)
        await store.accept(new)
        pieces = [piece async for piece in store.stream_content(new.message.id)]
        assert b"".join(pieces) == content
        assert max(map(len, pieces)) <= 65_536


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
    for _ in range(module.WINDOW + 100):
        await store.accept(samples.message(["u@dead.test"]))
    for number in range(5):
        await store.accept(samples.message([f"u@alive{number}.test"], due_at=NOW + timedelta(minutes=1)))
    claims = await claim(store, samples.lease(), busy=frozenset({"dead.test"}))
    assert sorted(each.domain for each in claims) == [f"alive{number}.test" for number in range(5)]
    claims = await claim(store, samples.lease(), per_domain=3)
    assert len(claims) == 3


async def test_test_mail_is_never_claimed(store: MailStore, samples: Samples) -> None:
    captured = samples.message(mode=KeyMode.TEST)
    forged = replace(captured.deliveries[0], state=DeliveryState.QUEUED)
    await store.accept(replace(captured, deliveries=(forged,)))
    assert await claim(store, samples.lease()) == []


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


async def test_what_an_operator_does(store: MailStore, samples: Samples) -> None:
    first, second = samples.message(["a@one.test", "b@two.test"]), samples.message(["c@one.test"], due_at=NOW + timedelta(days=1))
    await store.accept(first)
    await store.accept(second)
    assert await store.hold(QueueFilter(domain="one.test"), NOW) == 2
    assert await store.hold(QueueFilter(domain="one.test"), NOW) == 0
    assert [each.domain for each in await claim(store, samples.lease())] == ["two.test"]
    held = await store.list_queue(QueueFilter(states=frozenset({DeliveryState.HELD})))
    assert [each.forward_path for each in held] == ["c@one.test", "a@one.test"]
    assert await store.release_held(QueueFilter(delivery_id=held[0].id), LATER) == 1
    assert [each.deliveries[0].forward_path for each in await claim(store, samples.lease())] == ["c@one.test"]

    def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
        return samples.event(event_type, metadata)

    assert await store.cancel(QueueFilter(message_id=first.message.id), LATER, make_event) == 1
    events = await store.list_events(ACCOUNT, replace(LIVE_EVENTS, type=EventType.CANCELLED), limit=10)
    assert [event.recipient for event in events.items] == ["a@one.test"]


async def test_retry_makes_due_now(store: MailStore, samples: Samples) -> None:
    new = samples.message(due_at=NOW + timedelta(days=1))
    await store.accept(new)
    assert await store.retry(QueueFilter(message_id=new.message.id), LATER) == 1
    assert len(await claim(store, samples.lease())) == 1


async def test_queue_filters(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["old@one.test"], created_at=NOW - timedelta(hours=2)))
    await store.accept(samples.message(["new@two.test"]))
    old = await store.list_queue(QueueFilter(created_before=NOW - timedelta(hours=1)))
    assert [each.forward_path for each in old] == ["old@one.test"]
    assert len(await store.list_queue(QueueFilter(has_attempts=False))) == 2
    assert await store.list_queue(QueueFilter(has_attempts=True)) == []
    assert len(await store.list_queue(QueueFilter(), limit=1)) == 1


async def test_messages_are_listed_newest_first_in_pages(store: MailStore, samples: Samples) -> None:
    numbers = []
    for number in range(7):
        new = samples.message([f"user{number}@example.org"], subject=f"Subject {number}")
        numbers.append(new.message.id)
        await store.accept(new)
    await store.accept(samples.message(mode=KeyMode.TEST))
    await store.accept(samples.message(account_id=AccountId(2)))
    page = await store.list_messages(ACCOUNT, LIVE, limit=3)
    assert [each.message.id for each in page.items] == numbers[:3:-1]
    assert page.has_more
    rest = await store.list_messages(ACCOUNT, LIVE, limit=10, before=page.items[-1].message.id)
    assert [each.message.id for each in rest.items] == numbers[3::-1]
    assert not rest.has_more
    assert await store.count_messages(ACCOUNT, LIVE) == 7


@pytest.mark.parametrize(("text", "count"), [("USER3", 1), ("subject 5", 1), ("example.org", 7), ("100%", 0), ("_ser3", 0), ("\\", 0)])
async def test_messages_are_found_by_text(store: MailStore, samples: Samples, text: str, count: int) -> None:
    for number in range(7):
        await store.accept(samples.message([f"user{number}@example.org"], subject=f"Subject {number}"))
    found = await store.list_messages(ACCOUNT, replace(LIVE, text=text), limit=100)
    assert len(found.items) == count
    assert await store.count_messages(ACCOUNT, replace(LIVE, text=text)) == count


async def test_messages_are_found_by_status_and_key(store: MailStore, samples: Samples) -> None:
    for number in range(4):
        await store.accept(samples.message([f"u@d{number}.test"], api_key_id=number))
    lease = samples.lease()
    claims = await claim(store, lease, limit=3)
    states = (DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.QUEUED)
    for claimed, state in zip(claims, states, strict=True):
        await store.record_attempt(lease, [outcome(claimed, samples, state)], LATER)
    for status in (MessageStatus.DELIVERED, MessageStatus.BOUNCED, MessageStatus.SENDING, MessageStatus.QUEUED):
        assert len((await store.list_messages(ACCOUNT, replace(LIVE, status=status), limit=10)).items) == 1, status
        assert await store.count_messages(ACCOUNT, replace(LIVE, status=status)) == 1
    assert (await store.list_messages(ACCOUNT, replace(LIVE, status=MessageStatus.FAILED), limit=10)).items == ()
    assert await store.count_messages(ACCOUNT, replace(LIVE, api_key_id=ApiKeyId(2))) == 1


async def test_events_are_filtered_and_paged(store: MailStore, samples: Samples) -> None:
    first, second = samples.message(["Ann@example.org"]), samples.message(["bob@example.org"], created_at=LATER)
    await store.accept(first)
    await store.accept(second)
    await store.accept(samples.message(mode=KeyMode.TEST))

    async def recipients(which: EventFilter) -> list[str]:
        found = await store.list_events(ACCOUNT, which, limit=10)
        assert await store.count_events(ACCOUNT, which) == len(found.items)
        return [event.recipient for event in found.items]

    assert await recipients(LIVE_EVENTS) == ["bob@example.org", "Ann@example.org"]
    assert await recipients(replace(LIVE_EVENTS, recipient="ANN@example.org")) == ["Ann@example.org"]
    assert await recipients(replace(LIVE_EVENTS, text="BOB")) == ["bob@example.org"]
    assert await recipients(replace(LIVE_EVENTS, text=format_id(MESSAGE_PREFIX, first.message.id))) == ["Ann@example.org"]
    assert await recipients(replace(LIVE_EVENTS, text=format_id(MESSAGE_PREFIX, first.message.id).upper())) == ["Ann@example.org"]
    assert await recipients(replace(LIVE_EVENTS, created_from=LATER)) == ["bob@example.org"]
    assert await recipients(replace(LIVE_EVENTS, created_to=NOW)) == ["Ann@example.org"]
    page = await store.list_events(ACCOUNT, LIVE_EVENTS, limit=1)
    assert page.has_more
    assert (await store.list_events(ACCOUNT, LIVE_EVENTS, limit=5, before=page.items[0].id)).has_more is False
    assert await recipients(replace(LIVE_EVENTS, mode=KeyMode.TEST)) == ["user@example.org"]


async def test_keys(store: MailStore, samples: Samples) -> None:
    new = samples.api_key(secret_hash=b"h" * 32)
    version = await store.read_config_version()
    await store.add_api_key(new)
    assert await store.read_config_version() > version
    assert await store.find_api_key(b"h" * 32) == new.key
    assert await store.find_api_key(b"x" * 32) is None
    with pytest.raises(Conflict):
        await store.add_api_key(samples.api_key(secret_hash=b"h" * 32))
    version = await store.read_config_version()
    await store.touch_api_keys({new.key.id: LATER})
    assert await store.read_config_version() == version
    revoked = await store.revoke_api_key(ACCOUNT, new.key.id, LATER)
    assert (revoked.revoked_at, revoked.last_used_at) == (LATER, LATER)
    assert (await store.revoke_api_key(ACCOUNT, new.key.id, LATER + timedelta(days=1))).revoked_at == LATER
    assert await store.read_config_version() > version
    with pytest.raises(NotFound):
        await store.revoke_api_key(AccountId(2), new.key.id, LATER)
    other = samples.api_key()
    await store.add_api_key(other)
    assert [key.id for key in await store.list_api_keys(ACCOUNT)] == [other.key.id, new.key.id]


async def test_domains(store: MailStore, samples: Samples) -> None:
    new = samples.domain()
    await store.add_domain(new)
    assert await store.find_domain(ACCOUNT, "example.test") == new.domain
    assert await store.find_domain(AccountId(2), "example.test") is None
    assert await store.read_private_key(new.domain.id) == b"PEM"
    with pytest.raises(Conflict):
        await store.add_domain(samples.domain())
    version = await store.read_config_version()
    record = DnsRecord(purpose=RecordPurpose.SPF, type="TXT", name="example.test", value="v", is_required=True, is_verified=True)
    check = DomainCheck(
        status=DomainStatus.VERIFIED, records=(record,), checked_at=LATER, verified_at=LATER, failing_since=None, failures=0
    )
    checked = await store.record_domain_check(new.domain, check)
    assert (checked.status, checked.records, checked.verified_at) == (DomainStatus.VERIFIED, (record,), LATER)
    settings = DomainSettings(include_subdomains=True, tls_policy=TlsPolicy.ENFORCED, custom_return_path="rp")
    assert (await store.set_domain_settings(checked, settings)).settings == settings
    assert await store.get_domain(new.domain.id) == replace(checked, settings=settings)
    assert await store.read_config_version() > version
    assert len(await store.list_domains()) == len(await store.list_domains(ACCOUNT)) == 1
    await store.remove_domain(new.domain.id, NOW)
    assert await store.read_private_key(new.domain.id) is None
    for attempt in (store.remove_domain(new.domain.id, NOW), store.set_domain_settings(replace(new.domain, id=DomainId(9)), settings)):
        with pytest.raises(NotFound):
            await attempt


async def test_an_account_is_made_once(store: MailStore) -> None:
    assert not await store.ensure_account(ACCOUNT, "again", NOW)
    assert await store.ensure_account(AccountId(7), "other", NOW)


async def test_retention_spares_what_still_waits(store: MailStore, samples: Samples) -> None:
    old = Samples(NOW - timedelta(days=40))
    done = old.message(mode=KeyMode.TEST, created_at=NOW - timedelta(days=40))
    waiting = old.message(created_at=NOW - timedelta(days=40))
    for new in (done, waiting, samples.message()):
        await store.accept(new)
    assert await store.delete_messages(created_before=NOW - timedelta(days=30), limit=10) == 1
    assert await store.get_message(ACCOUNT, done.message.id) is None
    with pytest.raises(NotFound):
        await store.read_content(done.message.id)
    assert await store.read_content(waiting.message.id) == waiting.content
    assert await store.count_events(ACCOUNT, EventFilter(mode=KeyMode.TEST)) == 1
    assert await store.delete_events(created_before=NOW - timedelta(days=30), limit=10) == 2
    assert await store.count_events(ACCOUNT, LIVE_EVENTS) == 1


async def test_it_can_be_written(store: MailStore) -> None:
    before = store.statistics()["commits"]
    await store.check_writable()
    assert store.statistics()["commits"] > before


async def test_a_store_in_order_has_all_its_contents_and_room(store: MailStore, samples: Samples) -> None:
    for _ in range(2):
        await store.accept(samples.message())
    report = await store.compare_spool()
    assert report.is_whole
    assert (report.messages, report.unknown, report.affected) == (2, (), 0)
    await store.check_room(1)
