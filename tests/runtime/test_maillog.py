"""The mail log: which lines are written, and what never is in them."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.log import LogOutput, LogStream
from sendryd.runtime.maillog import MailLog
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import Samples

KEY = "sn_live_abcDEF0123456789abcDEF0123456789abcDEF01234"


class Written:
    """A mail log whose lines can be read back."""

    def __init__(self, level: int = logging.INFO) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.mail_log = MailLog(ManualClock())
        self.mail_log.send_to(LogOutput(LogStream(self.write_end), is_json=True, level=level))

    async def lines(self) -> list[dict[str, Any]]:
        await asyncio.sleep(0)  # the turn at whose end lines are written
        try:
            return [json.loads(line) for line in os.read(self.read_end, 1 << 20).splitlines()]
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.write_end)


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    yield made
    made.close()


async def test_an_acceptance_is_a_line_with_public_ids(written: Written) -> None:
    message = Samples().message().message
    written.mail_log.accepted(message, recipients=3, client="192.0.2.7", tls="TLSv1.3", door="smtp")
    (line,) = await written.lines()
    assert line["event"] == "accepted"
    assert line["id"].startswith("em_")
    assert line["key"].startswith("key_")
    assert (line["recipients"], line["client"], line["tls"], line["door"]) == (3, "192.0.2.7", "TLSv1.3", "smtp")
    assert line["size"] == message.size
    assert message.subject not in json.dumps(line)


@pytest.mark.parametrize(
    ("author", "domain"),
    [
        ("hello@Example.TEST", "example.test"),
        ("Hello <hello@example.test>", "example.test"),
        ('"a@evil.test" <hello@example.test>', "example.test"),
        ("hello@example.test (a comment)", "example.test"),
        ("hello@bücher.test", "xn--bcher-kva.test"),
        ("nothing", None),
    ],
)
async def test_the_domain_is_that_of_the_header_from(written: Written, author: str, domain: str | None) -> None:
    message = replace(Samples().message().message, author=author)
    written.mail_log.accepted(message, recipients=1, client="", tls=None, door="rest")
    (line,) = await written.lines()
    assert line["domain"] == domain


async def test_a_refusal_has_the_reply_of_its_door(written: Written) -> None:
    refusal = Refusal(RefusalKey.DOMAIN_NOT_VERIFIED, "example.org")
    written.mail_log.refused(refusal, door="smtp", client="192.0.2.7", key="key_1")
    written.mail_log.refused(refusal, door="rest", client="192.0.2.7")
    smtp, rest = await written.lines()
    assert (smtp["event"], smtp["code"], smtp["enhanced"], smtp["reason"], smtp["key"]) == (
        "refused",
        550,
        "5.7.1",
        "domain_not_verified",
        "key_1",
    )
    assert smtp["reply"].startswith("550 5.7.1 The domain example.org")
    assert (rest["code"], rest["reply"]) == (403, refusal.sentence)


async def test_a_line_of_an_outcome_has_all_its_fields(written: Written) -> None:
    written.mail_log.outcome("suppressed", Samples().message().message, "a@example.org", {"reply": "suppressed"})
    (line,) = await written.lines()
    assert line["reply"] == "suppressed"
    absent = ("relay", "tls", "attempt", "delay", "delays", "code", "enhanced", "next_attempt_at")
    assert [line[name] for name in absent] == [None] * len(absent)


async def test_no_secret_and_no_line_break_gets_into_a_line(written: Written) -> None:
    reply = Reply(550, f"who is {KEY}\x1b[2J", EnhancedStatusCode(5, 1, 1))
    written.mail_log.refused(reply, door="smtp", client=None, command="RCPT TO:<a\r\nb\udce9>")
    (line,) = await written.lines()
    assert "abcDEF" not in json.dumps(line)
    assert line["command"] == "RCPT TO:<a\r\nb\udce9>"


async def test_many_lines_of_one_turn_stay_whole_lines(written: Written) -> None:
    message = Samples().message().message
    for number in range(100):
        written.mail_log.outcome("delivered", message, f"user{number}@example.org", {"relay": "mx"})
    lines = await written.lines()
    assert [line["recipient"] for line in lines] == [f"user{number}@example.org" for number in range(100)]


async def test_a_level_above_info_silences_it() -> None:
    made = Written(level=logging.WARNING)
    made.mail_log.accepted(Samples().message().message, recipients=1, client="", tls=None, door="rest")
    assert await made.lines() == []
    made.close()
