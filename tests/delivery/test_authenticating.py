"""Logging in at a smart host, and never where the password is not safe."""

from dataclasses import replace

import pytest

from sendryd.policy.replies.verdict import NetworkFailure
from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, OPPORTUNISTIC
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step

from .scripted import IN_TLS, OFFER, TARGET, fault_of, start, talk

pytestmark = pytest.mark.virtual_time

LOGIN = replace(TARGET, tls=ENCRYPTED, credentials=("user", "key"))


@pytest.mark.parametrize(
    ("mechanisms", "answers", "said"),
    [
        ("LOGIN PLAIN", {"AUTH": "235 yes"}, ["AUTH PLAIN AHVzZXIAa2V5"]),
        ("LOGIN", {"AUTH": "334 a", "dXNlcg==": "334 b", "a2V5": "235 yes"}, ["AUTH LOGIN", "dXNlcg==", "a2V5"]),
    ],
)
async def test_login_uses_an_offered_mechanism(mechanisms: str, answers: dict[str, str | list[str]], said: list[str]) -> None:
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
