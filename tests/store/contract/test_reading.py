"""Reading: messages, events and deliveries, by pages and filters."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, ApiKeyId, DeliveryId, DomainId, MessageId, format_id
from sendryd.model.message import MessageStatus
from sendryd.store.base import Claim, EventFilter, Lease, MailStore, MessageFilter, Outcome, QueueFilter
from sendryd.store.base.reading import DomainTraffic
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


async def test_messages_are_filtered_by_the_states_of_their_deliveries(store: MailStore, samples: Samples) -> None:
    queued, held = samples.message(["a@one.test"]), samples.message(["b@two.test", "c@one.test"])
    await store.accept(queued)
    await store.accept(held)
    await store.hold(QueueFilter(domain="two.test"), NOW)

    async def found(*states: DeliveryState) -> list[MessageId]:
        page = await store.list_messages(ACCOUNT, replace(LIVE, states=frozenset(states)), limit=10)
        return [each.message.id for each in page.items]

    assert await found(DeliveryState.QUEUED) == [held.message.id, queued.message.id]
    assert await found(DeliveryState.HELD) == [held.message.id]
    assert await found(DeliveryState.HELD, DeliveryState.BOUNCED) == [held.message.id]
    assert await found(DeliveryState.BOUNCED) == []


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


async def test_a_delivery_is_found_by_its_number(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@two.test"], lease=(lease := samples.lease()))
    await store.accept(new)
    second = new.deliveries[1]
    found = await store.find_delivery(second.id)
    assert found is not None
    assert (found.id, found.message, found.forward_path) == (second.id, new.message, "b@two.test")
    assert (found.state, found.delivered_at) == (DeliveryState.LEASED, None)
    done = Outcome(delivery_id=second.id, state=DeliveryState.DELIVERED, due_at=None, reply="250", events=())
    await store.record_attempt(lease, [done], LATER)
    found = await store.find_delivery(second.id)
    assert found is not None
    assert (found.state, found.delivered_at) == (DeliveryState.DELIVERED, LATER)
    assert await store.find_delivery(DeliveryId(5)) is None


async def test_messages_are_found_by_recipient_subject_and_time(store: MailStore, samples: Samples) -> None:
    hidden = samples.message(["Bcc@Example.org"], subject="The 100% offer")
    hidden = replace(hidden, message=replace(hidden.message, to=("list@example.org",)))
    await store.accept(hidden)
    late = Samples(LATER)
    await store.accept(late.message(["b@example.org"], subject="Other", created_at=LATER))

    async def count(**conditions: object) -> int:
        which = replace(LIVE, **conditions)  # type: ignore[arg-type]  # each caller names fields
        found = len((await store.list_messages(ACCOUNT, which, limit=9)).items)
        assert await store.count_messages(ACCOUNT, which) == found
        return found

    assert await count(recipient="bcc@example.ORG") == 1
    assert await count(recipient="cc@example.org") == 0
    assert await count(recipient="list@example.org") == 0  # only who gets it
    assert await count(subject="100% OFFER") == 1
    assert await count(subject="100_") == 0
    assert await count(subject="e") == 2
    assert await count(created_from=LATER) == 1
    assert await count(created_from=NOW) == 2
    assert await count(created_from=LATER + timedelta(seconds=1)) == 0
    assert await count(recipient="b@example.org", subject="other", created_from=LATER, text="b@") == 1
    assert await count(recipient="b@example.org", subject="100") == 0


async def test_traffic_is_counted_by_sending_domain(store: MailStore, samples: Samples) -> None:
    async def accept(recipient: str, domain_id: int, **changes: Any) -> None:
        new = samples.message([recipient], **changes)
        await store.accept(replace(new, message=replace(new.message, signing_domain_id=DomainId(domain_id))))

    await accept("a@gone.test", 1)
    await accept("b@one.test", 1)
    await accept("c@two.test", 2)
    await accept("d@test.test", 2, mode=KeyMode.TEST)
    lease = samples.lease()
    (gone,) = await claim(store, lease, busy=frozenset({"one.test", "two.test"}))
    await store.record_attempt(lease, [outcome(gone, samples, DeliveryState.BOUNCED)], LATER)
    since = NOW - timedelta(days=1)
    assert await store.count_traffic(ACCOUNT, since=since, limit=10) == {
        DomainId(1): DomainTraffic(sent=2, bounced=1),
        DomainId(2): DomainTraffic(sent=1, bounced=0),
    }
    assert await store.count_traffic(ACCOUNT, since=since, limit=1) == {DomainId(2): DomainTraffic(sent=1, bounced=0)}
    assert await store.count_traffic(ACCOUNT, since=NOW + timedelta(days=1), limit=10) == {}
    assert await store.count_traffic(AccountId(2), since=since, limit=10) == {}
