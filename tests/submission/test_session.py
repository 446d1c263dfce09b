"""A session over memory streams: time, memory, faults of our own."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from sendryd.runtime.budget import IN_MEMORY, MIB, ContentBudget
from sendryd.runtime.memory import MemoryStream, memory_streams
from sendryd.store.base import QueueFilter
from sendryd.store.errors import StoreFull, StoreUnavailable
from sendryd.submission.context import SessionContext
from sendryd.submission.deadlines import (
    COMMAND_TIMEOUT,
    DATA_BLOCK_TIMEOUT,
    MIN_DATA_RATE,
    UNAUTHENTICATED_SESSION,
    UNAUTHENTICATED_TIMEOUT,
)
from sendryd.submission.incoming import ROOM_TIMEOUT
from sendryd.submission.session import Session
from sendryd.testing.door import AUTHOR, CONTENT, LIVE_SECRET, TEST_SECRET, Door
from sendryd.testing.virtualtime import VirtualClock

pytestmark = pytest.mark.virtual_time
REPLY_TIMEOUT = 2 * ROOM_TIMEOUT  # seconds; a reply may wait for room


async def virtual_door() -> Door:
    """The door; its clock goes with the loop."""
    return await Door(clock=VirtualClock()).open()


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


Hook = Callable[[SessionContext], None]


@asynccontextmanager
async def talking(
    door: Door, *, files: int = 100 * MIB, budget: ContentBudget | None = None
) -> AsyncIterator[tuple[MemoryStream, Session, asyncio.Task[None]]]:
    """A client's end, after the greeting. A budget that is given is the test's to look at."""
    context = door.session_context(budget or ContentBudget(files=files, received_in_memory=IN_MEMORY))
    near, far = memory_streams()
    session = Session(near, context, is_implicit_tls=True)
    task = asyncio.create_task(session.run())
    assert (await far.read(5)).startswith(b"220 relay.test")
    try:
        yield far, session, task
    finally:
        await far.aclose()
        await asyncio.wait_for(task, REPLY_TIMEOUT)
        if budget is None:
            assert context.budget.memory.taken == context.budget.files.taken == 0


async def say(client: MemoryStream, line: bytes) -> bytes:
    client.write(line + b"\r\n")
    return await client.read(REPLY_TIMEOUT)


async def log_in(client: MemoryStream, secret: str = LIVE_SECRET) -> None:
    assert (await say(client, b"EHLO vm")).startswith(b"250-")
    token = base64.b64encode(b"\0u\0" + secret.encode())
    assert (await say(client, b"AUTH PLAIN " + token)).startswith(b"235 ")


async def envelope(client: MemoryStream) -> None:
    assert (await say(client, f"MAIL FROM:<{AUTHOR}>".encode())).startswith(b"250 ")
    assert (await say(client, b"RCPT TO:<user@example.org>")).startswith(b"250 ")
    assert (await say(client, b"DATA")).startswith(b"354 ")


@pytest.mark.parametrize("secret", [f" {LIVE_SECRET}", f"{LIVE_SECRET}\r\n", f"\t{LIVE_SECRET} \u00a0"])
async def test_white_space_around_a_key_is_ignored(secret: str) -> None:
    async with talking(await virtual_door()) as (client, _, _):
        await log_in(client, secret)


async def test_a_key_that_cannot_be_looked_up_is_not_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    door = await virtual_door()
    async with talking(door) as (client, _, _):
        assert (await say(client, b"EHLO vm")).startswith(b"250-")
        token = base64.b64encode(b"\0u\0" + LIVE_SECRET.encode())
        with monkeypatch.context() as away:
            away.setattr(door.directory, "find_key", _gone)
            assert (await say(client, b"AUTH PLAIN " + token)).startswith(b"454 4.7.0 ")
        assert (await say(client, b"AUTH PLAIN " + token)).startswith(b"235 ")


async def _gone(_secret_hash: bytes) -> None:
    raise StoreUnavailable("the database is away")


async def test_a_silent_stranger_is_shown_out() -> None:
    async with talking(await virtual_door()) as (client, _, _):
        started = now()
        assert (await client.read(2 * UNAUTHENTICATED_TIMEOUT)).startswith(b"421 4.4.2 ")
        assert now() - started == pytest.approx(UNAUTHENTICATED_TIMEOUT)
        assert await client.read(5) == b""


async def test_a_stranger_who_talks_and_talks_is_shown_out() -> None:
    async with talking(await virtual_door()) as (client, _, _):
        started = now()
        while (answer := await say(client, b"NOOP")).startswith(b"250 "):
            await asyncio.sleep(UNAUTHENTICATED_TIMEOUT / 20)
        assert answer.startswith(b"421 ")
        assert now() - started == pytest.approx(UNAUTHENTICATED_SESSION)


async def test_a_command_that_drips_is_given_up() -> None:
    async with talking(await virtual_door()) as (client, _, task):
        await log_in(client)
        started = now()
        while not task.done():
            client.write(b"N")
            await asyncio.sleep(1)
        assert (await client.read(5)).startswith(b"421 4.4.2 ")
        assert now() - started == pytest.approx(COMMAND_TIMEOUT, abs=2)


async def test_content_that_drips_is_given_up() -> None:
    async with talking(await virtual_door()) as (client, _, task):
        await log_in(client)
        await envelope(client)
        started = now()
        while not task.done():
            client.write(b"x")
            await asyncio.sleep(1)
        assert (await client.read(5)).startswith(b"421 4.4.2 ")
        assert now() - started == pytest.approx(DATA_BLOCK_TIMEOUT, abs=2)


async def test_a_session_is_kept_alive_by_commands_that_need_no_decision() -> None:
    async with talking(await virtual_door()) as (client, _, _):
        await log_in(client)
        for _ in range(5):
            await asyncio.sleep(COMMAND_TIMEOUT - 1)
            assert (await say(client, b"NOOP")).startswith(b"250 ")


async def test_a_message_in_many_chunks_may_take_longer_than_a_command() -> None:
    async with talking(await virtual_door()) as (client, _, _):
        await log_in(client)
        for line in (f"MAIL FROM:<{AUTHOR}>", "RCPT TO:<user@example.org>"):
            assert (await say(client, line.encode())).startswith(b"250 ")
        content, end = CONTENT, now() + 2 * COMMAND_TIMEOUT
        while now() < end:
            await asyncio.sleep(COMMAND_TIMEOUT / 5)  # so that it is waited for, and the chunk as well
            client.write(b"BDAT %d\r\n" % len(content))
            await asyncio.sleep(DATA_BLOCK_TIMEOUT / 5)
            assert (await say(client, content[:-2])).startswith(b"250 ")
            content = b"more\r\n"
        await asyncio.sleep(COMMAND_TIMEOUT / 5)
        assert (await say(client, b"BDAT 0 LAST")).startswith(b"250 2.0.0 Ok: queued as em_")


async def test_a_refused_content_that_keeps_coming_is_read_to_its_end() -> None:
    async with talking(await virtual_door()) as (client, _, _):
        await log_in(client)
        await envelope(client)
        client.write(b"From: a\0b\r\n\r\n")
        end = now() + 3 * DATA_BLOCK_TIMEOUT
        while now() < end:
            client.write(b"x" * 2 * MIN_DATA_RATE + b"\r\n")
            await asyncio.sleep(1)
        assert (await say(client, b".")).startswith(b"554 5.6.0 ")
        assert (await say(client, b"NOOP")).startswith(b"250 ")


async def test_too_much_content_at_once_is_put_off_and_the_session_goes_on() -> None:
    door = await virtual_door()
    async with talking(door, files=200_000) as (client, _, _):
        await log_in(client)
        await envelope(client)
        for _ in range(20):
            client.write(b"From: x\r\n\r\n" + b"y" * 50_000)
            await asyncio.sleep(0)
        assert (await say(client, b"\r\n.")).startswith(b"452 4.3.1 ")
        await envelope(client)
        assert (await say(client, CONTENT + b".")).startswith(b"250 2.0.0 Ok: queued as em_")


async def test_a_disk_that_is_nearly_full_is_told_before_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    door = await virtual_door()
    asked = []

    def no_room(size: int) -> None:
        asked.append(size)
        raise StoreFull("the disk is nearly full")

    async with talking(door) as (client, _, _):
        await log_in(client)
        with monkeypatch.context() as patch:
            patch.setattr(door.store, "check_room", no_room)
            for parameter in (b"", b" SIZE=40000"):
                assert (await say(client, f"MAIL FROM:<{AUTHOR}>".encode() + parameter)).startswith(b"452 4.3.1 ")
        assert asked == [0, 40_000]
        await envelope(client)
        assert (await say(client, CONTENT + b".")).startswith(b"250 2.0.0 Ok: queued as em_")


async def test_a_flood_of_commands_lets_other_sessions_take_their_turn() -> None:
    door = await virtual_door()
    async with talking(door) as (flooder, _, _), talking(door) as (client, _, _):
        await log_in(flooder)
        await log_in(client)
        flooder.write(f"MAIL FROM:<{AUTHOR}>\r\n".encode() + b"RCPT TO:<user@example.org>\r\n" * 5000)
        assert (await say(client, b"NOOP")).startswith(b"250 ")
        answered = await flooder.read(5)
        assert 0 < answered.count(b"\r\n") < 2000
        while answered.count(b"\r\n") < 5001:
            answered += await flooder.read(5)
        assert set(answered.splitlines()[1:]) == {b"250 2.1.5 Recipient ok"}


async def test_a_bug_of_ours_is_a_temporary_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    door = await virtual_door()

    async def broken(_submission: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(door.intake, "accept", broken)
    async with talking(door) as (client, _, _):
        await log_in(client)
        await envelope(client)
        answer = await say(client, CONTENT + b".")
        assert answer.startswith(b"421 4.3.0 ")
        assert b"bug" not in answer
        assert b"RuntimeError" not in answer


async def test_a_stop_waits_for_a_transaction_and_ends_an_idle_session() -> None:
    door = await virtual_door()
    async with talking(door) as (client, session, task):
        await log_in(client)
        await envelope(client)
        session.request_stop()
        answer = await say(client, CONTENT + b".")
        assert answer.startswith(b"250 2.0.0 ")
        rest = answer.partition(b"\r\n")[2] or await client.read(5)
        assert rest.startswith(b"421 4.3.2 ")
        await asyncio.wait_for(task, 60)
    async with talking(door) as (client, session, task):
        await log_in(client)
        session.request_stop()
        assert (await client.read(5)).startswith(b"421 4.3.2 ")
        await asyncio.wait_for(task, 60)


async def test_a_transaction_that_was_reset_holds_up_no_stop_and_no_memory() -> None:
    door = await virtual_door()
    async with talking(door) as (client, session, task):
        await log_in(client)
        for line in (f"MAIL FROM:<{AUTHOR}>", "RCPT TO:<user@example.org>"):
            assert (await say(client, line.encode())).startswith(b"250 ")
        assert (await say(client, b"BDAT 100002\r\n" + b"x" * 100_000)).startswith(b"250 ")
        assert (await say(client, b"RSET")).startswith(b"250 ")
        assert (await say(client, b"NOOP")).startswith(b"250 ")
        session.request_stop()
        assert (await client.read(5)).startswith(b"421 4.3.2 ")
        await asyncio.wait_for(task, 60)


async def test_a_client_that_goes_away_in_the_content_leaves_nothing() -> None:
    door = await virtual_door()
    async with talking(door) as (client, _, task):
        await log_in(client)
        await envelope(client)
        client.write(CONTENT)
        await client.aclose()
        await asyncio.wait_for(task, 60)
    assert (await door.store.count_queue()) == dict.fromkeys(await door.store.count_queue(), 0)


async def test_a_fast_beginning_buys_no_time_for_the_rest() -> None:
    async with talking(await virtual_door()) as (client, _, task):
        await log_in(client)
        await envelope(client)
        beginning = b"From: x\r\n\r\n" + (b"x" * 998 + b"\r\n") * 200
        assert len(beginning) / MIN_DATA_RATE > 2 * DATA_BLOCK_TIMEOUT
        client.write(beginning)
        started = now()
        while not task.done():
            client.write(b"x")
            await asyncio.sleep(1)
        assert (await client.read(5)).startswith(b"421 4.4.2 ")
        assert now() - started == pytest.approx(DATA_BLOCK_TIMEOUT, abs=2)


def lines(octets: int) -> bytes:
    return (b".dots and text" * 70 + b"\r\n") * (octets // 982)


async def begin_large(client: MemoryStream, content: bytes) -> None:
    """Begins a content, and returns when all that came of it is taken."""
    for start in range(0, len(content), 60_000):
        client.write(content[start : start + 60_000])
        await asyncio.sleep(0.005)


async def test_a_content_of_usual_size_stays_in_memory_while_its_key_has_room() -> None:
    door, budget = await virtual_door(), ContentBudget()
    async with talking(door, budget=budget) as (client, _, _):
        await log_in(client)
        await envelope(client)
        await begin_large(client, CONTENT + lines(1_000_000).replace(b".dots", b"dots"))
        assert budget.files.taken == 0
        assert budget.memory.taken > 800_000
        assert (await say(client, b".")).startswith(b"250 ")
    assert budget.memory.taken == budget.files.taken == 0


@pytest.mark.parametrize("octets", [300_000, 1_000_000, 3_000_000])
async def test_a_large_content_is_in_a_file_while_it_comes_and_is_stored_as_it_was(octets: int) -> None:
    door, budget = await virtual_door(), ContentBudget(received_in_memory=IN_MEMORY)
    body = lines(octets)
    async with talking(door, budget=budget) as (client, _, _):
        await log_in(client)
        await envelope(client)
        await begin_large(client, CONTENT + body.replace(b"\r\n.", b"\r\n..").replace(b".dots", b"..dots", 1))
        assert budget.files.taken > octets - 2 * IN_MEMORY
        assert budget.memory.taken <= IN_MEMORY
        answer = await say(client, b".")
        assert answer.startswith(b"250 2.0.0 Ok: queued as em_")
    assert budget.memory.taken == budget.files.taken == 0
    (queued,) = await door.store.list_queue(QueueFilter())
    assert (await door.store.read_content(queued.message.id)).endswith(CONTENT + body)


@pytest.mark.parametrize("end", ["reset", "gone", "bad", "chunks reset"])
async def test_a_large_content_that_is_not_wanted_leaves_nothing_in_files(end: str) -> None:
    door, budget = await virtual_door(), ContentBudget(received_in_memory=IN_MEMORY)
    async with talking(door, budget=budget) as (client, _, _):
        await log_in(client)
        if end.endswith("reset"):
            for line in (f"MAIL FROM:<{AUTHOR}>", "RCPT TO:<user@example.org>"):
                assert (await say(client, line.encode())).startswith(b"250 ")
            content = CONTENT + lines(1_000_000)
            client.write(b"BDAT %d\r\n" % len(content))
            await begin_large(client, content)
            assert (await client.read(5)).startswith(b"250 ")
            assert budget.files.taken > 500_000
            assert (await say(client, b"RSET")).startswith(b"250 ")
            assert (await say(client, b"NOOP")).startswith(b"250 ")
        else:
            await envelope(client)
            await begin_large(client, CONTENT + lines(1_000_000))
            assert budget.files.taken > 500_000
            if end == "bad":
                assert (await say(client, b"\0\r\n.")).startswith(b"554 ")
                assert (await say(client, b"NOOP")).startswith(b"250 ")
            else:
                await client.aclose()
                return
        assert budget.files.taken == 0
    assert budget.memory.taken == budget.files.taken == 0


async def test_dripping_contents_of_a_test_key_leave_room_for_live_mail() -> None:
    door, budget = await virtual_door(), ContentBudget(files=4_000_000, received_in_memory=IN_MEMORY)
    async with AsyncExitStack() as stack:
        for _ in range(16):
            client, *_ = await stack.enter_async_context(talking(door, budget=budget))
            await log_in(client, TEST_SECRET)
            await envelope(client)
            await begin_large(client, CONTENT + lines(600_000))
        async with talking(door, budget=budget) as (client, _, _):
            await log_in(client)
            for content in (CONTENT, CONTENT + lines(1_500_000).replace(b".dots", b"dots")):
                await envelope(client)
                await begin_large(client, content)
                assert (await say(client, b".")).startswith(b"250 2.0.0 Ok: queued as em_")


async def test_contents_that_grow_do_not_wait_for_one_another() -> None:
    door, budget = await virtual_door(), ContentBudget(files=8_000_000, received_in_memory=IN_MEMORY)  # 4 MB for a key: one of the two
    body = lines(3_000_000).replace(b".dots", b"dots")
    async with talking(door, budget=budget) as (one, _, _), talking(door, budget=budget) as (other, _, _):
        for client in (one, other):
            await log_in(client)
            await envelope(client)
            client.write(CONTENT)
        for start in range(0, len(body), 500_000):
            for client in (one, other):
                await begin_large(client, body[start : start + 500_000])
        async with asyncio.timeout(25):  # less than the time that a content waits for room
            answers = sorted([(await say(client, b"."))[:3] for client in (one, other)])
        assert answers == [b"250", b"452"]
    assert budget.memory.taken == budget.files.taken == 0


async def test_a_content_of_declared_size_waits_before_it_has_room() -> None:
    door, budget = await virtual_door(), ContentBudget(files=8_000_000, received_in_memory=IN_MEMORY)
    body = CONTENT + lines(3_000_000).replace(b".dots", b"dots")
    async with talking(door, budget=budget) as (one, _, _), talking(door, budget=budget) as (other, _, _):
        for client in (one, other):
            await log_in(client)
            for line in (f"MAIL FROM:<{AUTHOR}> SIZE={len(body)}", "RCPT TO:<user@example.org>", "DATA"):
                assert (await say(client, line.encode())).startswith((b"250 ", b"354 "))
            await begin_large(client, body[:1_000_000])
        async with asyncio.timeout(10):
            while not budget.files.waiting:
                await asyncio.sleep(0.005)
            assert budget.files.taken == len(body)
            await begin_large(one, body[1_000_000:])
            assert (await say(one, b".")).startswith(b"250 ")
            await begin_large(other, body[1_000_000:])
            assert (await say(other, b".")).startswith(b"250 ")
    assert budget.memory.taken == budget.files.taken == 0


async def test_small_contents_go_to_files_where_there_is_no_memory() -> None:
    door, budget = await virtual_door(), ContentBudget(memory=14_000)
    async with talking(door, budget=budget) as (client, _, _):
        await log_in(client)
        await envelope(client)
        await begin_large(client, CONTENT + lines(200_000).replace(b".dots", b"dots"))
        assert budget.files.taken > 100_000
        assert (await say(client, b".")).startswith(b"250 2.0.0 Ok: queued as em_")
    assert budget.memory.taken == budget.files.taken == 0
