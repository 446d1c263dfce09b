"""What receiving servers say, do not say, and say at the wrong moment: from the door to the event, in virtual time."""

import asyncio
from collections.abc import Callable

import pytest

from sendryd.model.event import EventType
from sendryd.testing.mailhost import ReceivedMail, Script
from sendryd.testing.samples import ACCOUNT

from .engine import CONTENT, Engine

pytestmark = [pytest.mark.sockets, pytest.mark.virtual_time(sockets=True)]

PLAIN = ("SIZE 52428800", "8BITMIME")  # extensions without PIPELINING: one command at a time


def on(verb: str, *replies: str | None) -> Script:
    """These replies to this command, one each time, then the last for ever."""
    left = list(replies)

    def command(said: str, _line: str) -> str | None:
        return None if said != verb else left.pop(0) if len(left) > 1 else left[0]

    return Script(command=command)


@pytest.mark.parametrize("greeting", ["554 5.7.1 <relay.test>: no such user here", "421 4.3.2 Busy"])
async def test_a_server_that_refuses_every_connection_is_followed_by_the_next_and_blames_no_address(engine: Engine, greeting: str) -> None:
    closed = Script(connect=lambda _: greeting, command=lambda *_: greeting)
    await engine.host("closed.test", script=closed)
    await engine.host("open.test")
    engine.names.set("both.test", "MX", "10 closed.test.", "20 open.test.")
    engine.names.set("none.test", "MX", "10 closed.test.")
    assert (await engine.fate("u@both.test")).metadata["host"] == "open.test"
    message = await engine.send("u@none.test")
    while (await engine.types(message)).count("deferred") < 2:
        await asyncio.sleep(10)
    assert set(await engine.types(message)) == {"queued", "deferred"}
    assert not await engine.store.find_suppressed(ACCOUNT, ["u@none.test"])


@pytest.mark.parametrize("reply", ["500 What?", "502 5.5.1 Not implemented", "554 No"])
async def test_where_ehlo_is_not_known_helo_follows(engine: Engine, reply: str) -> None:
    server = await engine.domain("old.test", on("EHLO", reply))
    assert (await engine.first_attempt("u@old.test")).type is EventType.DELIVERED
    assert server.commands[:2] == ["EHLO relay.test", "HELO relay.test"]


async def test_a_reply_without_end_is_cut_and_fills_no_memory(engine: Engine) -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"220 mx\r\n")
        await reader.readline()
        while True:
            writer.write(b"250-" + b"x" * 60_000 + b"\r\n")
            sent += 60_000
            await writer.drain()

    await engine.talking("endless.test", talk)
    deferred = await engine.first_attempt("u@endless.test")
    assert deferred.type is EventType.DEFERRED
    assert sent < 32 << 20  # what the buffers of the sockets hold, and little more
    assert len(str(deferred.metadata)) < 2000
    (dialogue,) = (await engine.basics.dialogues.read_dialogues({str(deferred.metadata["dialogue"])})).values()
    assert len(repr(dialogue)) < 1 << 18


async def test_each_step_of_a_silent_server_has_its_time_and_drops_of_a_reply_win_none(engine: Engine) -> None:
    """All servers at once. The times are those of RFC 5321 §4.5.3.2."""
    silent: dict[str, tuple[Script, float]] = {
        "mail": (on("MAIL", "stall"), 300.0),
        "rcpt": (on("RCPT", "stall"), 300.0),
        "data": (on("DATA", "stall"), 120.0),
        "dot": (Script(after_final=lambda _: "stall"), 600.0),
        "ehlo": (on("EHLO", "stall"), 120.0),  # what all that comes before MAIL may take
        "greeting": (Script(connect=lambda _: "stall"), 60.0),
    }
    for name, (script, _) in silent.items():
        await engine.domain(f"{name}.test", script, extensions=PLAIN)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (b"220 mx\r\n", b"250 mx\r\n"):
            writer.write(reply)
            await reader.readline()
        writer.write(b"250-")
        while not reader.at_eof():
            writer.write(b"x")
            await asyncio.sleep(10)

    await engine.talking("drip.test", drip)
    wanted = {name: seconds for name, (_, seconds) in silent.items()} | {"drip": 300.0}
    messages = {name: await engine.send(f"u@{name}.test") for name in wanted}
    for name, message in messages.items():
        deferred = await engine.wait_for(message, EventType.DEFERRED)
        queued = (await engine.events(message))[0]
        waited = (deferred.created_at - queued.created_at).total_seconds()
        assert (name, wanted[name] - 1 <= waited <= wanted[name] + 5) == (name, True), waited
        assert (name == "dot") is ("may have been delivered" in str(deferred.metadata["reason"]))


async def test_a_refusal_in_the_middle_of_a_large_content_is_read_and_sending_stops(engine: Engine) -> None:
    content = CONTENT + (b"x" * 76 + b"\r\n") * 150_000
    read = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal read
        for reply in (b"220 mx\r\n", b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            writer.write(reply)
            await reader.readline()
        await reader.readexactly(100_000)
        writer.write(b"552 5.3.4 Enough\r\n")
        await asyncio.sleep(1)  # it reads nothing meanwhile
        while data := await reader.read(1 << 20):
            read += len(data)

    await engine.talking("small.test", talk)
    bounced = await engine.first_attempt("u@small.test", content=content)
    assert (bounced.type, bounced.metadata["code"]) == (EventType.BOUNCED, 552)
    assert read < len(content) - 100_000


async def test_354_although_every_recipient_was_refused_gets_a_lone_dot(engine: Engine) -> None:
    script = Script(rcpt=lambda _: "550 5.1.1 No such user", command=lambda verb, _: "354 Go on" if verb == "DATA" else None)
    server = await engine.domain("odd.test", script)
    bounced = await engine.first_attempt("u@odd.test")
    assert (bounced.type, bounced.metadata["enhanced_code"]) == (EventType.BOUNCED, "5.1.1")
    assert [mail.content for mail in server.mails] == [b""]


async def test_an_unknown_recipient_who_is_refused_at_the_final_dot_alone_counts_as_one_refused_at_rcpt(engine: Engine) -> None:
    await engine.domain("late.test", Script(final=lambda _: "550 5.1.1 <u@late.test>: no such user"))
    bounced = await engine.first_attempt("u@late.test")
    assert (bounced.type, bounced.metadata["bounce_type"]) == (EventType.BOUNCED, "hard")
    assert set(await engine.store.find_suppressed(ACCOUNT, ["u@late.test"])) == {"u@late.test"}


KEPT: dict[str, Callable[[], Script]] = {
    "RSET is refused": lambda: Script(
        command=_both(on("DATA", "451 4.3.0 Later", None), on("RSET", "451 4.3.0 Not now")),
    ),
    "it has died": lambda: on("MAIL", None, "drop", None),
    "it says goodbye to MAIL": lambda: on("MAIL", None, "421 4.4.2 Closing", None),
    "it answers twice": lambda: Script(after_final=_once("250 2.0.0 Ok\r\n250 2.0.0 Ok once more")),
    "it says goodbye unasked": lambda: Script(after_final=_once("250 2.0.0 Ok\r\n421 4.4.2 Idle for too long")),
}


def _both(*scripts: Script) -> Callable[[str, str], str | None]:
    return lambda verb, line: next((reply for script in scripts if (reply := script.command(verb, line)) is not None), None)


def _once(reply: str) -> Callable[[ReceivedMail], str | None]:
    left = [reply]
    return lambda _mail: left.pop() if left else None


@pytest.mark.parametrize("case", KEPT)
async def test_a_kept_connection_that_is_of_no_use_is_replaced_and_no_message_blamed(engine: Engine, case: str) -> None:
    server = await engine.domain("kept.test", KEPT[case]())
    await engine.first_attempt("first@kept.test")
    second = await engine.send("second@kept.test")
    assert (await engine.wait_for(second)).type is EventType.DELIVERED
    assert await engine.types(second) == ["queued", "sent", "delivered"]
    assert (server.connections, server.mails[-1].connection) == (2, 2)


async def test_a_connection_at_which_the_server_speaks_unasked_is_not_used_again(engine: Engine) -> None:
    heard: list[list[bytes]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(lines := [])
        writer.write(b"220 mx\r\n")
        while line := await reader.readline():
            lines.append(line)
            if line == b"DATA\r\n":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 ok\r\n")
            if line == b"DATA\r\n":
                await asyncio.sleep(1)
                writer.write(b"250 surplus\r\n")

    await engine.talking("chatty.test", talk)
    for name in ("first", "second"):
        assert (await engine.first_attempt(f"{name}@chatty.test")).type is EventType.DELIVERED
        await asyncio.sleep(2)
    assert [sum(line.startswith(b"MAIL") for line in lines) for lines in heard] == [1, 1]
