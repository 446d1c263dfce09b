"""Control headers by the real program: what each of them orders is done, and what cannot be done is refused by name and leaves nothing behind."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sendry import ApiError, Sendry

from sendryd.runtime.clock import SystemClock
from sendryd.testing.world import SENDING_DOMAIN, World

AUTHOR = f"hello@{SENDING_DOMAIN}"
# One for all requests, each with a connection of its own: a client that is made anew for each reads the certificates of the whole web first.
WEB = httpx.Client(verify=False, timeout=30.0, limits=httpx.Limits(max_keepalive_connections=0))
LINK = "https://shop.example.org/tea?a=1&amp;b=2"
HTML = f'<html><body><p>Hello</p><a href="{LINK}">tea</a></body></html>'


def connect(world: World, key: str | None = None) -> smtplib.SMTP:
    host, port = world.relay.smtp
    smtp = smtplib.SMTP(host, port, timeout=60)
    smtp.starttls(context=ssl.create_default_context(cafile=str(world.relay.cert)))
    smtp.login("sendry", key or world.live_key)
    return smtp


def message(*fields: str, to: str = "user@example.org", subject: str = "orders", html: str = HTML) -> bytes:
    lines = [
        f"From: {AUTHOR}",
        f"To: {to}",
        f"Subject: {subject}",
        *fields,
        "X-Custom: stays",
        "MIME-Version: 1.0",
        "Content-Type: text/html; charset=utf-8",
    ]
    return ("\r\n".join([*lines, "", html]) + "\r\n").encode()


def transact(smtp: smtplib.SMTP, content: bytes, *recipients: str) -> tuple[int, str]:
    """One transaction: the code and the text of the last reply."""
    assert smtp.mail(AUTHOR)[0] == 250
    for recipient in recipients or ("user@example.org",):
        assert smtp.rcpt(recipient)[0] == 250
    code, text = smtp.data(content)
    return code, text.decode()


def submit(world: World, content: bytes, *recipients: str, key: str | None = None) -> str:
    """Sends one message, which must be accepted; gives its id."""
    with connect(world, key) as smtp:
        code, text = transact(smtp, content, *recipients)
    assert code == 250, text
    return text.rpartition(" ")[2]


def client(world: World, key: str | None = None) -> Sendry:
    """The hosted service's client library."""
    return Sendry(key or world.live_key, base_url=world.relay.ready["http"], retries=0)


def email(world: World, message_id: str, key: str | None = None) -> dict[str, Any]:
    status, body = world.relay.get(f"/v1/emails/{message_id}", key or world.live_key)
    assert status == 200, body
    return body


def newest(world: World) -> list[str]:
    """The id of the message that was accepted last."""
    return [each["id"] for each in client(world).emails.list({"limit": 1})["data"]]


def copies(world: World, message_id: str) -> list[bytes]:
    """What the mail host was given of a message."""
    return [mail.content for mail in world.mailhost.mails if f"id {message_id}".encode() in mail.content]


def arrived(world: World, message_id: str) -> bytes:
    """The one copy that the mail host was given, which has no order left in it and is signed as it is."""
    content = world.received(message_id).content
    assert b"\r\nx-sendry-" not in content.lower()
    assert b"\r\nX-Custom: stays\r\n" in content
    world.check_signature(content)
    return content


@pytest.mark.parametrize(
    ("value", "opens", "clicks"),
    [
        ("opens", True, False),
        ("clicks", False, True),
        ("opens, clicks", True, True),
        ("Clicks,OPENS", True, True),
        ("none", False, False),
        ("=?utf-8?q?opens?=", True, False),
    ],
)
def test_track(world: World, value: str, opens: bool, clicks: bool) -> None:
    content = arrived(world, submit(world, message(f"X-Sendry-Track: {value}")))
    base = world.relay.ready["http"].encode()
    assert (base + b"/o/" in content) is opens
    assert (base + b"/c/" in content) is clicks
    assert (LINK.encode() in content) is not clicks


def test_tags_are_shown_by_the_api(world: World) -> None:
    fields = ("X-Sendry-Tag: kind=welcome", "x-sendry-tag:  build=2.1_rc-3 ", "X-SENDRY-TAG: team=a@b")
    message_id = submit(world, message(*fields))
    arrived(world, message_id)
    assert email(world, message_id)["tags"] == [
        {"name": "kind", "value": "welcome"},
        {"name": "build", "value": "2.1_rc-3"},
        {"name": "team", "value": "a@b"},
    ]
    moment = SystemClock().now()
    span = {"from": (moment - timedelta(hours=1)).isoformat(), "to": (moment + timedelta(hours=1)).isoformat()}
    assert client(world).analytics.stats({**span, "tag": "kind:welcome"})["summary"]["sent"] >= 1
    assert client(world).analytics.stats({**span, "tag": "kind:other"})["summary"]["sent"] == 0


@pytest.fixture(scope="module")
def template_id(world: World) -> Iterator[str]:
    """A stored template with a variable that it cannot do without."""
    made = client(world).templates.create(
        {
            "name": "receipt",
            "subject": "Thank you, {{ first_name }}",
            "html": "<p>Dear {{ first_name }},</p><ul>{% for item in items %}<li>{{ item.name }}</li>{% endfor %}</ul>",
            "variables": {"first_name": {"type": "string", "required": True}, "items": {"type": "array"}},
        }
    )
    yield str(made["id"])
    client(world).templates.remove(made["id"])


def test_a_template_replaces_subject_and_bodies(world: World, template_id: str) -> None:
    variables = 'X-Sendry-Variables: {"first_name": "Zo\\u00eb & Co",\r\n "items": [{"name": "Tea"}, {"name": "<b>Cake</b>"}]}'
    message_id = submit(world, message(f"X-Sendry-Template-Id: {template_id}", variables, subject="replaced", html="<p>replaced</p>"))
    content = arrived(world, message_id)
    assert email(world, message_id)["subject"] == "Thank you, Zo\u00eb & Co"
    decoded = world.decoded(content).decode()
    assert "Dear Zo\u00eb &amp; Co," in decoded
    assert "<li>Tea</li><li>&lt;b&gt;Cake&lt;&#x2f;b&gt;</li>" in decoded
    assert b"replaced" not in content
    assert "Dear Zo\u00eb & Co," in decoded  # in the text, which is made of the HTML


def test_a_template_leaves_attachments(world: World, template_id: str) -> None:
    fields = [f"From: {AUTHOR}", "To: user@example.org", "X-Custom: stays", f"X-Sendry-Template-Id: {template_id}"]
    fields += ['X-Sendry-Variables: {"first_name": "Ann"}', "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="m"']
    parts = ["--m", "Content-Type: text/plain", "", "replaced", "--m", "Content-Type: application/pdf; name=a.pdf"]
    parts += ["Content-Disposition: attachment; filename=a.pdf", "Content-Transfer-Encoding: base64", "", "QUJDRA==", "--m--", ""]
    content = arrived(world, submit(world, "\r\n".join([*fields, "", *parts]).encode()))
    assert "\r\n".join(parts[5:-2]).encode() in content
    assert b"\r\nSubject: Thank you, Ann\r\n" in content
    assert b"replaced" not in content


@pytest.mark.parametrize("form", ["iso", "words"])
def test_a_schedule_is_kept(world: World, form: str) -> None:
    now = SystemClock().now()
    value = (now + timedelta(seconds=2)).isoformat() if form == "iso" else "in 2 seconds"
    message_id = submit(world, message(f"X-Sendry-Scheduled-At: {value}"))
    assert email(world, message_id)["status"] == "queued"
    assert not copies(world, message_id)
    arrived(world, message_id)
    sent_at = world.relay.wait_for_status(message_id, {"delivered"}, key=world.live_key)["sent_at"]
    assert datetime.fromisoformat(sent_at) >= now + timedelta(seconds=1.9)


@pytest.mark.parametrize("value", ["tomorrow morning", "tomorrow at 9am Europe/Berlin", "in 3 days", "=?utf-8?q?noon?="])
def test_what_waits_for_its_time_can_be_cancelled(world: World, value: str) -> None:
    message_id = submit(world, message(f"X-Sendry-Scheduled-At: {value}"))
    assert client(world).emails.cancel(message_id) == {"id": message_id, "status": "cancelled"}
    assert not copies(world, message_id)


def test_a_repeat_is_answered_with_the_first_id_and_sends_nothing(world: World) -> None:
    field = "X-Sendry-Idempotency-Key: order 4711"
    first = submit(world, message(field, "Message-ID: <1@x.test>"))
    assert submit(world, message(field, "Message-ID: <2@x.test>", "Date: Thu, 1 Jan 2026 00:00:00 +0000")) == first
    arrived(world, first)
    assert submit(world, message(field)) == first
    last = submit(world, message(subject="marks the end"))
    arrived(world, last)
    assert len(copies(world, first)) == 1
    with httpx.Client(base_url=world.relay.ready["http"], headers={"Authorization": f"Bearer {world.live_key}"}) as http:
        body = {"from": AUTHOR, "to": "user@example.org", "subject": "orders", "html": HTML}
        answer = http.post("/v1/emails", json=body, headers={"Idempotency-Key": "order 4711"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "idempotency_conflict"


@pytest.mark.parametrize("change", ["recipient", "one recipient more", "subject", "author"])
def test_a_key_that_was_used_for_another_message_is_refused(world: World, change: str) -> None:
    field = f"X-Sendry-Idempotency-Key: once/{change}"
    first = submit(world, message(field))
    content = message(field, subject="another" if change == "subject" else "orders")
    if change == "author":
        content = content.replace(f"From: {AUTHOR}".encode(), f"From: other@{SENDING_DOMAIN}".encode())
    recipients = {"recipient": ["other@example.org"], "one recipient more": ["user@example.org", "other@example.org"]}.get(change, [])
    with connect(world) as smtp:
        code, text = transact(smtp, content, *recipients)
        assert (code, text.split()[0]) == (550, "5.6.0")
        assert "idempotency key was used for another request" in text
        assert transact(smtp, message(field))[1].endswith(first)


def test_twenty_twins_at_once_send_one_mail(world: World) -> None:
    content = message("X-Sendry-Idempotency-Key: twins", subject="twins")
    clients = [connect(world) for _ in range(20)]
    with ThreadPoolExecutor(20) as threads:
        replies = list(threads.map(lambda smtp: transact(smtp, content), clients))
    for smtp in clients:
        smtp.close()
    assert {code for code, _ in replies} == {250}
    (message_id,) = {text.rpartition(" ")[2] for _, text in replies}
    arrived(world, message_id)
    arrived(world, submit(world, message(subject="behind the twins")))
    assert sum(b"\r\nSubject: twins\r\n" in mail.content for mail in world.mailhost.mails) == 1


def test_an_unsubscribe_url_makes_it_marketing(world: World) -> None:
    field = "X-Sendry-Unsubscribe-Url: https://shop.example.org/off?u=7"
    content = arrived(world, submit(world, message(field, "List-Unsubscribe: <mailto:old@example.test>"), "goner@example.org"))
    header = content.partition(b"\r\n\r\n")[0].decode()
    unfolded = re.sub(r"\r\n[ \t]+", " ", header)
    ours, theirs = re.findall(r"<([^>]*)>", re.search(r"(?m)^List-Unsubscribe: (.*)$", unfolded)[1])  # type: ignore[index]
    assert theirs == "https://shop.example.org/off?u=7"
    assert ours.startswith(world.relay.ready["http"] + "/u/")
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click" in header
    assert "old@example.test" not in header

    assert WEB.post(ours, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    skipped = submit(world, message(field), "goner@example.org")
    assert email(world, skipped)["status"] == "failed"
    events = world.relay.get(f"/v1/emails/{skipped}/events?type=suppressed", world.live_key)[1]["data"]
    assert [event["metadata"] for event in events] == [{"reason": "unsubscribe"}]
    arrived(world, submit(world, message(), "goner@example.org"))  # what is no marketing


REFUSED = {
    "X-Sendry-Track": ["", "sometimes", "opens, none", "opens clicks", "opens,", "true"],
    "X-Sendry-Tag": ["", "novalue", "=x", "a=", "a=b=c", "name=two words", "name=caf\u00e9", f"a={'x' * 257}"],
    "X-Sendry-Template-Id": ["", "tmpl_0", "tmpl_0000000000000", "em_0000000000000", "welcome"],
    "X-Sendry-Variables": ["", "{}", '{"a": 1}'],  # without a template
    "X-Sendry-Scheduled-At": ["", "whenever", "2020-01-01T00:00:00Z", "in 31 days", "yesterday", "2999-01-01", "in 99999999 days"],
    "X-Sendry-Idempotency-Key": ["", "k" * 257, "clef-\u00e9"],
    "X-Sendry-Unsubscribe-Url": [
        "",
        "off",
        "mailto:u@example.test",
        "javascript:alert(1)",
        "//example.test",
        "https://a b",
        "https://example.test/" + "x" * 900,
    ],
    "X-Sendry-Topic-Id": ["", "top_1", "newsletter"],
    "X-Sendry-Nonsense": ["", "x"],
    "X-Sendry-": ["x"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_obeyed_is_refused_by_name(world: World, name: str) -> None:
    before = newest(world)
    with connect(world) as smtp:
        for value in REFUSED[name]:
            code, text = transact(smtp, message(f"{name}: {value}"))
            assert (code, text.split()[0]) == (550, "5.6.0"), (value, text)
            assert name in text, value
            assert text.isascii()
        assert newest(world) == before
        assert transact(smtp, message())[0] == 250


def test_a_topic_is_refused_with_a_reason(world: World) -> None:
    with connect(world) as smtp:
        code, text = transact(smtp, message("X-Sendry-Topic-Id: top_1"))
    assert code == 550
    assert text.startswith("5.6.0 The header X-Sendry-Topic-Id (there are no topics yet) is not supported here")


@pytest.mark.parametrize(
    "name",
    ["Track: none", "Template-Id: x", "Variables: {}", "Scheduled-At: in 1 hour", "Idempotency-Key: x", "Unsubscribe-Url: https://x.test"],
)
def test_an_order_that_is_given_twice_is_refused(world: World, name: str) -> None:
    field = f"X-Sendry-{name}"
    with connect(world) as smtp:
        code, text = transact(smtp, message(field, field))
    assert (code, text.split()[0]) == (550, "5.6.0")
    assert f"{field.partition(':')[0]} (give it once)" in text


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("{}", "first_name"),
        ('{"first_name": null}', "first_name"),
        ('["first_name"]', "JSON"),
        ('{"first_name": "Ann"', "JSON"),
        ("{'first_name': 'Ann'}", "JSON"),
        ("[" * 20_000, "JSON"),
        ('{"first_name": NaN}', "JSON"),
    ],
)
def test_variables_that_a_template_cannot_be_filled_with(world: World, template_id: str, value: str, word: str) -> None:
    folded = "\r\n ".join(value[start : start + 900] for start in range(0, len(value), 900))
    with connect(world) as smtp:
        code, text = transact(smtp, message(f"X-Sendry-Template-Id: {template_id}", f"X-Sendry-Variables: {folded}"))
    assert (code, text.split()[0]) == (550, "5.6.0"), text
    assert "X-Sendry-Variables" in text
    assert word in text


def test_all_orders_at_once(world: World, template_id: str) -> None:
    fields = [
        "X-Sendry-Track: opens, clicks",
        "X-Sendry-Tag: a=1",
        f"X-Sendry-Template-Id: {template_id}",
        'X-Sendry-Variables: {"first_name": "Ann"}',
        "X-Sendry-Scheduled-At: in 1 second",
        "X-Sendry-Idempotency-Key: everything",
        "X-Sendry-Unsubscribe-Url: https://shop.example.org/off",
    ]
    message_id = submit(world, message(*fields))
    assert submit(world, message(*fields)) == message_id
    content = arrived(world, message_id)
    assert (world.relay.ready["http"] + "/o/").encode() in content
    assert b"\r\nList-Unsubscribe: <" in content
    assert "Dear Ann," in world.decoded(content).decode()
    assert email(world, message_id)["tags"] == [{"name": "a", "value": "1"}]


def test_a_test_key_s_mail_obeys_them_too(world: World, template_id: str) -> None:
    fields = (f"X-Sendry-Template-Id: {template_id}", 'X-Sendry-Variables: {"first_name": "Ann"}', "X-Sendry-Tag: a=1")
    message_id = submit(world, message(*fields, "X-Sendry-Track: clicks"), key=world.test_key)
    assert email(world, message_id, world.test_key)["tags"] == [{"name": "a", "value": "1"}]
    captured = client(world, world.test_key).test_emails.get(message_id)
    assert captured["subject"] == "Thank you, Ann"
    assert "Dear Ann," in str(captured["html"])
    with connect(world, world.test_key) as smtp:
        assert transact(smtp, message("X-Sendry-Topic-Id: top_1"))[0] == 550
    with pytest.raises(ApiError):
        client(world).emails.get(message_id)
