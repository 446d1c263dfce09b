"""Scheduled mail: it waits, is amended, is cancelled, and ages from its time on."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NO_DOMAIN, DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, MessageId, TemplateId
from sendryd.model.message import MessageType
from sendryd.store.base import EventFilter, MailStore, MessageFilter, NewEvent, NewMessage, Outcome, QueueFilter
from sendryd.store.errors import Changed, NotAllowed, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

TIME = NOW + timedelta(days=10)  # when it is to be sent
LATER = NOW + timedelta(minutes=5)
NOBODY: frozenset[str] = frozenset()
HOUR_LATER = NOW + timedelta(hours=1)


def scheduled(samples: Samples, *recipients: str) -> NewMessage:
    return samples.message(recipients or ("a@one.test", "b@two.test"), scheduled_at=TIME, source_request=b"source")


def amended(new: NewMessage, content: bytes = b"From: a@example.test\r\n\r\nnew\r\n", days: int = 20) -> NewMessage:
    moment = NOW + timedelta(days=days)
    message = replace(
        new.message,
        subject="New",
        to=("c@one.test",),
        size=len(content),
        scheduled_at=moment,
        tags=(("a", "b"),),
        track_opens=True,
        template_id=TemplateId(7),
        type=MessageType.MARKETING,
        list_id="news",
        internet_message_id="<2@example.test>",
    )
    deliveries = tuple(replace(each, due_at=moment) for each in new.deliveries)
    return replace(new, message=message, content=content, deliveries=deliveries, source_request=b"new source")


async def claim(store: MailStore, samples: Samples, now: timedelta) -> list[str]:
    claims = await store.claim_deliveries(now=NOW + now, lease=samples.lease(), limit=99, busy=NOBODY, per_domain=99)
    return sorted(delivery.forward_path for each in claims for delivery in each.deliveries)


async def test_it_waits_for_its_time(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples)
    await store.accept(new)
    assert await claim(store, samples, timedelta(days=9)) == []
    assert await store.due_at() == TIME
    assert {each.created_at for each in await store.list_queue(QueueFilter())} == {TIME}
    assert await store.read_source_request(new.message.id) == b"source"
    assert await claim(store, samples, timedelta(days=10)) == ["a@one.test", "b@two.test"]


async def test_what_is_postponed_while_a_claim_chooses_is_not_claimed(store: MailStore, samples: Samples) -> None:
    for _ in range(5):
        new = scheduled(samples)
        await store.accept(new)
        claimed, _ = await asyncio.gather(
            claim(store, samples, timedelta(days=10)), store.amend(amended(new), LATER), return_exceptions=True
        )
        summary = await store.get_message(ACCOUNT, new.message.id)
        assert summary is not None
        assert claimed == ([] if summary.message.scheduled_at == amended(new).message.scheduled_at else ["a@one.test", "b@two.test"])


async def test_what_is_postponed_while_it_is_captured_is_not_captured(store: MailStore, samples: Samples) -> None:
    for _ in range(5):
        new = samples.message(("a@one.test",), mode=KeyMode.TEST, scheduled_at=TIME, source_request=b"source")
        new = replace(new, deliveries=tuple(replace(each, state=DeliveryState.QUEUED, domain=NO_DOMAIN) for each in new.deliveries))
        await store.accept(new)
        capture = store.capture_due(now=TIME, simulate=lambda _path: (DeliveryState.DELIVERED, ()), limit=9)
        _, captured = await asyncio.gather(store.amend(amended(new), LATER), capture)
        assert captured == []


async def test_what_waits_for_its_time_or_was_cancelled_has_not_gone(store: MailStore, samples: Samples) -> None:
    captured = samples.message(mode=KeyMode.TEST)
    waiting, cancelled = (
        replace(new, deliveries=tuple(replace(each, state=DeliveryState.QUEUED, domain=NO_DOMAIN) for each in new.deliveries))
        for new in (samples.message(mode=KeyMode.TEST, scheduled_at=TIME), samples.message(mode=KeyMode.TEST, scheduled_at=TIME))
    )
    for new in (captured, waiting, cancelled):
        await store.accept(new)
    await store.cancel_message(ACCOUNT, cancelled.message.id, NOW, samples.event)

    async def gone() -> set[int]:
        page = await store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.TEST, has_gone=True), limit=9)
        return {each.message.id for each in page.items}

    assert await gone() == {captured.message.id}
    (caught,) = await store.capture_due(now=TIME, simulate=lambda _path: (DeliveryState.BOUNCED, ()), limit=9)
    assert (caught.account_id, caught.message_id, caught.state) == (ACCOUNT, waiting.message.id, DeliveryState.BOUNCED)
    assert await gone() == {captured.message.id, waiting.message.id}


async def test_its_age_counts_from_its_time(store: MailStore, samples: Samples) -> None:
    await store.accept(scheduled(samples))
    for days, count in ((9, 0), (10, 0), (13, 0), (16, 2)):
        now = NOW + timedelta(days=days)
        assert await store.expire_deliveries(now=now, created_before=now - timedelta(days=5), make_event=samples.event, limit=9) == count


async def test_it_is_made_anew(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples)
    other = samples.message()
    await store.accept(new)
    await store.accept(other)
    again = amended(new)
    await store.amend(again, LATER)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert summary.message == again.message
    assert summary.states == {DeliveryState.QUEUED: 2}
    assert await store.read_content(new.message.id) == again.content
    assert await store.read_content(other.message.id) == other.content
    assert await store.read_source_request(new.message.id) == b"new source"
    assert await claim(store, samples, timedelta(days=19)) == ["user@example.org"]
    assert await claim(store, samples, timedelta(days=20)) == ["a@one.test", "b@two.test"]
    with pytest.raises(NotAllowed):
        await store.amend(amended(new), LATER)


async def test_it_may_be_brought_forward_and_lose_its_draft(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples)
    await store.accept(samples.message(["x@one.test"]))
    assert await claim(store, samples, timedelta(days=8)) == ["x@one.test"]
    await store.accept(new)
    await store.amend(replace(amended(new, days=1), source_request=None), LATER)
    assert await store.read_source_request(new.message.id) is None
    assert await store.due_at() == NOW + timedelta(days=1)
    assert await claim(store, samples, timedelta(days=8)) == ["a@one.test", "b@two.test"]


async def test_only_what_waits_untried_is_made_anew(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples)
    with pytest.raises(NotFound):
        await store.amend(new, LATER)
    await store.accept(new)
    foreign = replace(new, message=replace(new.message, account_id=AccountId(2)))
    with pytest.raises(NotFound):
        await store.amend(foreign, LATER)
    with pytest.raises(NotAllowed):
        await store.amend(amended(new), TIME)  # due
    await store.hold(QueueFilter(domain="one.test"), NOW)
    with pytest.raises(NotAllowed):
        await store.amend(amended(new), LATER)
    await store.release_held(QueueFilter(domain="one.test"), TIME)
    (held,) = await store.claim_deliveries(now=TIME, lease=samples.lease(), limit=1, busy=frozenset({"two.test"}), per_domain=1)
    with pytest.raises(NotAllowed):
        await store.amend(amended(new), LATER)
    tried = Outcome(delivery_id=held.deliveries[0].id, state=DeliveryState.QUEUED, due_at=TIME, reply="451", events=())
    await store.record_attempt(held.lease, [tried], LATER)
    with pytest.raises(NotAllowed):
        await store.amend(amended(new), LATER)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert summary.message == new.message
    assert await store.read_content(new.message.id) == new.content
    assert await store.read_source_request(new.message.id) == b"source"


async def test_a_suppressed_recipient_keeps_nobody_from_it(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples)
    first, second = new.deliveries
    new = replace(new, deliveries=(replace(first, state=DeliveryState.SUPPRESSED, events=(samples.event(EventType.SUPPRESSED),)), second))
    await store.accept(new)
    await store.amend(amended(new), LATER)
    await store.cancel_message(ACCOUNT, new.message.id, LATER, samples.event)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert summary.states == {DeliveryState.SUPPRESSED: 1, DeliveryState.CANCELLED: 1}


async def test_where_all_are_suppressed_nothing_is_left_to_change(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples, "a@one.test")
    new = replace(new, deliveries=(replace(new.deliveries[0], state=DeliveryState.SUPPRESSED),))
    await store.accept(new)
    with pytest.raises(NotAllowed):
        await store.amend(amended(new), LATER)
    with pytest.raises(NotAllowed):
        await store.cancel_message(ACCOUNT, new.message.id, LATER, samples.event)


async def test_a_message_is_cancelled_whole(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples)
    await store.accept(new)
    await store.hold(QueueFilter(domain="one.test"), NOW)
    with pytest.raises(NotFound):
        await store.cancel_message(AccountId(2), new.message.id, LATER, samples.event)
    with pytest.raises(NotFound):
        await store.cancel_message(ACCOUNT, MessageId(5), LATER, samples.event)
    await store.cancel_message(ACCOUNT, new.message.id, LATER, samples.event)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert (summary.states, summary.last_event) == ({DeliveryState.CANCELLED: 2}, EventType.CANCELLED)
    page = await store.list_events(ACCOUNT, EventFilter(mode=new.message.mode, type=EventType.CANCELLED), limit=9)
    assert sorted((event.recipient, event.created_at) for event in page.items) == [("a@one.test", LATER), ("b@two.test", LATER)]
    assert await store.read_source_request(new.message.id) is None
    with pytest.raises(NotAllowed):
        await store.cancel_message(ACCOUNT, new.message.id, LATER, samples.event)


async def test_a_message_that_is_under_way_is_not_cancelled_in_part(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@two.test"])
    await store.accept(new)
    await store.claim_deliveries(now=LATER, lease=samples.lease(), limit=1, busy=frozenset({"two.test"}), per_domain=1)
    with pytest.raises(NotAllowed):
        await store.cancel_message(ACCOUNT, new.message.id, LATER, samples.event)
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert summary.states == {DeliveryState.LEASED: 1, DeliveryState.QUEUED: 1}


async def test_a_claim_or_the_cancel_wins_never_both(store: MailStore, samples: Samples) -> None:
    made = [scheduled(samples, f"u{number}@one.test") for number in range(200)]
    for new in made:
        await store.accept(new)
    cancels = [store.cancel_message(ACCOUNT, new.message.id, TIME, samples.event) for new in made[::2]]
    claim = store.claim_deliveries(now=TIME, lease=samples.lease(), limit=1000, busy=NOBODY, per_domain=1000)
    claims, *results = await asyncio.gather(claim, *cancels, return_exceptions=True)
    assert isinstance(claims, list)
    claimed = {each.message.id for each in claims}
    refused = {new.message.id for new, result in zip(made[::2], results, strict=True) if isinstance(result, NotAllowed)}
    assert {new.message.id for new in made[1::2]} <= claimed
    assert {new.message.id for new in made[::2]} & claimed == refused
    assert (await store.count_queue())[DeliveryState.QUEUED] == 0


async def test_a_draft_goes_when_its_message_is_done(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples, "a@one.test")
    await store.accept(new)
    assert await store.delete_messages(created_before=NOW, limit=9) == 0
    assert await store.read_source_request(new.message.id) == b"source"

    def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
        return samples.event(event_type, metadata)

    assert await store.cancel(QueueFilter(message_id=new.message.id), LATER, make_event) == 1
    assert await store.read_source_request(new.message.id) is None
    assert await store.read_source_request(MessageId(5)) is None


async def test_it_is_kept_as_long_as_others_from_its_time_on(store: MailStore, samples: Samples) -> None:
    new = scheduled(samples, "a@one.test")
    await store.accept(new)
    await store.cancel_message(ACCOUNT, new.message.id, LATER, samples.event)
    assert await store.delete_messages(created_before=TIME, limit=9) == 0
    assert await store.delete_messages(created_before=TIME + timedelta(seconds=1), limit=9) == 1
    assert await store.get_message(ACCOUNT, new.message.id) is None


async def refused(attempt: Awaitable[Any]) -> None:
    with pytest.raises(Changed):
        await attempt


async def test_a_scheduled_message_is_replaced_as_it_was_read(store: MailStore, samples: Samples) -> None:
    new = samples.message(scheduled_at=HOUR_LATER, source_request=b"one")
    await store.accept(new)
    other = samples.message(scheduled_at=HOUR_LATER, source_request=b"two", content=b"From: a@example.test\r\n\r\ntwo\r\n")
    two = replace(new, message=replace(new.message, size=len(other.content)), content=other.content, source_request=b"two")
    await store.amend(two, NOW, made_from=b"one")
    await refused(store.amend(replace(two, source_request=b"three"), NOW, made_from=b"one"))
    assert await store.read_source_request(new.message.id) == b"two"
    assert await store.read_content(new.message.id) == other.content
