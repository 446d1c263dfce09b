"""A session from its greeting to its end: one message after the other, and how each step breaks."""

import asyncio

import pytest

from sendryd.delivery.transport import Connection
from sendryd.policy.replies.verdict import NetworkFailure
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS, Step
from sendryd.testing.virtualtime import VirtualClock

from .scripted import CONTENT, ENVELOPE, fault_of, ready, start, talk

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("code", [500, 502, 554])
async def test_an_old_server_is_greeted_in_its_own_way(code: int) -> None:
    async with talk({"EHLO": f"{code} what?"}) as (connection, server):
        await start(connection)
        assert server.said == ["EHLO relay.test", "HELO relay.test"]
        assert (await connection.deliver(ENVELOPE, CONTENT)).failed_at is None


@pytest.mark.parametrize(
    ("answers", "step", "failure"),
    [
        ({"greeting": "554 go away"}, Step.GREETING, Reply(554, "go away")),
        ({"greeting": "drop"}, Step.GREETING, NetworkFailure.CLOSED),
        ({"greeting": "nonsense"}, Step.GREETING, NetworkFailure.PROTOCOL_ERROR),
        ({"EHLO": "421 busy"}, Step.EHLO, Reply(421, "busy")),
        ({"EHLO": "502 what?", "HELO": "550 no"}, Step.EHLO, Reply(550, "no")),
        ({"EHLO": "drop"}, Step.EHLO, NetworkFailure.CLOSED),
    ],
)
async def test_a_session_that_does_not_begin(answers: dict[str, str | list[str]], step: Step, failure: Reply | NetworkFailure) -> None:
    async with talk(answers) as (connection, _):
        fault = await fault_of(start(connection))
        assert (fault.step, fault.failure, fault.trouble) == (step, failure, None)


MUTE: dict[str, str | list[str]] = {"MAIL": "", "RCPT": "", "DATA": ""}


async def whole(connection: Connection) -> None:
    """A session with one message."""
    await start(connection)
    await connection.deliver(ENVELOPE, CONTENT)


@pytest.mark.parametrize(
    ("silent", "step"),
    [
        ({"greeting": ""}, Step.GREETING),
        ({"EHLO": ""}, Step.EHLO),
        ({"STARTTLS": ""}, Step.STARTTLS),
        (MUTE, Step.MAIL),
        ({".": ""}, Step.FINAL_DOT),
    ],
)
async def test_silence_ends_after_the_time_of_its_step(silent: dict[str, str | list[str]], step: Step) -> None:
    async with talk(silent) as (connection, _):
        started = VirtualClock().monotonic()
        fault = await fault_of(whole(connection))
        assert (fault.step, fault.failure) == (step, NetworkFailure.TIMEOUT)
        assert VirtualClock().monotonic() - started == pytest.approx(CLIENT_TIMEOUTS[step])
        assert fault.is_in_doubt is (step is Step.FINAL_DOT)
        assert not connection.is_usable


async def test_a_reply_that_drips_is_waited_for_no_longer_than_one_that_does_not_come() -> None:
    async with talk({"greeting": ""}) as (connection, server):

        async def drip() -> None:
            server.stream.write(b"220-")
            while True:
                await asyncio.sleep(10)
                server.stream.write(b"x")

        dripping = asyncio.create_task(drip())
        started = VirtualClock().monotonic()
        fault = await fault_of(start(connection))
        assert (fault.step, fault.failure) == (Step.GREETING, NetworkFailure.TIMEOUT)
        assert VirtualClock().monotonic() - started == pytest.approx(CLIENT_TIMEOUTS[Step.GREETING])
        dripping.cancel()


async def test_one_message_after_the_other() -> None:
    async with ready() as (connection, server):
        for count in (1, 2):
            result = await connection.deliver(ENVELOPE, CONTENT)
            assert {reply.code for reply in result.per_recipient.values()} == {250}
            assert (connection.messages_sent, connection.was_reused, connection.is_usable) == (count, True, True)
        assert server.contents == [b"DKIM-Signature: x\r\nFrom: a@example.test\r\n\r\n..dot\r\n"] * 2
        await connection.quit()
        assert server.said[-1] == "QUIT"
        assert not connection.is_usable


async def test_a_transaction_that_was_left_open_is_reset_before_the_next() -> None:
    async with ready({"DATA": ["554 5.6.0 no", "354 go"]}) as (connection, server):
        assert (await connection.deliver(ENVELOPE, CONTENT)).failed_at is Step.DATA
        assert connection.is_usable
        assert (await connection.deliver(ENVELOPE, CONTENT)).failed_at is None
        assert server.said.count("RSET") == 1
        assert len(server.contents) == 1


async def test_a_server_that_does_not_reset_is_left() -> None:
    async with ready({"DATA": "554 5.6.0 no", "RSET": "451 no"}) as (connection, _):
        await connection.deliver(ENVELOPE, CONTENT)
        fault = await fault_of(connection.deliver(ENVELOPE, CONTENT))
        assert (fault.step, fault.failure) == (Step.RSET, Reply(451, "no"))
        assert not connection.is_usable


@pytest.mark.parametrize("answer", ["drop", "421 4.3.2 closing"])
async def test_an_idle_connection_that_had_died_is_no_fault_of_the_message(answer: str) -> None:
    async with ready({"MAIL": ["250 ok", answer]}) as (connection, _):
        await connection.deliver(ENVELOPE, CONTENT)
        assert (await fault_of(connection.deliver(ENVELOPE, CONTENT))).may_retry
    async with ready({"MAIL": answer}) as (connection, _):
        if answer == "drop":
            assert not (await fault_of(connection.deliver(ENVELOPE, CONTENT))).may_retry
        else:
            assert (await connection.deliver(ENVELOPE, CONTENT)).failed_at is Step.MAIL


async def test_refusals_that_were_heard_before_it_broke_are_kept() -> None:
    async with ready({"RCPT TO:<b": "550 5.1.1 unknown", "DATA": "drop"}) as (connection, _):
        fault = await fault_of(connection.deliver(ENVELOPE, CONTENT))
        assert {path: reply.code for path, reply in fault.replies.items()} == {"b@example.org": 550}
        assert not fault.is_in_doubt


async def test_what_breaks_when_all_is_decided_changes_nothing() -> None:
    async with ready({"RCPT": "550 5.1.1 unknown", "DATA": "drop"}) as (connection, _):
        result = await connection.deliver(ENVELOPE, CONTENT)
        assert {reply.code for reply in result.per_recipient.values()} == {550}
        assert not connection.is_usable


async def test_a_server_that_speaks_unasked_is_not_used_again() -> None:
    async with ready() as (connection, server):
        server.stream.write(b"421 4.4.2 idle for too long\r\n")
        assert not connection.is_usable
        await connection.quit()
        assert "QUIT" not in server.said


async def test_cancelling_closes_the_connection_at_once() -> None:
    async with ready(MUTE) as (connection, server):
        task = asyncio.create_task(connection.deliver(ENVELOPE, CONTENT))
        async with asyncio.timeout(60):
            while not server.said:
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert not connection.is_usable
        assert "closed" in repr(connection)
