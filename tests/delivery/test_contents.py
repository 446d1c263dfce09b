"""What attempts hold of contents while they wait for receivers, and that large contents go out as they were stored."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.delivery.contents import STREAMED
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import MessageId
from sendryd.smtp.datastream import dot_stuff, dot_stuff_piece
from sendryd.store.base import QueueFilter
from sendryd.store.errors import ContentDamaged
from sendryd.testing.mailhost import ReceivedMail, Script
from sendryd.testing.post import Post, signing_key

from .conftest import opened

pytestmark = pytest.mark.sockets

HEADER = b"From: a@example.test\r\nTo: b@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"


def large(text: bytes = b".dots, and more") -> bytes:
    return HEADER + b"<html><body>\r\n" + ((text * 60)[:900] + b"\r\n") * 3_000 + b"</body></html>\r\n"


def verifies(content: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda _name, **_: f"v=DKIM1; k=rsa; p={signing_key()[1]}".encode()))


class Reads:
    """How often contents are read whole."""

    def __init__(self, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read = post.store.read_content

        async def counted(message_id: MessageId) -> bytes:
            self.count += 1
            return await read(message_id)

        monkeypatch.setattr(post.store, "read_content", counted)


async def until(post: Post, connections: int) -> None:
    async with asyncio.timeout(60):
        while post.first.open_connections + post.second.open_connections < connections:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("octets", [5_000, 100_000, 3_000_000])
async def test_an_attempt_holds_no_content_while_its_receiver_is_silent(
    patient_post: Post, monkeypatch: pytest.MonkeyPatch, octets: int
) -> None:
    post = patient_post
    post.first.script = Script(connect=lambda _number: "stall")
    reads = Reads(post, monkeypatch)
    claims = [claim for number in range(20) for claim in await post.claim(f"u@d{number}.test", content=HEADER + b"x\r\n" * (octets // 3))]
    attempts = [asyncio.create_task(post.worker.attempt(claim, None, await post.destinations.find(claim.domain))) for claim in claims]
    await until(post, 20)
    assert (reads.count, post.budget.memory.taken) == (0, 0)
    post.first.released.set()
    for attempt in attempts:
        attempt.cancel()
    await asyncio.gather(*attempts, return_exceptions=True)


async def test_changed_contents_for_slow_receivers_fill_no_disk(patient_post: Post) -> None:
    post = patient_post
    files = post.budget.sending_files
    full = files.limit - 1_000_000
    assert files.try_take(full)
    (claim,) = await post.claim("u@two.test", content=large(), does_track=True)
    await post.deliver(claim, None)
    event = await post.last_event()
    assert (event["type"], event["enhanced_code"]) == ("deferred", "4.3.1")
    assert (files.taken, post.budget.memory.taken) == (full, 0)
    files.give_back(full)
    (claim,) = await post.claim("u@three.test", content=large(), does_track=True)
    await post.deliver(claim, None)
    assert (await post.last_event())["type"] == "delivered"
    assert (files.taken, post.budget.memory.taken) == (0, 0)


async def test_a_large_content_is_read_once_for_all_attempts_and_goes_out_as_it_was(
    patient_post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, content = patient_post, large()
    reads = Reads(post, monkeypatch)
    claims = await post.claim(*(f"u@d{number}.test" for number in range(12)), content=content)
    assert len(claims) == 12
    await asyncio.gather(*(post.deliver(claim, None) for claim in claims))
    assert reads.count == 1
    assert len(post.first.mails) == 12
    assert all(mail.content.endswith(content) for mail in post.first.mails)
    assert verifies(post.first.mails[-1].content)
    assert post.budget.memory.taken == 0


async def test_a_slow_receiver_holds_no_memory_of_a_large_content(patient_post: Post) -> None:
    post = patient_post
    waiting = asyncio.Event()

    def stall(_mail: ReceivedMail) -> str:
        waiting.set()
        return "stall"

    post.first.script = Script(final=stall)
    (claim,) = await post.claim("u@two.test", content=large())
    attempt = asyncio.create_task(post.worker.attempt(claim, None, await post.destinations.find(claim.domain)))
    async with asyncio.timeout(60):
        await waiting.wait()
    assert post.budget.memory.taken == 0
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)


@pytest.mark.parametrize("octets", [STREAMED - 1000, STREAMED + 1, 4_000_000])
async def test_an_8_bit_content_of_any_size_is_converted_and_signed(patient_post: Post, octets: int) -> None:
    post = patient_post
    content = (HEADER + (".größer" * 99 + "\r\n.\r\n").encode() * (octets // 896)).ljust(octets, b"x") + b"\r\n"
    post.first.extensions = tuple(each for each in post.first.extensions if each != "8BITMIME")
    new = post.samples.message(("a@one.test",), created_at=post.clock.now(), content=content)
    await post.store.accept(replace(new, message=replace(new.message, is_8bit=True)))
    (claim,) = await post.claim_due()
    await post.deliver(claim, None)
    (mail,) = post.first.mails
    assert mail.content.isascii()
    assert verifies(mail.content)
    assert post.budget.memory.taken == 0


@pytest.mark.parametrize("text", [b".", b"more text"])
async def test_a_large_copy_of_a_recipient_is_signed_and_sent(patient_post: Post, text: bytes) -> None:
    post = patient_post
    for claim in await post.claim("u1@two.test", "u2@two.test", content=large(text), does_track=True):
        await post.deliver(claim, None)
    first, second = (mail.content for mail in post.first.mails)
    assert first != second
    assert verifies(first)
    assert verifies(second)
    assert post.budget.memory.taken == 0


async def test_a_content_that_was_altered_is_not_ended_and_its_deliveries_are_held(
    patient_post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = patient_post
    stream = post.store.stream_content

    async def altered(message_id: MessageId) -> AsyncIterator[bytes]:
        async for piece in stream(message_id):
            yield piece
        raise ContentDamaged("the spool's file 0000000001.seg cannot be used: the content was altered")

    monkeypatch.setattr(post.store, "stream_content", altered)
    (claim,) = await post.claim("u@two.test", content=large())
    await post.deliver(claim, None)
    (waiting,) = await post.store.list_queue(QueueFilter())
    assert waiting.state is DeliveryState.HELD
    assert post.taken == (0, 0)


async def test_an_attempt_without_memory_in_time_is_put_off() -> None:
    async with opened(Post(timeout=20, room_timeout=0.05)) as post:
        (claim,) = await post.claim("u@two.test", content=large())
        async with post.budget.answering.hold(post.budget.work.limit):
            await post.deliver(claim, None)
        event = await post.last_event()
    assert (event["type"], event["enhanced_code"]) == ("deferred", "4.3.1")


async def test_recipients_that_were_answered_are_not_held_with_the_others(patient_post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post = patient_post
    stream, count, turns = post.store.stream_content, 0, 0

    async def damaged_later(message_id: MessageId) -> AsyncIterator[bytes]:
        nonlocal count
        count += 1
        async for piece in stream(message_id):
            yield piece
        if count > 1:
            raise ContentDamaged("the content was altered")

    def one_at_once(verb: str, _line: str) -> str | None:
        nonlocal turns
        turns = 0 if verb == "MAIL" else turns + (verb == "RCPT")
        return "452 4.5.3 Too many recipients" if verb == "RCPT" and turns > 1 else None

    post.first.script = Script(command=one_at_once)
    monkeypatch.setattr(post.store, "stream_content", damaged_later)
    (claim,) = await post.claim("u1@two.test", "u2@two.test", content=large())
    await post.deliver(claim, None)
    states = {each.forward_path: each.state for each in await post.store.list_queue(QueueFilter(message_id=claim.message.id))}
    assert states == {"u1@two.test": DeliveryState.DELIVERED, "u2@two.test": DeliveryState.HELD}


@given(st.lists(st.sampled_from([b"\r\n", b".", b"a", b"\r", b"\n", b"\r\n."]), max_size=30).map(b"".join), st.sets(st.integers(1, 60)))
def test_a_content_is_stuffed_alike_wherever_it_is_cut(content: bytes, where: set[int]) -> None:
    edges = sorted({0, len(content), *(each for each in where if each < len(content))})
    before, stuffed = b"\r\n", b""
    for start, end in itertools.pairwise(edges):
        stuffed += dot_stuff_piece(before, content[start:end])
        before = (before + content[start:end])[-2:]
    assert stuffed == dot_stuff(content)
