"""Sending over REST by the real program: what recipients get, beside the same message by SMTP; batches; marketing that can be left."""

import base64
import email.policy
import http.client
import re
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import dkim
import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.mailhost import ReceivedMail
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"Grüße & Co. <shop@{SENDING_DOMAIN}>"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
TEXT = "Hello,\nörtchen € 🎉\n.\n..two dots\nFrom here\n" + "long " * 300 + "\n"
HTML = '<p>Hällo <img src="cid:logo@shop"> 日本語</p>\n'
SUBJECT = "Ihre Bestellung 🎉 – größer, and long enough that it has to be folded into more than one encoded word"
FILENAME = "Rechnung Überblick – 領収書.pdf"


@pytest.fixture
def rest(world: World) -> RestClient:
    return RestClient(world.relay, world.live_key)


def as_mail(content: bytes) -> EmailMessage:
    message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(content)
    for part in message.walk():
        assert part.defects == []
    return message


def parts(content: bytes) -> list[tuple[Any, ...]]:
    """All parts as a reader has them: multiparts by type, leaves with name, place and content."""
    found: list[tuple[Any, ...]] = []
    for part in as_mail(content).walk():
        kind = part.get_content_type()
        if part.is_multipart():
            found.append((kind,))
        else:
            inside = part.get_content()
            inside = inside.replace("\r\n", "\n") if isinstance(inside, str) else inside
            found.append((kind, part.get_content_disposition(), part.get_filename(), part["Content-ID"], inside))
    return found


def check_signed(world: World, content: bytes) -> set[str]:
    """Verified by another implementation than the one that signed; gives the fields that are signed."""
    assert dkim.verify(content, dnsfunc=lambda name, **_: (world.published(name.decode()) or "").encode())
    signature = as_mail(content)["DKIM-Signature"]
    names = re.search(r"\bh=([^;]+)", "".join(str(signature).split()))
    assert names is not None
    return {name.lower() for name in names[1].split(":")}


def received_by(world: World, email_id: str, recipient: str) -> list[ReceivedMail]:
    mark = f"id {email_id}".encode()
    return [mail for mail in list(world.mailhost.mails) if mark in mail.content and recipient in mail.recipients]


def test_a_message_by_rest_arrives_as_the_same_one_by_smtp(world: World, rest: RestClient) -> None:
    recipients = ["ann@example.org", "bob@example.org", "carol@example.org", "hidden@example.org"]
    sent = rest.post(
        "/v1/emails",
        {
            "from": f'"Grüße & Co." <shop@{SENDING_DOMAIN}>',
            "to": ['"Ünal, Ann" <ann@example.org>', "bob@example.org"],
            "cc": "Carol <carol@example.org>",
            "bcc": ["hidden@example.org"],
            "reply_to": f"Antwort <reply@{SENDING_DOMAIN}>",
            "subject": SUBJECT,
            "text": TEXT,
            "html": HTML,
            "headers": {"X-Order": "4711", "X-Note": "größer"},
            "attachments": [
                {"filename": FILENAME, "content": base64.b64encode(b"%PDF-1.7").decode(), "content_type": "application/pdf"},
                {"filename": "logo.png", "content": base64.b64encode(PNG).decode(), "content_type": "image/png", "content_id": "logo@shop"},
            ],
        },
    )
    by_rest = world.received(sent["id"])

    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = f'"Grüße & Co." <shop@{SENDING_DOMAIN}>'
    message["To"] = '"Ünal, Ann" <ann@example.org>, bob@example.org'
    message["Cc"] = "Carol <carol@example.org>"
    message["Bcc"] = "hidden@example.org"
    message["Reply-To"] = f"Antwort <reply@{SENDING_DOMAIN}>"
    message["Subject"] = SUBJECT
    message["X-Order"] = "4711"
    message["X-Note"] = "größer"
    message.set_content(TEXT)
    message.add_alternative(HTML, subtype="html")
    html = message.get_body(["html"])
    assert html is not None
    html.add_related(PNG, "image", "png", cid="<logo@shop>", filename="logo.png", disposition="inline")
    message.add_attachment(b"%PDF-1.7", "application", "pdf", filename=FILENAME)
    code, reply = submit(world.relay, world.live_key, f"shop@{SENDING_DOMAIN}", recipients, message.as_bytes())
    assert code == 250
    by_smtp = world.received(reply)

    for ours, theirs in zip(parts(by_rest.content), parts(by_smtp.content), strict=True):
        assert ours == theirs
    assert [kind for kind, *_ in parts(by_rest.content)] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    assert parts(by_rest.content)[-1] == ("application/pdf", "attachment", FILENAME, None, b"%PDF-1.7")
    assert parts(by_rest.content)[-2] == ("image/png", "inline", "logo.png", "<logo@shop>", PNG)
    first, second = as_mail(by_rest.content), as_mail(by_smtp.content)
    for name in ("From", "To", "Cc", "Reply-To", "Subject", "X-Order", "X-Note"):
        assert first[name] == second[name] == message[name]
    for mail in (by_rest, by_smtp):
        assert mail.envelope_from == f"shop@{SENDING_DOMAIN}"
        assert sorted(mail.recipients) == recipients
        assert b"hidden@" not in mail.content
        assert {"from", "to", "cc", "reply-to", "subject", "date", "message-id", "mime-version"} <= check_signed(world, mail.content)
    world.relay.wait_for_status(sent["id"], {"delivered"}, key=world.live_key)
    assert rest.events(sent["id"], "hidden@example.org") == ["queued", "sent", "delivered"]


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"text": "only text"}, ["text/plain"]),
        ({"html": "<p>only</p>"}, ["text/html"]),
        ({"text": "t", "html": "<p>h</p>"}, ["multipart/alternative", "text/plain", "text/html"]),
        (
            {"text": "t", "attachments": [{"filename": "a.txt", "content": "YQ=="}]},
            ["multipart/mixed", "text/plain", "application/octet-stream"],
        ),
        (
            {
                "html": "<p>h</p>",
                "attachments": [{"filename": "a.eml", "content": "U3ViamVjdDogeA0KDQp5DQo=", "content_type": "message/rfc822"}],
            },
            ["multipart/mixed", "text/html", "message/rfc822", "text/plain"],
        ),
    ],
)
def test_every_combination_of_bodies_arrives_and_verifies(world: World, rest: RestClient, fields: dict[str, Any], kinds: list[str]) -> None:
    sent = rest.post("/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": "user@example.org", "subject": "s", **fields})
    content = world.received(sent["id"]).content
    assert [part.get_content_type() for part in as_mail(content).walk()] == kinds
    check_signed(world, content)


def test_a_batch_of_a_hundred(world: World, rest: RestClient) -> None:
    items = [{"to": f"user{number}@example.org", "text": f"{number}"} for number in range(100)]
    batch = {"from": f"a@{SENDING_DOMAIN}", "subject": "hundred", "emails": items}
    answer = rest.post("/v1/emails/batch", batch)
    ids = [each["id"] for each in answer["data"]]
    assert len(set(ids)) == 100
    assert "errors" not in answer
    for number in (0, 57, 99):
        mail = world.received(ids[number])
        assert mail.recipients == [f"user{number}@example.org"]
        assert parts(mail.content) == [("text/plain", None, None, None, f"{number}\n")]
    refused = rest.request("POST", "/v1/emails/batch", {**batch, "emails": [*items, items[0]]})
    assert (refused.status, refused.field) == (422, "emails")
    assert rest.request("POST", "/v1/emails/batch", {**batch, "emails": []}).status == 422


def test_a_batch_with_a_bad_item_is_all_or_nothing_unless_it_is_permissive(world: World, rest: RestClient) -> None:
    def count(subject: str) -> int:
        return int(rest.get(f"/v1/emails?q={subject}&include_total=true")["total"])

    items = [
        {"to": "good@example.org", "text": "1"},
        {"to": "bad\r\nBcc: x@example.org", "text": "2"},
        {"to": "alien@example.org", "from": "x@elsewhere.test", "text": "3"},
        {"to": "fine@example.org", "text": "4"},
    ]
    batch = {"from": f"a@{SENDING_DOMAIN}", "subject": "strictness", "emails": items}
    strict = rest.request("POST", "/v1/emails/batch", batch)
    assert (strict.status, strict.field) == (422, "emails.1.to")
    assert strict.json["error"]["details"]["index"] == 1
    assert count("strictness") == 0
    alien = rest.request("POST", "/v1/emails/batch", {**batch, "batch_validation": "strict", "emails": [items[0], items[2]]})
    assert (alien.status, alien.json["error"]["code"]) == (403, "domain_not_verified")
    assert count("strictness") == 0

    permissive = rest.post("/v1/emails/batch", {**batch, "batch_validation": "permissive"})
    assert [each["index"] for each in permissive["errors"]] == [1, 2]
    assert "elsewhere.test" in permissive["errors"][1]["error"]
    assert len(permissive["data"]) == count("strictness") == 2
    assert world.received(permissive["data"][0]["id"]).recipients == ["good@example.org"]
    assert world.received(permissive["data"][1]["id"]).recipients == ["fine@example.org"]


def test_a_suppressed_recipient_is_skipped_and_the_others_get_their_mail(world: World, rest: RestClient) -> None:
    rest.post("/v1/suppression", {"email": "never@example.org"})
    answer = rest.post(
        "/v1/emails/batch",
        {
            "from": f"a@{SENDING_DOMAIN}",
            "subject": "skipping",
            "emails": [
                {"to": ["never@example.org", "always@example.org"], "cc": "Never <NEVER@example.org>", "text": "both"},
                {"to": "never@example.org", "text": "none"},
                {"to": "last@example.org", "text": "other"},
            ],
        },
    )
    mixed, skipped, other = (each["id"] for each in answer["data"])
    assert [each["status"] for each in answer["data"]] == ["queued", "failed", "queued"]
    assert world.received(mixed).recipients == ["always@example.org"]
    assert world.received(other).recipients == ["last@example.org"]
    assert rest.events(mixed, "never@example.org") == ["queued", "suppressed"]
    assert rest.events(skipped) == ["queued", "suppressed"]
    assert rest.get(f"/v1/emails/{skipped}")["status"] == "failed"
    world.relay.wait_for_status(mixed, {"delivered"}, key=world.live_key)
    assert not any("never@" in recipient.lower() for mail in world.mailhost.mails for recipient in mail.recipients)


def visit(rest: RestClient, method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """A request for one of our pages, as a mail program or a scanner makes it: without a key."""
    connection = http.client.HTTPConnection(*rest.address, timeout=30)
    try:
        connection.request(method, url, body, {"Content-Type": "application/x-www-form-urlencoded"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_marketing_can_be_left_with_one_click_and_by_nothing_less(world: World, rest: RestClient) -> None:
    news = {
        "from": f"News <news@{SENDING_DOMAIN}>",
        "to": ["reader@example.org", "other@example.org"],
        "subject": "News",
        "html": "<p>Read this</p>",
        "list_id": "weekly",
        "unsubscribe_url": f"https://{SENDING_DOMAIN}/off?who=1",
    }
    first = rest.post("/v1/emails/marketing", news)["id"]
    world.relay.wait_for_status(first, {"delivered"}, key=world.live_key)
    copies = {name: received_by(world, first, f"{name}@example.org") for name in ("reader", "other")}
    assert {name: len(mails) for name, mails in copies.items()} == {"reader": 1, "other": 1}
    links = {}
    for name, (mail,) in copies.items():
        assert mail.recipients == [f"{name}@example.org"]  # a link in another's copy would take the wrong one off the list
        assert {"list-unsubscribe", "list-unsubscribe-post"} <= check_signed(world, mail.content)
        message = as_mail(mail.content)
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        ours, theirs = re.findall(r"<([^<>]+)>", message["List-Unsubscribe"])
        assert theirs == f"https://{SENDING_DOMAIN}/off?who=1"
        links[name] = ours.removeprefix(world.relay.ready["http"])
    assert links["reader"].startswith("/u/")
    assert links["reader"] != links["other"]

    def unsubscribed() -> list[str]:
        own = {"reader@example.org", "other@example.org"}  # other tests share the world
        return [each["email"] for each in rest.get("/v1/unsubscribes?limit=100")["data"] if each["email"] in own]

    for method, body in (("GET", None), ("HEAD", None), ("POST", b"anything=else"), ("POST", b"")):
        visit(rest, method, links["reader"], body)
    assert visit(rest, "GET", links["reader"])[0] == 200
    assert unsubscribed() == []
    assert visit(rest, "POST", links["reader"] + "x", b"List-Unsubscribe=One-Click")[0] == 404
    assert unsubscribed() == []
    assert visit(rest, "POST", links["reader"], b"List-Unsubscribe=One-Click")[0] == 200
    assert unsubscribed() == ["reader@example.org"]

    second = rest.post("/v1/emails/marketing", news)["id"]
    world.relay.wait_for_status(second, {"delivered"}, key=world.live_key)
    assert rest.events(second, "reader@example.org") == ["queued", "suppressed"]
    assert rest.events(second, "other@example.org") == ["queued", "sent", "delivered"]
    assert received_by(world, second, "reader@example.org") == []
    another_list = rest.post("/v1/emails/marketing", {**news, "list_id": "monthly", "to": "reader@example.org"})["id"]
    receipt = rest.post("/v1/emails", {"from": f"a@{SENDING_DOMAIN}", "to": "reader@example.org", "subject": "s", "text": "Your receipt"})[
        "id"
    ]
    for email_id in (another_list, receipt):
        world.relay.wait_for_status(email_id, {"delivered"}, key=world.live_key)
        assert len(received_by(world, email_id, "reader@example.org")) == 1
    assert as_mail(world.received(receipt).content)["List-Unsubscribe"] is None
