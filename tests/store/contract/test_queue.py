"""The queue: what an operator does with it, and what the removal of a sending domain does."""

from dataclasses import replace
from datetime import timedelta

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, DomainId
from sendryd.model.message import MessageClass
from sendryd.policy.detour import DetourHost
from sendryd.store.base import (
    DETOUR_HOST_KEPT,
    Claim,
    EventFilter,
    Lease,
    MailStore,
    NewDomain,
    NewEvent,
    NewMessage,
    Outcome,
    QueueFilter,
)
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
LIVE_EVENTS = EventFilter(mode=KeyMode.LIVE)
OTHER_ACCOUNT = AccountId(2)
HOUR_LATER = NOW + timedelta(hours=1)


async def claim(
    store: MailStore, lease: Lease, *, limit: int = 100, busy: frozenset[str] = frozenset(), per_domain: int = 100
) -> list[Claim]:
    return await store.claim_deliveries(now=LATER, lease=lease, limit=limit, busy=busy, per_domain=per_domain)


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


async def test_released_mail_still_waits_for_its_scheduled_time(store: MailStore, samples: Samples) -> None:
    tomorrow = NOW + timedelta(days=1)
    new = samples.message(scheduled_at=tomorrow)
    await store.accept(new)
    which = QueueFilter(message_id=new.message.id)
    for released, due in ((LATER, tomorrow), (tomorrow + timedelta(hours=1), tomorrow + timedelta(hours=1))):
        assert await store.hold(which, NOW) == 1
        assert await store.release_held(which, released) == 1
        assert [each.due_at for each in await store.list_queue(which)] == [due]


async def test_trying_a_whole_destination_leaves_scheduled_mail_its_time(store: MailStore, samples: Samples) -> None:
    tomorrow = NOW + timedelta(days=1)
    new, other = samples.message(["a@one.test"], scheduled_at=tomorrow, due_at=tomorrow), samples.message(["b@one.test"], due_at=tomorrow)
    await store.accept(new)
    await store.accept(other)
    assert await store.retry(QueueFilter(domain="one.test"), LATER) == 1
    assert {each.forward_path: each.due_at for each in await store.list_queue(QueueFilter())} == {
        "a@one.test": tomorrow,
        "b@one.test": LATER,
    }
    assert await store.retry(QueueFilter(message_id=new.message.id), LATER) == 1  # a person who means this one
    assert {each.due_at for each in await store.list_queue(QueueFilter())} == {LATER}


async def test_queue_filters(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["old@one.test"], created_at=NOW - timedelta(hours=2)))
    await store.accept(samples.message(["new@two.test"]))
    old = await store.list_queue(QueueFilter(created_before=NOW - timedelta(hours=1)))
    assert [each.forward_path for each in old] == ["old@one.test"]
    assert len(await store.list_queue(QueueFilter(has_attempts=False))) == 2
    assert await store.list_queue(QueueFilter(has_attempts=True)) == []
    assert len(await store.list_queue(QueueFilter(), limit=1)) == 1


async def test_what_waits_is_counted_by_destination(store: MailStore, samples: Samples) -> None:
    assert await store.list_waiting_destinations(None, limit=10) == []
    old = samples.message(["a@one.test", "b@two.test"], created_at=NOW - timedelta(hours=2))
    await store.accept(old)
    (tried,) = await claim(store, samples.lease(), busy=frozenset({"two.test"}))
    number = tried.deliveries[0].id
    outcome = Outcome(delivery_id=number, state=DeliveryState.QUEUED, due_at=LATER, reply="451 later", events=())
    await store.record_attempt(tried.lease, [outcome], NOW)
    await store.accept(samples.message(["c@one.test", "d@one.test"], due_at=HOUR_LATER))
    await store.hold(QueueFilter(domain="two.test"), NOW)
    one, two = await store.list_waiting_destinations(None, limit=10)
    assert (one.domain, one.queued, one.leased, one.held) == ("one.test", 3, 0, 0)
    assert (one.since, one.next_due, one.sample, one.last_reply) == (NOW - timedelta(hours=2), LATER, number, "451 later")
    assert (two.domain, two.queued, two.leased, two.held, two.next_due) == ("two.test", 0, 0, 1, None)
    assert (two.since, two.last_reply) == (NOW - timedelta(hours=2), "")
    await claim(store, samples.lease())
    assert [(each.queued, each.leased) for each in await store.list_waiting_destinations(None, limit=1)] == [(2, 1)]


async def test_destinations_of_one_account(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["a@one.test"]))
    await store.accept(samples.message(["b@two.test"], account_id=OTHER_ACCOUNT))
    assert [each.domain for each in await store.list_waiting_destinations(ACCOUNT, limit=10)] == ["one.test"]
    assert [each.domain for each in await store.list_waiting_destinations(OTHER_ACCOUNT, limit=10)] == ["two.test"]
    assert [each.domain for each in await store.list_waiting_destinations(None, limit=10)] == ["one.test", "two.test"]
    assert [each.domain for each in await store.list_waiting_destinations(None, limit=10, domain="two.test")] == ["two.test"]
    assert await store.list_waiting_destinations(ACCOUNT, limit=10, domain="two.test") == []
    assert await store.cancel(QueueFilter(domain="two.test", account_id=ACCOUNT), NOW, samples.event) == 0


async def test_the_mails_of_a_destination_come_in_pages(store: MailStore, samples: Samples) -> None:
    await store.accept(samples.message(["a@one.test", "b@one.test", "c@two.test"]))
    (held,) = (each for each in await store.list_queue(QueueFilter(domain="one.test")) if each.forward_path == "a@one.test")
    await store.hold(QueueFilter(delivery_id=held.id), NOW)
    await store.accept(samples.message(["d@one.test"], lease=samples.lease()))
    first = await store.page_destination("one.test", None, limit=2)
    assert ([each.forward_path for each in first.items], first.has_more) == (["d@one.test", "b@one.test"], True)
    rest = await store.page_destination("one.test", ACCOUNT, limit=2, before=first.items[-1].id)
    assert ([each.forward_path for each in rest.items], rest.has_more) == (["a@one.test"], False)
    assert (await store.page_destination("one.test", OTHER_ACCOUNT, limit=2)).items == ()


async def add(store: MailStore, samples: Samples, name: str = "example.test", account_id: AccountId = ACCOUNT) -> NewDomain:
    new = samples.domain(name, account_id)
    await store.add_domain(new)
    return new


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
    assert await store.release_for_domain(ACCOUNT, "other.test", HOUR_LATER) == 0
    assert await store.release_for_domain(OTHER_ACCOUNT, "example.test", HOUR_LATER) == 0
    assert await store.release_for_domain(ACCOUNT, "example.test", HOUR_LATER) == 1
    (released,) = await store.list_queue(QueueFilter(states=frozenset({DeliveryState.QUEUED})))
    assert (released.forward_path, released.due_at, released.hold_reason) == ("a@one.test", HOUR_LATER, None)
    assert await reasons(store) == {"a@one.test": None, "b@two.test": HoldReason.OPERATOR}


async def test_what_a_person_holds_beyond_the_removal_of_its_domain_stays(store: MailStore, samples: Samples) -> None:
    gone = await add(store, samples)
    await accept(store, samples, gone.domain.id, "a@one.test", "b@two.test")
    await store.remove_domain(gone.domain.id, NOW)
    await store.hold_for_domain(gone.domain.id, NOW)
    assert await store.hold(QueueFilter(domain="one.test"), NOW) == 1
    assert await reasons(store) == {"a@one.test": HoldReason.OPERATOR, "b@two.test": HoldReason.DOMAIN_REMOVED}
    assert await store.release_for_domain(ACCOUNT, "example.test", HOUR_LATER) == 1
    assert await reasons(store) == {"a@one.test": HoldReason.OPERATOR, "b@two.test": None}


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
    assert await store.release_for_domain(ACCOUNT, "example.test", HOUR_LATER) == 1


async def test_an_operator_releases_what_is_held_for_any_reason(store: MailStore, samples: Samples) -> None:
    gone = await add(store, samples)
    await accept(store, samples, gone.domain.id)
    await store.remove_domain(gone.domain.id, NOW)
    await store.hold_for_domain(gone.domain.id, NOW)
    assert await store.release_held(QueueFilter(domain="example.org"), HOUR_LATER) == 1
    assert await reasons(store) == {"user@example.org": None}


async def test_waiting_mail_is_returned_with_an_event_and_nothing_is_suppressed(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@one.test", "c@two.test"])
    await store.accept(new)
    await store.hold(QueueFilter(delivery_id=new.deliveries[1].id), NOW)

    def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
        return samples.event(event_type, metadata)

    assert await store.bounce(QueueFilter(domain="one.test"), LATER, make_event, metadata={"reason": "no"}) == 2
    assert await store.bounce(QueueFilter(domain="one.test"), LATER, make_event, metadata={}) == 0
    events = await store.list_events(ACCOUNT, replace(LIVE_EVENTS, type=EventType.BOUNCED), limit=10)
    assert [(event.recipient, dict(event.metadata)) for event in events.items] == [
        ("b@one.test", {"reason": "no"}),
        ("a@one.test", {"reason": "no"}),
    ]
    assert [each.forward_path for each in await store.list_queue(QueueFilter())] == ["c@two.test"]


async def test_waiting_mail_gets_another_class(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@two.test"], priority=MessageClass.BULK)
    await store.accept(new)
    await store.hold(QueueFilter(domain="two.test"), NOW)
    assert await store.set_class(QueueFilter(), MessageClass.TRANSACTIONAL) == 2
    assert await store.set_class(QueueFilter(), MessageClass.TRANSACTIONAL) == 0
    await store.release_held(QueueFilter(), NOW)
    claims = await claim(store, samples.lease())
    assert {each.priority for each in claims} == {MessageClass.TRANSACTIONAL}
    assert await store.set_class(QueueFilter(), MessageClass.BULK) == 0  # they are leased


async def test_waiting_mail_is_given_another_way_and_gets_its_own_again(store: MailStore, samples: Samples) -> None:
    lane = "smtp.example.com:587~0123456789abcdef"
    new, test = (
        samples.message(["a@one.test", "b@one.test", "c@two.test"]),
        samples.message(["d@one.test"], mode=KeyMode.TEST, due_at=LATER),
    )
    for each in (new, test):
        await store.accept(each)
    await store.hold(QueueFilter(domain="two.test"), NOW)

    async def ways() -> list[tuple[str, str]]:
        return sorted((each.domain, each.detour) for each in await store.list_queue(QueueFilter(message_id=new.message.id)))

    one = await store.list_queue(QueueFilter(toward="one.test", message_id=new.message.id), limit=1)
    assert await store.set_detour(QueueFilter(delivery_id=one[0].id), "pool:bulk") == [one[0].id]
    assert await ways() == [("one.test", ""), ("one.test", "pool:bulk"), ("two.test", "")]
    claims = await claim(store, samples.lease())
    assert sorted((each.domain, each.detour, len(each.deliveries)) for each in claims) == [
        ("one.test", "", 1),
        ("one.test", "pool:bulk", 1),
    ]
    moved = await store.set_detour(QueueFilter(), "smarthost", lane)
    assert sorted(moved) == [each.id for each in new.deliveries]
    assert await store.set_detour(QueueFilter(), "smarthost", lane) == []
    assert await ways() == [(lane, "smarthost")] * 3
    assert await store.reroute(DomainId(1), None) == 0  # a change of the domain's setting leaves them alone
    assert await store.reroute(DomainId(1), None, [each.id for each in one]) == 0
    assert await store.set_detour(QueueFilter(delivery_ids=tuple(moved), toward="two.test"), None) == moved[2:]
    assert await ways() == [(lane, "smarthost"), (lane, "smarthost"), ("two.test", "")]
    (untouched,) = await store.list_queue(QueueFilter(message_id=test.message.id))
    assert untouched.detour == ""


async def test_the_smart_hosts_of_detours_are_kept_while_mail_waits_for_them(store: MailStore, samples: Samples) -> None:
    used = DetourHost(lane="used.test:25~0123456789abcdef", url="smtp://user@used.test:25", password="p\u00e4ss")
    idle = DetourHost(lane="idle.test:25~0123456789abcdef", url="smtp://idle.test:25", password="")
    await store.accept(samples.message(["a@one.test"]))
    for host in (used, idle):
        await store.put_detour_host(host, NOW)
    await store.set_detour(QueueFilter(), "smarthost", used.lane)
    assert await store.find_detour_host(idle.lane) == idle
    changed = replace(used, password="another")
    await store.put_detour_host(changed, NOW + 2 * DETOUR_HOST_KEPT)
    assert await store.find_detour_host(used.lane) == changed
    assert await store.find_detour_host(idle.lane) is None
    await store.put_detour_host(idle, NOW + 4 * DETOUR_HOST_KEPT)
    assert await store.find_detour_host(used.lane) == changed


async def test_mail_in_the_lane_of_a_smart_host_is_found_by_the_domain_of_its_recipient(store: MailStore, samples: Samples) -> None:
    lane = "smtp.example.com:587~0123456789abcdef"
    new, other = samples.message(["a@One.test", "b@two.test"]), samples.message(["c@one.test", "d@x-one.test"])
    other = replace(other, message=replace(other.message, signing_domain_id=DomainId(77)))
    for each in (new, other):
        await store.accept(each)
    await store.reroute(DomainId(1), lane)

    async def found(toward: str) -> list[str]:
        return sorted(each.forward_path for each in await store.list_queue(QueueFilter(toward=toward)))

    assert await found("one.test") == ["a@One.test", "c@one.test"]
    assert await found("e.test") == []
    assert await found("two.test") == ["b@two.test"]
    assert await found(lane) == await found("smtp.example.com:587") == ["a@One.test", "b@two.test"]
    assert await store.hold(QueueFilter(toward="two.test"), NOW) == 1
    assert await store.cancel(QueueFilter(toward="one.test"), NOW, samples.event) == 2
