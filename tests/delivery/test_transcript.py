"""What a transcript has of a session, and what it never has."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sendryd.delivery.transcript import Tracer, Transcript
from sendryd.smtp import client_commands
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.store.base import TraceRequest
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock


def test_passwords_are_stars_in_every_form_of_auth() -> None:
    transcript = Transcript("example.org", "mx[192.0.2.1]:25", ManualClock())
    with capture_logs() as lines:
        transcript.sent(client_commands.auth_plain("user", "hunter2"))
        transcript.sent(client_commands.AUTH_LOGIN)
        transcript.sent(client_commands.auth_answer("hunter2"))
        transcript.sent(client_commands.ehlo("relay.test"))
    assert [line["line"] for line in lines] == ["AUTH PLAIN ***", "AUTH LOGIN ***", "***", "EHLO relay.test"]


def test_a_reply_of_several_lines_is_as_many_lines() -> None:
    transcript = Transcript("example.org", "mx[192.0.2.1]:25", ManualClock())
    with capture_logs() as lines:
        transcript.heard(Reply(250, ("mx", "PIPELINING")))
        transcript.heard(Reply(550, "x" * 5000, EnhancedStatusCode(5, 1, 1)))
    assert [line["line"] for line in lines[:2]] == ["250-mx", "250 PIPELINING"]
    assert (lines[2]["source"], len(lines[2]["line"])) == ("them", 1000)


@pytest.mark.parametrize("domain", ["example.org", "other.test"])
async def test_only_what_was_asked_for_is_traced_and_only_so_often(domain: str) -> None:
    store, clock = MemoryStore(), ManualClock()
    tracer = Tracer(store, clock)
    await store.add_trace(TraceRequest(domain="example.org", sessions=2, until=clock.now() + timedelta(hours=1)))
    assert tracer.begin(domain, "mx") is None
    await tracer.refresh()
    begun = [tracer.begin(domain, "mx") is not None for _ in range(3)]
    assert begun == ([True, True, False] if domain == "example.org" else [False] * 3)
