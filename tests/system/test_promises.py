"""What the operator's interface promises of messages, seen through the real program: words, suppression, the two modes, proof of domains."""

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.mailhost import Script
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
TYPES = {
    "queued",
    "sent",
    "delivered",
    "deferred",
    "bounced",
    "failed",
    "suppressed",
    "cancelled",
    "opened",
    "clicked",
    "complained",
    "unsubscribed",
}


@pytest.fixture
def friendly(world: World) -> Iterator[World]:
    """The world, whose receiving server is friendly again afterwards."""
    yield world
    world.mailhost.script = Script()


def scripted(replies: Mapping[str, str]) -> Script:
    """A receiving server with a reply to each of these names before the @."""
    return Script(rcpt=lambda path: replies.get(path.strip("<>").partition("@")[0]))


def submit(world: World, *recipients: str, key: str | None = None, author: str = AUTHOR) -> str:
    """Sends one message; gives its id."""
    with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.login("sendry", key or world.live_key)
        smtp.mail(author)
        for recipient in recipients:
            assert smtp.rcpt(recipient)[0] == 250
        code, reply = smtp.data(f"From: {author}\r\nSubject: s\r\n\r\nbody\r\n")
        assert code == 250, reply
        return reply.decode().rpartition(" ")[2]


def get(world: World, path: str, key: str | None = None) -> Any:
    status, body = world.relay.get(path, key or world.live_key)
    assert status == 200, body
    return body


def types(world: World, message_id: str, recipient: str) -> list[str]:
    """What became of a recipient, oldest first."""
    events = get(world, f"/v1/emails/{message_id}/events?limit=100")["data"]
    assert all(set(event) == {"id", "email_id", "type", "recipient", "metadata", "created_at"} for event in events)
    assert {event["type"] for event in events} <= TYPES
    return [event["type"] for event in reversed(events) if event["recipient"] == recipient]


def suppressed(world: World) -> dict[str, str]:
    return {each["email"]: each["reason"] for each in world.relay.json("suppressions", "list")["data"]}


def test_an_address_is_suppressed_for_its_own_fault_alone_until_that_is_lifted(friendly: World) -> None:
    world = friendly
    own = {"unknown": "550 5.1.1 No such user here", "disabled": "550 5.2.1 Mailbox disabled, not accepting messages"}
    ours = {
        "policy": "550 5.7.1 Message rejected due to local policy",
        "spam": "554 5.7.1 This message looks like spam",
        "listed": "550 5.7.1 Your address is listed by zen.example.net",
        "unsigned": "550 5.7.26 Unauthenticated mail is not accepted",
        "plain": "550 5.7.10 Encryption needed",
    }
    world.mailhost.script = scripted(own | ours)
    names = [*own, *ours, "taken"]
    message_id = submit(world, *(f"{name}@example.org" for name in names))
    assert world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)["status"] == "delivered"  # one took it
    for name in own | ours:
        assert types(world, message_id, f"{name}@example.org") == ["queued", "bounced"], name
    assert types(world, message_id, "taken@example.org") == ["queued", "sent", "delivered"]
    addresses = {f"{name}@example.org" for name in names}  # other tests share the world
    found = {email: reason for email, reason in suppressed(world).items() if email in addresses}
    assert found == {f"{name}@example.org": "hard_bounce" for name in own}

    world.mailhost.script = Script()
    again = submit(world, "unknown@example.org", "disabled@example.org")
    assert world.relay.wait_for_status(again, {"failed"}, key=world.live_key)["status"] == "failed"  # nothing could be tried
    assert types(world, again, "unknown@example.org") == ["queued", "suppressed"]
    said = [each["explanation"] for each in world.relay.json("queue", "show", again)["data"]]
    assert [sentence.endswith(", after a hard bounce.") for sentence in said] == [True, True], said

    for name in own:
        world.relay.run("suppressions", "remove", f"{name}@example.org")
    world.wait_for_config_change()
    at_last = submit(world, "unknown@example.org")
    world.relay.wait_for_status(at_last, {"delivered"}, key=world.live_key)


def test_the_words_for_where_a_message_is(friendly: World) -> None:
    world = friendly
    world.mailhost.script = scripted({"full": "452 4.2.2 Mailbox full", "gone": "550 5.7.1 No"})

    bounced = submit(world, "gone@example.org")
    body = world.relay.wait_for_status(bounced, {"bounced"}, key=world.live_key)
    assert body["sent_at"] is None

    waiting = submit(world, "full@example.org", "fine@example.org", "gone@example.org")
    world.wait_until(lambda: types(world, waiting, "full@example.org") == ["queued", "deferred"])
    world.wait_until(lambda: types(world, waiting, "fine@example.org") == ["queued", "sent", "delivered"])
    body = get(world, f"/v1/emails/{waiting}")
    assert body["status"] == "sending"  # a recipient waits after an attempt
    assert body["sent_at"] is not None  # the first that took it
    world.relay.run("queue", "cancel", waiting)
    body = world.relay.wait_for_status(waiting, {"delivered"}, key=world.live_key)
    assert types(world, waiting, "full@example.org") == ["queued", "deferred", "cancelled"]

    cancelled = submit(world, "full@example.org")
    world.wait_until(lambda: "deferred" in types(world, cancelled, "full@example.org"))
    world.relay.run("queue", "cancel", cancelled)
    world.relay.wait_for_status(cancelled, {"cancelled"}, key=world.live_key)

    found = get(world, "/v1/emails?status=sent&limit=100")["data"]
    assert waiting in {each["id"] for each in found}
    assert {each["status"] for each in found} == {"delivered"}


def test_test_mail_is_seen_by_its_key_and_by_live_keys_in_the_test_inbox_alone(world: World) -> None:
    other = world.relay.json("keys", "create", "--name", "other suite", "--mode", "test")["key"]
    world.wait_for_config_change()
    message_id = submit(world, "user@nowhere.test", key=world.test_key, author="ann@unproved.test")
    inbox_id = message_id.replace("em_", "te_")

    def ids(path: str, key: str) -> set[str]:
        return {each["id"] for each in get(world, f"{path}?limit=100", key)["data"]}

    assert inbox_id in ids("/v1/test-emails", world.test_key)
    assert inbox_id in ids("/v1/test-emails", world.live_key)
    assert inbox_id not in ids("/v1/test-emails", other)
    assert message_id in ids("/v1/emails", world.test_key)
    assert message_id not in ids("/v1/emails", world.live_key)
    for key in (world.test_key, world.live_key):
        assert {get(world, f"/v1/test-emails/{each}", key)["id"] for each in (message_id, inbox_id)} == {inbox_id}
    assert world.relay.get(f"/v1/test-emails/{inbox_id}", other)[0] == 404
    assert get(world, f"/v1/emails/{message_id}", world.test_key)["status"] == "delivered"
    assert not [mail for mail in world.mailhost.mails if message_id.encode() in mail.content]


def test_a_proved_domain_outlives_dns_that_fails_and_a_record_that_is_missing_once(world: World) -> None:
    name = "proved.test"
    world.publish(name)
    world.nameserver.servfail |= {name, f"sendry._domainkey.{name}"}
    try:
        silent = world.relay.json("domains", "verify", name)  # status 0 whatever was found
    finally:
        world.nameserver.servfail.clear()
    assert silent["status"] == "verified"
    assert any("could not be looked up" in record.get("reason", "") for record in silent["dns_records"])
    world.nameserver.remove(f"_dmarc.{name}")
    without_dmarc = world.relay.run("domains", "verify", name)
    assert f"{name} is verified" in without_dmarc.stderr.decode()
    assert "advised, not required: " in without_dmarc.stderr.decode()
    world.nameserver.remove(name)
    checks = [world.relay.json("domains", "verify", name) for _ in range(3)]  # three, but not over 24 hours
    assert {check["status"] for check in checks} == {"verified"}
    assert any("SPF" in record.get("reason", "") for record in checks[-1]["dns_records"])


def test_opens_are_tracked_as_the_domain_is_set_or_a_header_says_and_links_only_by_header(world: World) -> None:
    def received(name: str, field: str = "") -> bytes:
        page = f'{field}Content-Type: text/html\r\n\r\n<p><a href="https://shop.test/x">x</a></p>'
        with smtplib.SMTP(*world.relay.smtp, timeout=30) as smtp:
            smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
            smtp.login("sendry", world.live_key)
            smtp.sendmail(AUTHOR, ["user@example.org"], f"From: {AUTHOR}\r\nSubject: {name}\r\n{page}")
        return world.decoded(world.wait_for_mail(name).content)

    assert b"<img" not in received("as it came")
    world.relay.run("domains", "set", SENDING_DOMAIN, "track_opens=true", "track_clicks=true")
    world.wait_for_config_change()
    try:
        by_domain = received("by its domain")
        by_none = received("by no means", "X-Sendry-Track: none\r\n")
        by_header = received("by header", "X-Sendry-Track: opens, clicks\r\n")
    finally:
        world.relay.run("domains", "set", SENDING_DOMAIN, "track_opens=false", "track_clicks=false")
        world.wait_for_config_change()
    assert b"<img" in by_domain
    assert b'href="https://shop.test/x"' in by_domain
    assert b"<img" not in by_none
    assert b"<img" in by_header
    assert b"/c/" in by_header
    assert b'href="https://shop.test/x"' not in by_header


def test_a_domain_that_insists_on_tls_is_never_delivered_in_clear_text(tmp_path: Path) -> None:
    with World(tmp_path, does_use_tls=False) as world:
        world.relay.run("domains", "set", SENDING_DOMAIN, "tls_policy=enforced")
        world.wait_for_config_change()
        message_id = submit(world, "user@example.org")
        world.wait_until(lambda: types(world, message_id, "user@example.org") == ["queued", "deferred"])
        assert "TLS" in world.relay.json("queue", "show", message_id)["data"][0]["last_reply"]
        assert world.mailhost.mails == []


def test_what_watches_the_server_needs_no_key(world: World) -> None:
    assert world.relay.get("/healthz") == (200, {"status": "ok"})
    assert world.relay.get("/readyz") == (200, {"status": "ok"})
