"""Delivery by the real program: what receiving servers and DNS do, and what becomes of the message."""

import smtplib
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import dkim
import pytest

from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
SCHEDULE = {"SENDRYD_RETRY_SCHEDULE": "200ms,300ms,500ms"}


@pytest.fixture(scope="module")
def quick_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Retries within a second."""
    with World(tmp_path_factory.mktemp("quick"), env=SCHEDULE) as made:
        yield made


@pytest.fixture(autouse=True)
def friendly_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """A receiving server that was scripted by one test is friendly to the next."""
    yield
    if "quick_world" in request.fixturenames:
        request.getfixturevalue("quick_world").mailhost.script = Script()


def submit(world: World, *recipients: str, content: str = "", sender: str = AUTHOR, key: str | None = None) -> str:
    """Sends one message; gives its id."""
    host, port = world.relay.smtp
    with smtplib.SMTP(host, port, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", key or world.live_key)
        smtp.mail(sender)
        for recipient in recipients:
            code, reply = smtp.rcpt(recipient)
            assert code == 250, reply
        code, reply = smtp.data((content or f"From: {AUTHOR}\r\nTo: {recipients[0]}\r\nSubject: s\r\n\r\nbody\r\n").encode())
        assert code == 250, reply
        return reply.decode().rpartition(" ")[2]


def events(world: World, message_id: str) -> list[dict[str, Any]]:
    """Its events, oldest first."""
    status, body = world.relay.get(f"/v1/emails/{message_id}/events?limit=100", world.live_key)
    assert status == 200
    return list(reversed(body["data"]))


def types(world: World, message_id: str, recipient: str | None = None) -> list[str]:
    return [event["type"] for event in events(world, message_id) if recipient in {None, event["recipient"]}]


def test_greylisted_then_accepted(quick_world: World) -> None:
    tries: list[str] = []

    def greylist(address: str) -> str | None:
        tries.append(address)
        return "451 4.7.1 Greylisted, try again" if len(tries) == 1 else None

    quick_world.mailhost.script = Script(rcpt=greylist)
    message_id = submit(quick_world, "grey@example.org")
    email = quick_world.relay.wait_for_status(message_id, {"delivered"}, key=quick_world.live_key)
    assert email["sent_at"]
    assert types(quick_world, message_id) == ["queued", "deferred", "sent", "delivered"]
    deferred = events(quick_world, message_id)[1]["metadata"]
    assert (deferred["code"], deferred["category"], deferred["attempt"]) == (451, "greylisted", 1)
    assert deferred["retry_at"] > events(quick_world, message_id)[1]["created_at"]


def test_each_recipient_has_a_fate_of_its_own(quick_world: World) -> None:
    def answer(address: str) -> str | None:
        return {"gone@example.org": "550 5.1.1 No such user", "full@example.org": "452 4.2.2 Mailbox full"}.get(address)

    quick_world.mailhost.script = Script(rcpt=answer)
    message_id = submit(quick_world, "good@example.org", "gone@example.org", "full@example.org")
    quick_world.wait_until(lambda: types(quick_world, message_id).count("deferred") >= 2)
    assert types(quick_world, message_id, "good@example.org") == ["queued", "sent", "delivered"]
    bounced = next(event for event in events(quick_world, message_id) if event["type"] == "bounced")
    assert bounced["recipient"] == "gone@example.org"
    assert (bounced["metadata"]["enhanced_code"], bounced["metadata"]["bounce_type"]) == ("5.1.1", "hard")
    quick_world.mailhost.script = Script()
    email = quick_world.relay.wait_for_status(message_id, {"delivered"}, key=quick_world.live_key)
    assert email["status"] == "delivered"
    mark = f"id {message_id}".encode()
    copies = [mail.recipients for mail in quick_world.mailhost.mails if mark in mail.content]
    assert copies == [["good@example.org"], ["full@example.org"]]


@pytest.mark.parametrize(
    ("domain", "records", "reason"),
    [
        ("nullmx.test", {"MX": ["0 ."]}, "5.1.10"),
        ("missing.test", {}, "5.1.2"),
        ("loop.test", {"MX": ["10 relay.example.test."]}, "5.4.6"),
    ],
)
def test_domains_that_take_no_mail(quick_world: World, domain: str, records: dict[str, list[str]], reason: str) -> None:
    for kind, values in records.items():
        quick_world.nameserver.set(domain, kind, *values)
    message_id = submit(quick_world, f"user@{domain}")
    quick_world.relay.wait_for_status(message_id, {"bounced"}, key=quick_world.live_key)
    assert events(quick_world, message_id)[-1]["metadata"]["enhanced_code"] == reason


def test_a_domain_without_mx_is_its_own_mail_server(quick_world: World) -> None:
    quick_world.nameserver.set("implicit.test", "A", "127.0.0.1")
    message_id = submit(quick_world, "user@implicit.test")
    quick_world.relay.wait_for_status(message_id, {"delivered"}, key=quick_world.live_key)


def test_dns_that_fails_defers(quick_world: World) -> None:
    quick_world.nameserver.servfail.add("flaky.test")
    message_id = submit(quick_world, "user@flaky.test")
    quick_world.wait_until(lambda: "deferred" in types(quick_world, message_id))
    assert events(quick_world, message_id)[1]["metadata"]["category"] == "dns_failure"
    # An attempt under way is left alone, and there is one every fraction of a second.
    quick_world.wait_until(lambda: quick_world.relay.json("queue", "cancel", message_id)["count"] == 1)
    assert quick_world.relay.wait_for_status(message_id, {"cancelled"}, key=quick_world.live_key)


def test_a_dead_mail_server_is_followed_by_the_next(quick_world: World) -> None:
    quick_world.nameserver.set("two.test", "MX", "10 dead.two.test.", "20 mx.example.org.")
    quick_world.nameserver.set("dead.two.test", "A", "127.0.0.2")
    message_id = submit(quick_world, "user@two.test")
    quick_world.relay.wait_for_status(message_id, {"delivered"}, key=quick_world.live_key)
    assert events(quick_world, message_id)[-1]["metadata"]["host"] == "mx.example.org"


def test_broken_tls_is_followed_by_clear_text(tmp_path: Any) -> None:
    with World(tmp_path, env=SCHEDULE, script=Script(handshake=lambda _number: "garbage")) as world:
        message_id = submit(world, "user@example.org")
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        assert not world.mailhost.mails[0].tls
        assert events(world, message_id)[-1]["metadata"]["tls"] is None
        world.relay.run("domains", "set", SENDING_DOMAIN, "tls_policy=enforced")
        world.wait_for_config_change()
        world.mailhost.script = Script(handshake=lambda _number: "drop")
        enforced = submit(world, "user@example.org")
        world.wait_until(lambda: "deferred" in types(world, enforced))
        assert len(world.mailhost.mails) == 1


@pytest.mark.parametrize("behaviour", ["drop", "550 5.7.1 Spam", "451 4.3.0 Later"])
def test_what_a_server_does_at_the_end_of_the_content(quick_world: World, behaviour: str) -> None:
    seen: list[int] = []

    def final(_mail: object) -> str | None:
        seen.append(1)
        return behaviour if len(seen) == 1 else None

    quick_world.mailhost.script = Script(final=final)
    message_id = submit(quick_world, "user@example.org")
    wanted = "bounced" if behaviour.startswith("5") else "delivered"
    quick_world.relay.wait_for_status(message_id, {wanted}, key=quick_world.live_key)
    found = events(quick_world, message_id)
    assert found[-1]["metadata"].get("possibly_duplicate", False) is (behaviour == "drop")
    if behaviour == "drop":
        assert "may have been delivered" in found[1]["metadata"]["reason"]


def test_a_message_without_end_expires(tmp_path: Any) -> None:
    env = {**SCHEDULE, "SENDRYD_MAX_QUEUE_AGE": "1s"}
    with World(tmp_path, env=env, script=Script(rcpt=lambda _address: "450 4.2.0 Never now")) as world:
        message_id = submit(world, "user@example.org")
        world.relay.wait_for_status(message_id, {"failed"}, key=world.live_key)
        last = events(world, message_id)[-1]
        assert (last["type"], last["metadata"]["reason"]) == ("failed", "expired")


def test_private_addresses_are_not_connected_to(tmp_path: Any) -> None:
    with World(tmp_path, env={"SENDRYD_ALLOW_PRIVATE_NETWORKS": "false"}) as world:
        message_id = submit(world, "user@example.org")
        world.relay.wait_for_status(message_id, {"bounced"}, key=world.live_key)
        assert world.mailhost.connections == 0


def test_everything_goes_to_a_smart_host(tmp_path: Any) -> None:
    made = World(tmp_path)
    made.relay.env["SENDRYD_SMARTHOST"] = f"smtp+notls://127.0.0.1:{made.mailhost.port}"
    with made as world:
        message_id = submit(world, "a@one.invalid", "b@two.invalid")
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        assert sorted(address for mail in world.mailhost.mails for address in mail.recipients) == ["a@one.invalid", "b@two.invalid"]
        assert not any(mail.tls for mail in world.mailhost.mails)


def test_an_attempt_under_way_is_left_alone_by_the_operator(quick_world: World) -> None:
    taken, go_on = threading.Event(), threading.Event()

    def final(_mail: object) -> None:
        taken.set()
        go_on.wait(30)

    quick_world.mailhost.script = Script(final=final)
    before = len(quick_world.mailhost.mails)
    message_id = submit(quick_world, "user@example.org")
    assert taken.wait(30)
    try:
        for command in ("cancel", "hold", "retry", "release"):
            done = quick_world.relay.run("queue", command, message_id, "--json", check=False)
            assert b'"count": 0' in done.stdout or done.returncode == 1, (command, done)
    finally:
        go_on.set()
    quick_world.relay.wait_for_status(message_id, {"delivered"}, key=quick_world.live_key)
    assert types(quick_world, message_id) == ["queued", "sent", "delivered"]
    assert len(quick_world.mailhost.mails) == before + 1


RICH = (
    f"From: Acme <{AUTHOR}>\r\nReply-To: one@example.test\r\nReply-To: two@example.test\r\nTo: user@example.org\r\nBcc: secret@example.org\r\n"
    "Subject: =?utf-8?q?=C3=9C?=\r\nX-Custom:  kept   as it is\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="m"\r\n\r\npreamble\r\n'
    '--m\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n--r\r\nContent-Type: text/html; charset=utf-8\r\n'
    "Content-Transfer-Encoding: 8bit\r\n\r\n<p>gr\u00fc\u00dfe <img src=cid:logo></p>\r\n"
    "--r\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--r--\r\n"
    "--m\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    '--m\r\nContent-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n\r\nsigned  text \r\n.\r\n..\r\n--s\r\n'
    "Content-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n--m--\r\nepilogue\r\n"
)


def test_a_rich_message_arrives_as_it_was_sent(quick_world: World) -> None:
    quick_world.nameserver.set("implicit.test", "A", "127.0.0.1")
    message_id = submit(quick_world, "user@example.org", "hidden@example.org", "user@implicit.test", content=RICH)
    quick_world.relay.wait_for_status(message_id, {"delivered"}, key=quick_world.live_key)
    mark = f"id {message_id}".encode()
    quick_world.wait_until(lambda: sum(mark in mail.content for mail in quick_world.mailhost.mails) == 2)
    copies = [mail for mail in quick_world.mailhost.mails if mark in mail.content]
    assert sorted(address for mail in copies for address in mail.recipients) == [
        "hidden@example.org",
        "user@example.org",
        "user@implicit.test",
    ]
    sent = RICH.encode()
    for mail in copies:
        assert mail.content.partition(b"\r\n\r\n")[2] == sent.partition(b"\r\n\r\n")[2]
        header = mail.content.partition(b"\r\n\r\n")[0]
        assert b"secret@example.org" not in mail.content
        assert b"hidden@example.org" not in mail.content
        assert b"\r\nX-Custom:  kept   as it is\r\n" in header
        assert header.count(b"\r\nReply-To:") == 2
        assert "BODY=8BITMIME" in mail.mail_params
        quick_world.check_signature(mail.content)
        assert dkim.verify(mail.content, dnsfunc=lambda name, **_: (quick_world.published(name.decode()) or "").encode())
        assert b"\r\nReceived: from " in header


def test_8_bit_content_for_a_server_without_8bitmime(tmp_path: Any) -> None:
    with World(tmp_path) as world:
        world.mailhost.extensions = ("PIPELINING",)
        content = f"From: {AUTHOR}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ngr\u00fc\u00dfe\r\n"
        message_id = submit(world, "user@example.org", content=content)
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        mail = world.mailhost.mails[0]
        assert mail.content.isascii()
        assert world.decoded(mail.content) == "gr\u00fc\u00dfe\r\n".encode()
        world.check_signature(mail.content)
        utf8 = submit(world, "user@example.org", content=f"From: {AUTHOR}\r\nSubject: gr\u00fc\u00dfe\r\n\r\nx\r\n")
        world.relay.wait_for_status(utf8, {"delivered"}, key=world.live_key)
        assert b"\r\nSubject: =?utf-8?" in world.mailhost.mails[1].content
        world.check_signature(world.mailhost.mails[1].content)
        address = submit(world, "user@example.org", content=f"From: {AUTHOR}\r\nCc: gr\u00fc\u00dfe@example.org\r\n\r\nx\r\n")
        world.relay.wait_for_status(address, {"bounced"}, key=world.live_key)
        assert events(world, address)[-1]["metadata"]["enhanced_code"] == "5.6.7"


def test_a_test_key_never_reaches_a_mail_server(quick_world: World) -> None:
    before = quick_world.mailhost.connections
    content = "From: Anyone <anyone@anywhere.test>\r\nTo: user@example.org\r\nSubject: captured\r\n\r\nbody\r\n"
    message_id = submit(quick_world, "user@example.org", content=content, sender="x@anywhere.test", key=quick_world.test_key)
    status, inbox = quick_world.relay.get("/v1/test-emails", quick_world.test_key)
    assert status == 200
    assert [each["id"] for each in inbox["data"]] == ["te" + message_id[2:]]
    status, email = quick_world.relay.get(f"/v1/test-emails/{message_id}", quick_world.live_key)
    assert (email["from"], email["text"], email["html"]) == ("Anyone <anyone@anywhere.test>", "body\r\n", None)
    status, email = quick_world.relay.get(f"/v1/emails/{message_id}", quick_world.test_key)
    assert email["status"] == "delivered"
    assert quick_world.relay.get(f"/v1/emails/{message_id}", quick_world.live_key)[0] == 404
    delivered = submit(quick_world, "after@example.org")
    quick_world.relay.wait_for_status(delivered, {"delivered"}, key=quick_world.live_key)
    assert not any(b"captured" in mail.content for mail in quick_world.mailhost.mails)
    assert before <= quick_world.mailhost.connections


def test_one_dead_destination_does_not_hold_up_the_others(quick_world: World) -> None:
    quick_world.nameserver.set("dead.test", "MX", "10 dead.two.test.")
    quick_world.nameserver.set("dead.two.test", "A", "127.0.0.2")
    dead = [submit(quick_world, f"user{number}@dead.test") for number in range(12)]
    good = submit(quick_world, "user@example.org")
    quick_world.relay.wait_for_status(good, {"delivered"}, key=quick_world.live_key)
    quick_world.wait_until(lambda: quick_world.relay.json("queue", "list", "--domain", "dead.test")["data"] != [])
    quick_world.relay.run("queue", "hold", "--domain", "dead.test")
    quick_world.wait_until(lambda: len(quick_world.relay.json("queue", "list", "--domain", "dead.test", "--state", "held")["data"]) > 0)
    shown = quick_world.relay.json("queue", "show", dead[0])
    assert shown["data"][0]["domain"] == "dead.test"
    quick_world.relay.run("queue", "release", "--domain", "dead.test")
    quick_world.relay.run("queue", "cancel", "--domain", "dead.test")


def test_clear_text_behind_the_go_ahead_is_never_taken_for_an_answer(tmp_path: Any) -> None:
    script = Script(inject_after_starttls=b"250-evil\r\n250 AUTH PLAIN\r\n")
    with World(tmp_path, env=SCHEDULE, script=script) as world:
        message_id = submit(world, "user@example.org")
        world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)
        assert not world.mailhost.mails[0].tls
