"""Port 25 by the real program: what other servers report changes the right delivery, once, and nothing else does."""

import hmac
import json
import smtplib
import ssl
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.mailhost import ReceivedMail
from sendryd.testing.webhookhost import WebhookHost
from sendryd.testing.world import SENDING_DOMAIN, World

pytestmark = pytest.mark.sockets

BOUNCES = "bounce.example.test"
AUTHOR = f"shop@{SENDING_DOMAIN}"
REPORTS = {each["from"]: each for each in tomllib.loads((Path(__file__).parents[1] / "data" / "reports.toml").read_text("utf-8"))["report"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {
        "SENDRYD_BOUNCE_DOMAIN": "Bounce.Example.test",
        "SENDRYD_INBOUND_LISTEN": "127.0.0.1:0",
        "SENDRYD_ALLOW_PRIVATE_NETWORKS": "true",
    }
    with World(tmp_path_factory.mktemp("inbound"), env=settings) as made:
        yield made


class Sent:
    """A mail that was delivered, as its receiver has it."""

    def __init__(self, world: World, recipient: str, *others: str) -> None:
        content = f"From: {AUTHOR}\r\nTo: {recipient}\r\nSubject: Your order\r\n\r\nThank you.\r\n".encode()
        code, reply = submit(world.relay, world.live_key, AUTHOR, [recipient, *others], content)
        assert code == 250
        self.id = reply.split()[-1]
        self.api = RestClient(world.relay, world.live_key)
        world.relay.wait_for_status(self.id, {"delivered"}, key=world.live_key)
        mark = f"id {self.id}".encode()
        self.mails: list[ReceivedMail] = [each for each in world.mailhost.mails if mark in each.content]
        self.mail = next(each for each in self.mails if each.recipients == [recipient])
        self.return_path = self.mail.envelope_from

    @property
    def status(self) -> str:
        return str(self.api.get(f"/v1/emails/{self.id}")["status"])

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.api.get(f"/v1/emails/{self.id}/events?limit=100")["data"] if each["type"] == kind]


def connect(world: World) -> smtplib.SMTP:
    host, _, port = world.relay.ready["inbound"].rpartition(":")
    return smtplib.SMTP(host, int(port), timeout=30)


def report(world: World, to: str, text: str, *, sender: str = "") -> tuple[int, str]:
    """Sends a message to port 25; the last reply."""
    with connect(world) as smtp:
        smtp.ehlo("mx.example.org")
        assert smtp.mail(sender)[0] == 250
        code, said = smtp.rcpt(to)
        if code == 250:
            code, said = smtp.data(text.replace("\n", "\r\n").encode())
        return code, said.decode()


def style(name: str, recipient: str, return_path: str) -> str:
    text: str = REPORTS[name]["text"]
    return text.replace("ada@example.net", recipient).replace("b+token@bounce.example.com", return_path)


def is_suppressed(world: World, address: str) -> bool:
    rows = RestClient(world.relay, world.live_key).get("/v1/suppression?limit=100")["data"]
    return address in {each["email"] for each in rows}


def test_every_delivery_has_a_return_path_of_its_own(world: World) -> None:
    sent = Sent(world, "one@example.org", "two@example.org")
    paths = [each.envelope_from for each in sent.mails]
    assert len(set(paths)) == 2
    for path in paths:
        local_part, _, domain = path.partition("@")
        assert domain == BOUNCES
        assert local_part.startswith("b+")
        assert len(local_part) <= 64


def test_a_hard_bounce_after_the_250_moves_suppresses_and_is_told_once(world: World) -> None:
    host = WebhookHost()
    world.thread.run(host.start())
    try:
        api = RestClient(world.relay, world.live_key)
        api.post("/v1/webhooks", {"url": host.url, "events": ["email.bounced"]})
        sent = Sent(world, "gone@example.org")
        text = style("Postfix", "gone@example.org", sent.return_path)
        for _ in range(3):  # a repeated report changes nothing more
            assert report(world, sent.return_path, text)[0] == 250
        assert sent.status == "bounced"
        (event,) = sent.events("bounced")
        assert event["recipient"] == "gone@example.org"
        assert (event["metadata"]["bounce_type"], event["metadata"]["category"]) == ("hard", "invalid_recipient")
        assert is_suppressed(world, "gone@example.org")
        world.wait_until(lambda: bool(host.received))
        told = [json.loads(each.body)["data"] for each in host.received]
        assert [(each["email_id"], each["bounce_type"]) for each in told] == [(sent.id, "hard")]
    finally:
        world.thread.run(host.aclose())


def test_a_soft_bounce_suppresses_nobody(world: World) -> None:
    sent = Sent(world, "full@example.org")
    assert report(world, sent.return_path, style("Gmail, over quota", "full@example.org", sent.return_path))[0] == 250
    assert sent.status == "bounced"
    assert sent.events("bounced")[0]["metadata"]["bounce_type"] == "soft"
    assert not is_suppressed(world, "full@example.org")


def test_a_bounce_in_its_own_words_counts_in_upper_case_too(world: World) -> None:
    sent = Sent(world, "qmail@example.org")
    assert report(world, sent.return_path.upper(), style("qmail", "qmail@example.org", sent.return_path))[0] == 250
    assert sent.status == "bounced"


def test_a_delay_and_an_absence_change_nothing(world: World) -> None:
    sent = Sent(world, "away@example.org")
    for name in ("Postfix, delayed", "Postfix, delivered on request", "Exchange, out of office", "a read receipt"):
        assert report(world, sent.return_path, style(name, "away@example.org", sent.return_path))[0] == 250
    assert sent.status == "delivered"
    assert not is_suppressed(world, "away@example.org")


def test_a_complaint_is_an_event_and_a_suppression_once(world: World) -> None:
    sent = Sent(world, "angry@example.org")
    text = style("ARF of Microsoft", "angry@example.org", sent.return_path)
    assert (
        report(world, f"fbl@{BOUNCES}", style("ARF, not spam", "angry@example.org", sent.return_path), sender="fbl@example.org")[0] == 250
    )
    assert sent.status == "delivered"
    for to in (f"fbl@{BOUNCES}", f"Complaints@{BOUNCES}", f"abuse@{BOUNCES}", sent.return_path):
        assert report(world, to, text, sender="staff@example.org")[0] == 250
    assert sent.status == "complained"
    (event,) = sent.events("complained")
    assert event["metadata"]["complaint_feedback_type"] == "abuse"
    assert is_suppressed(world, "angry@example.org")


def test_forged_and_looping_reports_change_nothing(world: World) -> None:
    sent = Sent(world, "safe@example.org")
    local_part, _, domain = sent.return_path.partition("@")
    other = "0" if local_part[-1] != "0" else "1"
    forged = f"{local_part[:-1]}{other}@{domain}"
    text = style("Postfix", "safe@example.org", sent.return_path)
    assert report(world, forged, text) == (550, "5.1.1 No such address here")
    assert report(world, f"fbl@{BOUNCES}", style("ARF of Microsoft", "safe@example.org", forged))[0] == 250
    assert report(world, sent.return_path, "Received: from x\n" * 60 + text)[0] == 554
    assert report(world, sent.return_path, REPORTS["a person"]["text"], sender="ada@example.org")[0] == 550
    assert sent.status == "delivered"
    assert not is_suppressed(world, "safe@example.org")


def test_the_port_offers_tls_and_takes_neither_logins_nor_foreign_mail(world: World) -> None:
    with connect(world) as smtp:
        smtp.ehlo("mx.example.org")
        assert smtp.has_extn("starttls")
        assert smtp.has_extn("size")
        smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
        smtp.ehlo("mx.example.org")
        assert not smtp.has_extn("auth")
        assert smtp.docmd("AUTH", "PLAIN AHgAeA==")[0] == 502
        smtp.mail("")
        for to in ("ada@example.net", f"nobody@{BOUNCES}", f"x@sub.{SENDING_DOMAIN}", "postmaster@localhost.localdomain"):
            assert smtp.rcpt(to)[0] == 550


def test_whoever_guesses_addresses_is_sent_away(world: World) -> None:
    with connect(world) as smtp:
        smtp.ehlo("mx.example.org")
        smtp.mail("")
        for number in range(20):
            assert smtp.rcpt(f"guess{number}@{BOUNCES}")[0] == 550
        with pytest.raises(smtplib.SMTPServerDisconnected):
            for _ in range(3):
                assert smtp.docmd("NOOP")[0] == 421


def test_the_fifty_first_connection_of_an_address_waits(world: World) -> None:
    many = [connect(world) for _ in range(50)]
    try:
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            connect(world)
        assert refused.value.smtp_code == 421
    finally:
        for each in many:
            each.close()
    assert submit(world.relay, world.live_key, AUTHOR, ["calm@example.org"], b"From: " + AUTHOR.encode() + b"\r\n\r\nhi\r\n")[0] == 250


def test_a_domains_own_return_path_is_used_once_its_records_are_found(world: World) -> None:
    api = RestClient(world.relay, world.live_key)
    (domain,) = [each for each in api.get("/v1/domains")["data"] if each["name"] == SENDING_DOMAIN]
    own = f"rp.{SENDING_DOMAIN}"
    world.relay.run("domains", "set", SENDING_DOMAIN, f"custom_return_path={own}")
    records = [each for each in api.get(f"/v1/domains/{domain['id']}")["dns_records"] if each["name"] == own]
    assert {each["type"] for each in records} == {"MX", "TXT"}
    world.wait_for_config_change()
    assert Sent(world, "before@example.org").return_path.endswith(f"@{BOUNCES}")
    for each in records:
        if each["type"] == "MX":
            assert each["priority"] == 10
            world.nameserver.zone[own, "MX"] = [f"10 {each['value']}."]
        else:
            world.nameserver.set_text(own, each["value"])
    api.post(f"/v1/domains/{domain['id']}/verify")
    assert all(each["verified"] for each in api.get(f"/v1/domains/{domain['id']}")["dns_records"] if each["name"] == own)
    world.wait_for_config_change()
    sent = Sent(world, "after@example.org")
    assert api.request("PATCH", f"/v1/domains/{domain['id']}", {"custom_return_path": None}).json["custom_return_path"] is None
    world.wait_for_config_change()
    assert sent.return_path.endswith(f"@{own}")
    assert report(world, sent.return_path, style("Exim", "after@example.org", sent.return_path))[0] == 250
    assert sent.status == "bounced"
    assert Sent(world, "again@example.org").return_path.endswith(f"@{BOUNCES}")


def test_a_null_reverse_path_stays(world: World) -> None:
    content = f"From: {AUTHOR}\r\nSubject: A relay's bounce\r\n\r\nno\r\n".encode()
    code, _ = submit(world.relay, world.live_key, "", ["relay@example.org"], content)
    assert code == 250
    assert world.wait_for_mail("A relay's bounce").envelope_from == ""


def test_mail_for_a_verified_domain_and_an_account_is_kept_and_posted(world: World) -> None:
    host = WebhookHost()
    world.thread.run(host.start())
    api = RestClient(world.relay, world.live_key)
    try:
        config = api.request("PUT", "/v1/inbound/config", {"url": host.url}).json
        address = config["inbound_address"]
        assert address.endswith(f"@{BOUNCES}")
        text = "From: Ada <ada@example.net>\nTo: shop@example.test\nSubject: A question\n\nWhere is it?\n"
        for to in (f"anything@{SENDING_DOMAIN}", address):
            assert report(world, to, text, sender="ada@example.net")[0] == 250
        world.wait_until(lambda: len(host.received) == 2)
        world.wait_until(lambda: all(each["webhook_delivered"] for each in api.get("/v1/inbound")["data"]))
        newest, oldest = api.get("/v1/inbound?limit=2")["data"]
        assert newest["id"].startswith("inb_")
        assert (newest["from"], newest["to"], newest["subject"]) == ("ada@example.net", ["shop@example.test"], "A question")
        assert newest["text"].strip() == "Where is it?"
        found = newest["headers"]["Authentication-Results"]
        assert found.startswith("localhost; spf=none smtp.mailfrom=example.net; dkim=none; dmarc=none") or "; spf=none" in found
        assert api.get(f"/v1/inbound/{oldest['id']}") == oldest
        told = {json.loads(each.body)["id"]: each for each in host.received}
        assert set(told) == {newest["id"], oldest["id"]}
        body = told[newest["id"]]
        signature = hmac.digest(config["secret"].encode(), body.body, "sha256").hex()
        assert body.headers["x-sendry-signature"] == f"sha256={signature}"
        assert RestClient(world.relay, world.test_key).get("/v1/inbound")["data"] == []
    finally:
        api.request("PUT", "/v1/inbound/config", {"url": None})
        world.thread.run(host.aclose())
    assert report(world, f"x@sub.{SENDING_DOMAIN}", text)[0] == 550
    assert report(world, f"in-{'0' * 29}@{BOUNCES}", text)[0] == 550
