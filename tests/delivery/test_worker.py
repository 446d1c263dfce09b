"""What one attempt signs, sends and records."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import dkim
import pytest

from sendryd.intake.personal import Personaliser
from sendryd.message.errors import MalformedMessage
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import EventId
from sendryd.store.base import EventFilter, Lease, Outcome, QueueFilter
from sendryd.store.errors import Conflict, LeaseLost, StoreUnavailable
from sendryd.testing.mailhost import Script
from sendryd.testing.post import Post, signing_key
from sendryd.testing.samples import ACCOUNT

pytestmark = pytest.mark.sockets

HTML = (
    b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>Hi %s</p></body></html>\r\n"
)


def verifies(content: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda _name, **_: f"v=DKIM1; k=rsa; p={signing_key()[1]}".encode()))


async def test_each_copy_that_differs_has_a_signature_of_its_own(post: Post) -> None:
    content = HTML % b"you"
    claims = await post.claim("u1@two.test", "u2@two.test", "u3@two.test", content=content, does_track=True)
    for claim in claims:
        await post.deliver(claim, content)
    copies = [mail.content for mail in post.first.mails]
    assert len({len(copy) for copy in copies}) == 1
    assert len(set(copies)) == 3
    assert all(verifies(copy) for copy in copies)


async def test_an_8_bit_message_and_its_7_bit_form_are_signed_each_for_itself(post: Post) -> None:
    post.first.extensions = tuple(each for each in post.first.extensions if each != "8BITMIME")
    content = HTML % "größer".encode()
    new = post.samples.message(("a@one.test", "b@two.test"), created_at=post.clock.now(), content=content)
    await post.store.accept(replace(new, message=replace(new.message, is_8bit=True)))
    lease = post.samples.lease()
    first, second = await post.store.claim_deliveries(now=post.clock.now(), lease=lease, limit=9, busy=frozenset(), per_domain=9)
    await post.deliver(first, content)
    post.first.extensions += ("8BITMIME",)
    await post.pool.aclose()
    await post.deliver(second, content)
    converted, kept = (mail.content for mail in post.first.mails)
    assert converted.isascii()
    assert "größer".encode() in kept
    assert verifies(converted)
    assert verifies(kept)


async def test_an_outcome_is_stored_once_the_store_can_be_written_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    record, faults, seen = post.store.record_attempt, [StoreUnavailable("locked"), StoreUnavailable("locked")], []

    async def failing(lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        seen.append(post.worker.unrecorded)
        if faults:
            raise faults.pop()
        await record(lease, outcomes, now)

    monkeypatch.setattr(post.store, "record_attempt", failing)
    await post.send()
    assert seen == [0, 1, 1]
    assert post.worker.unrecorded == 0
    assert (await post.last_event())["type"] == "delivered"
    assert len(post.first.mails) == 1


@pytest.mark.parametrize("fault", [StoreUnavailable("the database cannot be reached"), OSError(5, "Input/output error")])
async def test_mail_that_cannot_be_read_is_queued_again_without_an_attempt_and_never_ended(
    post: Post, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def unreadable(*_: Any) -> bytes:
        raise fault

    reads, records = post.store.read_content, [StoreUnavailable("gone"), StoreUnavailable("gone")]
    record = post.store.record_attempt

    async def failing(lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        if records:
            raise records.pop()
        await record(lease, outcomes, now)

    old = post.clock.now() - timedelta(days=30)  # its queue lifetime is over
    await post.store.accept(post.samples.message(("a@one.test",), created_at=old))
    (claim,) = await post.claim_due()
    monkeypatch.setattr(post.store, "read_content", unreadable)
    monkeypatch.setattr(post.store, "record_attempt", failing)
    await post.deliver(claim, None)
    (waiting,) = await post.store.list_queue(QueueFilter())
    assert (waiting.state, waiting.attempts) == (DeliveryState.QUEUED, 0)
    assert not post.first.mails
    events = await post.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, message_id=claim.message.id), limit=9)
    assert {each.type for each in events.items} <= {EventType.QUEUED}
    monkeypatch.setattr(post.store, "read_content", reads)
    await post.store.retry(QueueFilter(), post.clock.now())
    (claim,) = await post.claim_due()
    await post.deliver(claim, None)
    assert len(post.first.mails) == 1


async def test_an_event_whose_id_is_taken_gets_another(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    record, ids = post.store.record_attempt, set[EventId]()

    async def taken_once(lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        is_first = not ids
        ids.update(event.id for outcome in outcomes for event in outcome.events)
        if is_first:
            raise Conflict("the id is taken")
        await record(lease, outcomes, now)

    monkeypatch.setattr(post.store, "record_attempt", taken_once)
    await post.send()
    assert len(ids) == 4
    assert (await post.last_event())["type"] == "delivered"


@pytest.mark.parametrize("fault", [LeaseLost("it is another's"), Conflict("always"), ZeroDivisionError("a bug")])
async def test_an_outcome_that_is_never_taken_holds_nothing_up(post: Post, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    async def refusing(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(post.store, "record_attempt", refusing)
    async with asyncio.timeout(60):
        await post.send()
    assert post.worker.unrecorded == 0


async def test_a_fault_in_the_middle_leaves_no_connection_open(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Mapping[str, str]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("sendryd.delivery.visit.OutboundEnvelope", broken)
    await post.send()
    async with asyncio.timeout(60):
        while post.first.open_connections:
            await asyncio.sleep(0.001)
    assert (await post.last_event())["type"] == "deferred"


async def test_a_copy_that_cannot_be_made_bounces(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(*_: Any) -> bytes:
        raise MalformedMessage("too strange")

    monkeypatch.setattr(Personaliser, "copy_for", impossible)
    (claim,) = await post.claim("u@two.test", does_track=True)
    await post.deliver(claim, HTML)
    event = await post.last_event()
    assert (event["type"], event["enhanced_code"]) == ("bounced", "5.6.0")
    assert post.taken == (0, 0)


async def test_recipients_that_are_too_many_for_a_server_are_sent_to_in_turns(post: Post) -> None:
    turns = 0

    def three_at_once(verb: str, _line: str) -> str | None:
        nonlocal turns
        turns = 0 if verb == "MAIL" else turns + (verb == "RCPT")
        return "452 4.5.3 Too many recipients" if verb == "RCPT" and turns > 3 else None

    post.first.script = Script(command=three_at_once)
    await post.send(*(f"u{number}@two.test" for number in range(8)))
    assert sorted(path for mail in post.first.mails for path in mail.recipients) == [f"u{number}@two.test" for number in range(8)]
    assert await post.store.list_queue(QueueFilter()) == []
