"""How much TLS a session has, and what ends it before anything is said."""

import asyncio
from dataclasses import replace

import pytest

from sendryd.delivery.transport import Connection
from sendryd.policy.replies.verdict import NetworkFailure
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, IMPLICIT, OPPORTUNISTIC, TlsaRecord, TlsMode, TlsRequirement, TlsTrouble, enforced
from sendryd.runtime.memory import memory_streams
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS, Step
from sendryd.testing.virtualtime import VirtualClock

from .scripted import CONTEXTS, TARGET, Server, fault_of, start, talk

pytestmark = pytest.mark.virtual_time

VERIFIED = enforced("mx.example.org")


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
    TlsRequirement(mode=TlsMode.REQUIRED, is_pkix=True, names=("mx.example.org", "example.org")),
]


@pytest.mark.parametrize("requirement", UNCHECKED)
async def test_a_certificate_that_cannot_be_checked_as_required_is_not_accepted(requirement: TlsRequirement) -> None:
    async with talk(target=replace(TARGET, tls=requirement)) as (connection, server):
        fault = await fault_of(start(connection))
        assert (fault.failure, fault.trouble) == (NetworkFailure.TLS_FAILURE, None)
        assert server.said[-1] == "STARTTLS"
        assert not connection.is_usable


async def test_a_server_whose_key_is_not_in_dns_is_told_nothing() -> None:
    dane = TlsRequirement(mode=TlsMode.REQUIRED, dane=(TlsaRecord(3, 1, 1, b"\0" * 32),))
    async with talk(target=replace(TARGET, tls=dane)) as (connection, server):
        fault = await fault_of(start(connection))
        assert (fault.failure, fault.trouble) == (NetworkFailure.TLS_FAILURE, TlsTrouble.FAILED)
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
    connection = Connection(near, replace(TARGET, tls=IMPLICIT), CLIENT_TIMEOUTS, VirtualClock())
    opening = asyncio.create_task(connection.start("relay.test", CONTEXTS))
    async with asyncio.timeout(60):
        while near.tls is None:
            await asyncio.sleep(0)
    server = Server(far, {"EHLO": "250 mx"})
    serving = asyncio.create_task(server.serve())
    await opening
    assert server.said == ["EHLO relay.test"]
    connection.abort()
    await asyncio.gather(serving, return_exceptions=True)
