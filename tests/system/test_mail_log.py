"""The mail log of the real program: a line for each acceptance, refusal and outcome, to be joined by the id that the 250 said."""

import json
import re
import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
FIELDS = {"id", "recipient", "key", "domain", "size", "relay", "tls", "attempt", "delay", "delays", "code", "enhanced", "reply"}


def answer(address: str) -> str | None:
    return {"gone": "550 5.1.1 No such user", "later": "451 4.7.1 Greylisted, try again"}.get(address.partition("@")[0])


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own: its log is read."""
    with World(tmp_path_factory.mktemp("log"), script=Script(rcpt=answer)) as world:
        yield world


def lines(world: World, **fields: object) -> list[dict[str, Any]]:
    """The lines of the log, so far, that have these fields."""
    text = world.relay.log_path.read_text("utf-8")
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if fields.items() <= line.items()]


def wait_for(world: World, count: int = 1, **fields: object) -> list[dict[str, Any]]:
    world.wait_until(lambda: len(lines(world, **fields)) >= count)
    return lines(world, **fields)


def submit(world: World, *recipients: str, key: str | None = None) -> str:
    """The id that the 250 said."""
    with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", key or world.live_key)
        smtp.mail(AUTHOR)
        for recipient in recipients:
            smtp.rcpt(recipient)
        _, reply = smtp.data(f"From: {AUTHOR}\r\nSubject: a secret subject\r\n\r\na secret body\r\n")
    match = re.search(r"em_\w{13}", reply.decode())
    assert match
    return match[0]


def test_what_became_of_each_recipient_is_a_line(logged: World) -> None:
    number = submit(logged, "user@example.org", "gone@example.org", "later@example.org")
    (accepted,) = wait_for(logged, event="accepted", id=number)
    assert (accepted["recipients"], accepted["door"], accepted["client"], accepted["domain"]) == (3, "smtp", "127.0.0.1", SENDING_DOMAIN)
    assert accepted["tls"] == "TLSv1.3"
    assert accepted["key"].startswith("key_")
    (delivered,) = wait_for(logged, event="delivered", id=number)
    (bounced,) = wait_for(logged, event="bounced", id=number)
    (deferred,) = wait_for(logged, event="deferred", id=number)
    assert [each["recipient"].partition("@")[0] for each in (delivered, bounced, deferred)] == ["user", "gone", "later"]
    for line, code, enhanced in ((delivered, 250, "2.0.0"), (bounced, 550, "5.1.1"), (deferred, 451, "4.7.1")):
        assert line.keys() >= FIELDS
        assert (line["code"], line["enhanced"], line["attempt"], line["key"]) == (code, enhanced, 1, accepted["key"])
        assert re.fullmatch(r"mx\.example\.org\.?\[127\.0\.0\.1\]:\d+", line["relay"])
        assert line["tls"] == "TLSv1.3"
        assert len(line["delays"]) == 4
        assert sum(line["delays"]) == pytest.approx(line["delay"], abs=0.05)
    assert "next_attempt_at" in deferred
    assert "No such user" in bounced["reply"]
    assert "secret" not in logged.relay.log_path.read_text("utf-8")


def test_rest_test_mode_and_what_never_is_tried_are_lines_too(logged: World) -> None:
    rest = RestClient(logged.relay, logged.live_key)
    number = rest.post("/v1/emails", {"from": AUTHOR, "to": "user@example.org", "subject": "s", "text": "t"})["id"]
    (accepted,) = wait_for(logged, event="accepted", id=number)
    assert (accepted["door"], accepted["recipients"]) == ("rest", 1)
    wait_for(logged, event="delivered", id=number)
    number = submit(logged, "user@example.org", key=logged.test_key)
    assert wait_for(logged, event="delivered", id=number)[0]["relay"] == "test inbox"
    logged.relay.run("suppressions", "add", "stop@example.org")
    logged.wait_for_config_change()
    number = submit(logged, "stop@example.org")
    assert wait_for(logged, event="suppressed", id=number)[0]["recipient"] == "stop@example.org"


def test_what_an_operator_cancels_is_a_line_of_the_server(logged: World) -> None:
    number = submit(logged, "later@example.org")
    wait_for(logged, event="deferred", id=number)
    logged.relay.run("queue", "cancel", number)
    assert wait_for(logged, event="cancelled", id=number)[0]["recipient"] == "later@example.org"


def test_refusals_at_the_door_are_lines(logged: World) -> None:
    with smtplib.SMTP(*logged.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(logged.relay.cert)))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login("sendry", "sn_live_" + "x" * 43)
        smtp.login("sendry", logged.live_key)
        assert smtp.mail("hello@elsewhere.test")[0] == 550
        smtp.mail(AUTHOR)
        assert smtp.rcpt("nobody@[127.0.0.1]")[0] in {501, 553}
        smtp.rcpt("user@example.org")
        assert smtp.data("From: a@elsewhere.test\r\n\r\nx\r\n")[0] == 550
    login, *_ = wait_for(logged, event="refused", code=535, door="smtp")
    assert login["client"] == "127.0.0.1"
    sender, author = wait_for(logged, 2, event="refused", reason="domain_not_verified", door="smtp")
    assert "elsewhere.test" in sender["reply"]
    assert (author["recipients"], author["door"]) == (1, "smtp")
    assert [line for line in lines(logged, event="refused") if "127.0.0.1" in line.get("command", "")]
    assert "x" * 43 not in logged.relay.log_path.read_text("utf-8")


@pytest.mark.parametrize(
    ("body", "reason", "code"),
    [
        ({"from": AUTHOR, "to": "nobody", "subject": "Secret", "text": "Hi"}, "validation_error", 422),
        ({"from": AUTHOR, "to": "user@example.org", "subject": "Secret"}, "validation_error", 422),
        (b"{", "bad_request", 400),
        ({"from": "a@elsewhere.test", "to": "user@example.org", "subject": "Secret", "text": "Hi"}, "domain_not_verified", 403),
    ],
)
def test_a_request_for_mail_that_is_refused_is_one_line(logged: World, body: Any, reason: str, code: int) -> None:
    before = len(lines(logged, event="refused", door="rest"))
    assert RestClient(logged.relay, logged.live_key).request("POST", "/v1/emails", body).status == code
    wait_for(logged, before + 1, event="refused", door="rest")
    (line,) = lines(logged, event="refused", door="rest")[before:]
    assert (line["reason"], line["code"]) == (reason, code)
    assert line["key"].startswith("key_")
    assert "Secret" not in json.dumps(line)


def test_a_traced_session_is_written_down_without_content_or_password(logged: World) -> None:
    logged.relay.run("queue", "trace", "Example.ORG", "--sessions", "1")
    logged.wait_for_config_change()
    logged.wait_for_config_change()
    number = submit(logged, "user@example.org")
    wait_for(logged, event="delivered", id=number)
    said = lines(logged, event="transcript", domain="example.org")
    assert {line["source"] for line in said} == {"us", "them"}
    text = [line["line"] for line in said]
    mail = next(position for position, line in enumerate(text) if line.startswith("MAIL FROM:<"))
    assert text[mail + 1 : mail + 3] == ["RCPT TO:<user@example.org>", "DATA"]
    assert any(line.startswith("354") for line in text)
    assert text[-1].startswith("250 2.0.0 Ok: taken") or "250 2.0.0 Ok: taken" in text
    assert not any("secret" in line for line in text)
    assert [line["ms"] for line in said] == sorted(line["ms"] for line in said)
    again = submit(logged, "user@example.org")
    wait_for(logged, event="delivered", id=again)
    assert [line["line"] for line in lines(logged, event="transcript") if line["line"].startswith("MAIL")] == [text[mail]]


def test_a_level_above_info_has_no_such_lines(tmp_path: Path) -> None:
    with World(tmp_path, env={"SENDRYD_LOG_LEVEL": "warning"}) as world:
        number = submit(world, "user@example.org")
        world.relay.wait_for_status(number, {"delivered"}, key=world.live_key)
        assert lines(world, id=number) == []
