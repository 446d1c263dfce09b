"""One connection to a scripted server, in memory: encryption, logging in, transactions one after the other, and how each of them breaks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.sending import SLICE, OutboundContent
from sendryd.delivery.target import Target
from sendryd.delivery.transport import Connection
from sendryd.policy.replies.verdict import NetworkFailure
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, IMPLICIT, OPPORTUNISTIC, TlsaRecord, TlsMode, TlsRequirement, TlsTrouble, enforced
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.memory import MemoryStream, memory_streams
from sendryd.runtime.tls import client_context, weak_client_context
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS, Step
from sendryd.smtp.transaction import OutboundEnvelope

CONTEXTS = TlsContexts(verified=partial(client_context, verify=True), unverified=client_context(verify=False), weak=weak_client_context())
TARGET = Target(host="mx.example.org", address="192.88.98.1", port=25, tls=OPPORTUNISTIC)
VERIFIED = enforced("mx.example.org")
LOGIN = replace(TARGET, tls=ENCRYPTED, credentials=("user", "key"))
CONTENT = OutboundContent((b"DKIM-Signature: x\r\n", b"From: a@example.test\r\n\r\n.dot\r\n"))
ENVELOPE = OutboundEnvelope(reverse_path="a@example.test", forward_paths=("b@example.org", "c@example.org"), size=CONTENT.size)
PATIENCE = dict.fromkeys(CLIENT_TIMEOUTS, 5.0)
OFFER = "250-mx\r\n250-PIPELINING\r\n250 STARTTLS"
IN_TLS = "250-mx\r\n250-PIPELINING\r\n250 AUTH {}"


class Server:
    """Answers commands by what they begin with, the longest first; "" says nothing, "drop" closes. Lists are used up one by one."""

    def __init__(self, stream: MemoryStream, answers: dict[str, str | list[str]]) -> None:
        self.stream = stream
        self.said: list[str] = []
        self.contents: list[bytes] = []
        self._answers: dict[str, str | list[str]] = {
            "greeting": "220 mx", "EHLO": OFFER, "HELO": "250 mx", "STARTTLS": "220 go", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go",
            ".": "250 2.0.0 taken", "RSET": "250 ok", "QUIT": "221 bye", **answers,
        }  # fmt: skip

    def _answer_to(self, line: str) -> str:
        name = max((name for name in self._answers if line.startswith(name)), key=len, default="")
        answer = self._answers.get(name, "500 what?")
        return answer if isinstance(answer, str) else answer.pop(0) if len(answer) > 1 else answer[0]

    async def serve(self) -> None:
        self._say(self._answer_to("greeting"))
        buffer = b""
        while data := await self.stream.read(60):
            buffer += data
            while b"\r\n" in buffer:
                line, _, buffer = buffer.partition(b"\r\n")
                self.said.append(line.decode())
                answer = self._answer_to(self.said[-1])
                self._say(answer)
                if line == b"DATA" and answer.startswith("354"):
                    while not (b"\r\n" + buffer).startswith(b"\r\n.\r\n") and b"\r\n.\r\n" not in buffer:
                        buffer += await self.stream.read(60)
                    content, _, buffer = (b"\r\n" + buffer).partition(b"\r\n.\r\n")
                    self.contents.append(content[2:] + b"\r\n" if content else b"")
                    self._say(self._answer_to("."))

    def _say(self, answer: str) -> None:
        if answer == "drop":
            self.stream.abort()
        elif answer:
            self.stream.write(answer.encode() + b"\r\n")


Talk = tuple[Connection, Server]


@asynccontextmanager
async def talk(answers: dict[str, str | list[str]] | None = None, *, target: Target = TARGET, patience: float = 5.0) -> AsyncIterator[Talk]:
    """A connection that has not begun, and its server."""
    near, far = memory_streams()
    server = Server(far, answers or {})
    task = asyncio.create_task(server.serve())
    connection = Connection(near, target, dict.fromkeys(CLIENT_TIMEOUTS, patience), SystemClock())
    yield connection, server
    connection.abort()
    await asyncio.gather(task, return_exceptions=True)


async def fault_of(doing: Awaitable[object]) -> DeliveryFault:
    with pytest.raises(DeliveryFault) as raised:
        await doing
    return raised.value


def start(connection: Connection) -> Awaitable[None]:
    return connection.start("relay.test", CONTEXTS)


async def test_a_session_is_encrypted_where_that_is_offered() -> None:
    async with talk() as (connection, server):
        await start(connection)
        assert server.said == ["EHLO relay.test", "STARTTLS", "EHLO relay.test"]
        assert connection.tls is not None
        assert connection.is_usable
        assert not connection.is_verified
        assert repr(connection).startswith("<Connection mx.example.org [192.88.98.1]:25 TLSv1.3 messages=0 ")


@pytest.mark.parametrize(
    ("rule", "answers", "is_encrypted"),
    [
        (CLEAR_TEXT, {}, False),
        (OPPORTUNISTIC, {"EHLO": "250 mx"}, False),
        (OPPORTUNISTIC, {"STARTTLS": "454 4.7.0 not now"}, False),
        (OPPORTUNISTIC, {"STARTTLS": "220-go\r\n500 no"}, False),
        (ENCRYPTED, {}, True),
        (VERIFIED, {}, True),
    ],
)
async def test_how_much_encryption_there_is(rule: TlsRequirement, answers: dict[str, str | list[str]], *, is_encrypted: bool) -> None:
    async with talk(answers, target=replace(TARGET, tls=rule)) as (connection, _):
        await start(connection)
        assert (connection.tls is not None) is is_encrypted
        assert connection.is_verified is (rule is VERIFIED)


@pytest.mark.parametrize("rule", [ENCRYPTED, VERIFIED])
@pytest.mark.parametrize("answers", [{"EHLO": "250 mx"}, {"STARTTLS": "454 4.7.0 not now"}, {"EHLO": "502 what?"}])
async def test_without_the_encryption_that_is_required_nothing_is_said(rule: TlsRequirement, answers: dict[str, str | list[str]]) -> None:
    async with talk(answers, target=replace(TARGET, tls=rule)) as (connection, server):
        fault = await fault_of(start(connection))
        assert (fault.step, fault.trouble) == (Step.STARTTLS, TlsTrouble.REFUSED)
        assert not any(line.startswith(("MAIL", "AUTH")) for line in server.said)
        assert not connection.is_usable


UNCHECKED = [
    TlsRequirement(mode=TlsMode.REQUIRED, dane=(TlsaRecord(3, 1, 1, b"\0" * 32),)),
    TlsRequirement(mode=TlsMode.REQUIRED, is_pkix=True, names=("mx.example.org", "example.org")),
]


@pytest.mark.parametrize("requirement", UNCHECKED)
async def test_a_certificate_that_cannot_be_checked_as_required_is_not_accepted(requirement: TlsRequirement) -> None:
    async with talk(target=replace(TARGET, tls=requirement)) as (connection, server):
        fault = await fault_of(start(connection))
        assert (fault.failure, fault.trouble) == (NetworkFailure.TLS_FAILURE, None)
        assert server.said[-1] == "STARTTLS"
        assert not connection.is_usable


@pytest.mark.parametrize("answer", ["220 go\r\n250 injected", "220 go\r\n2", "drop"])
async def test_what_comes_in_clear_text_behind_the_go_ahead_is_never_believed(answer: str) -> None:
    async with talk({"STARTTLS": answer}) as (connection, _):
        fault = await fault_of(start(connection))
        assert fault.step is Step.STARTTLS
        assert fault.trouble is not None
        assert not connection.is_usable


async def test_implicit_tls_begins_with_the_first_octet() -> None:
    near, far = memory_streams()
    connection = Connection(near, replace(TARGET, tls=IMPLICIT), PATIENCE, SystemClock())
    opening = asyncio.create_task(connection.start("relay.test", CONTEXTS))
    async with asyncio.timeout(5):
        while near.tls is None:
            await asyncio.sleep(0)
    server = Server(far, {"EHLO": "250 mx"})
    serving = asyncio.create_task(server.serve())
    await opening
    assert server.said == ["EHLO relay.test"]
    connection.abort()
    await asyncio.gather(serving, return_exceptions=True)


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


@pytest.mark.parametrize("silent", [{"greeting": ""}, {"EHLO": ""}, MUTE, {".": ""}])
async def test_silence_has_an_end(silent: dict[str, str | list[str]]) -> None:
    async def whole(connection: Connection) -> None:
        await start(connection)
        await connection.deliver(ENVELOPE, CONTENT)

    async with talk(silent, patience=0.02) as (connection, _):
        fault = await fault_of(whole(connection))
        assert fault.failure is NetworkFailure.TIMEOUT
        assert fault.is_in_doubt is ("." in silent)
        assert not connection.is_usable


# Logging in at a smart host.


@pytest.mark.parametrize(
    ("mechanisms", "answers", "said"),
    [
        ("LOGIN PLAIN", {"AUTH": "235 yes"}, ["AUTH PLAIN AHVzZXIAa2V5"]),
        ("LOGIN", {"AUTH": "334 a", "dXNlcg==": "334 b", "a2V5": "235 yes"}, ["AUTH LOGIN", "dXNlcg==", "a2V5"]),
    ],
)
async def test_a_login_with_what_is_offered(mechanisms: str, answers: dict[str, str | list[str]], said: list[str]) -> None:
    async with talk({"EHLO": [OFFER, IN_TLS.format(mechanisms)], **answers}, target=LOGIN) as (connection, server):
        await start(connection)
        assert server.said[3:] == said
        assert connection.is_usable


@pytest.mark.parametrize(
    ("mechanisms", "answers", "failure"),
    [
        ("PLAIN", {"AUTH": "535 5.7.8 no"}, 535),
        ("LOGIN", {"AUTH": "504 no"}, 504),
        ("LOGIN", {"AUTH": "334 a", "dXNlcg==": "535 no"}, 535),
        ("LOGIN", {"AUTH": "334 a", "dXNlcg==": "334 b", "a2V5": "334 more"}, NetworkFailure.PROTOCOL_ERROR),
        ("PLAIN", {"AUTH": "334 more"}, NetworkFailure.PROTOCOL_ERROR),
        ("CRAM-MD5", {}, NetworkFailure.PROTOCOL_ERROR),
    ],
)
async def test_a_login_that_fails(mechanisms: str, answers: dict[str, str | list[str]], failure: int | NetworkFailure) -> None:
    async with talk({"EHLO": [OFFER, IN_TLS.format(mechanisms)], **answers}, target=LOGIN) as (connection, _):
        fault = await fault_of(start(connection))
        assert (fault.failure.code if isinstance(fault.failure, Reply) else fault.failure) == failure
        assert "a2V5" not in str(fault)


@pytest.mark.parametrize("offers", [IN_TLS.format("PLAIN"), [OFFER, IN_TLS.format("PLAIN")]])
async def test_a_password_goes_over_no_connection_that_is_safe_by_chance(offers: str | list[str]) -> None:
    async with talk({"EHLO": offers, "AUTH": "235 yes"}, target=replace(LOGIN, tls=OPPORTUNISTIC)) as (connection, server):
        fault = await fault_of(start(connection))
        assert (fault.step, fault.failure, fault.trouble) == (Step.AUTH, NetworkFailure.TLS_FAILURE, None)
        assert not any(line.startswith("AUTH") for line in server.said)


async def test_a_password_goes_in_clear_text_where_its_operator_said_so() -> None:
    async with talk({"EHLO": IN_TLS.format("PLAIN"), "AUTH": "235 yes"}, target=replace(LOGIN, tls=CLEAR_TEXT)) as (
        connection,
        server,
    ):
        await start(connection)
        assert server.said[-1].startswith("AUTH PLAIN ")


# Carrying mail.


@asynccontextmanager
async def ready(answers: dict[str, str | list[str]] | None = None) -> AsyncIterator[Talk]:
    async with talk({"EHLO": "250-mx\r\n250 PIPELINING", **(answers or {})}) as (connection, server):
        await start(connection)
        server.said.clear()
        yield connection, server


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


async def test_an_empty_line_after_each_reply_changes_nothing() -> None:
    odd: dict[str, str | list[str]] = dict.fromkeys(("MAIL", "RCPT", "."), "250 ok\r\n")
    for offer in ("250-mx\r\n250 PIPELINING\r\n", "250 mx\r\n"):
        async with ready({"EHLO": offer, **odd, "DATA": "354 go\r\n"}) as (connection, server):
            result = await connection.deliver(ENVELOPE, CONTENT)
            assert {reply.code for reply in result.per_recipient.values()} == {250}
            assert len(server.contents) == 1


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


async def test_a_go_ahead_for_nobody_gets_no_content() -> None:
    async with ready({"RCPT": "550 5.1.1 unknown", ".": "554 nobody"}) as (connection, server):
        result = await connection.deliver(ENVELOPE, CONTENT)
        assert result.failed_at is Step.RCPT
        assert server.contents == [b""]
        assert connection.is_usable


async def test_a_refusal_in_the_middle_of_a_large_content_is_heard() -> None:
    large = OutboundContent((b"From: a@example.test\r\n\r\n", b"x" * 70 + b"\r\n", (b"y" * 70 + b"\r\n") * (3 * SLICE // 72)))
    async with ready({"DATA": "354 go"}) as (connection, server):
        task = asyncio.create_task(connection.deliver(replace(ENVELOPE, size=large.size), large))
        async with asyncio.timeout(5):
            while "DATA" not in server.said:
                await asyncio.sleep(0)
        server.stream.write(b"552 5.3.4 enough\r\n")
        result = await task
        assert {reply.code for reply in result.per_recipient.values()} == {552}
        assert result.failed_at is Step.FINAL_DOT
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
        async with asyncio.timeout(5):
            while not server.said:
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert not connection.is_usable
        assert "closed" in repr(connection)


def test_a_content_is_of_whole_lines_and_stuffed_once() -> None:
    assert CONTENT.stuffed == (b"DKIM-Signature: x\r\nFrom: a@example.test\r\n\r\n..dot\r\n",)
    assert CONTENT.stuffed is CONTENT.stuffed
    assert CONTENT.is_ascii
    assert not OutboundContent(("ü".encode(),)).is_ascii
    assert repr(CONTENT) == "<OutboundContent 2 parts, 49 octets>"
    with pytest.raises(ValueError, match="must end with CR LF"):
        OutboundContent((b"half", b"line\r\n"))
