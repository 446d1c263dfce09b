"""Email: what became of one mail, its parts, what can be changed."""

import base64
import re
from html import unescape
from urllib.request import urlopen

import pytest

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.webhookhost import WebhookHost
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import EMAIL, Answer, Browser
from .test_emails import HOSTILE, send

pytestmark = pytest.mark.sockets

HTML = (
    f'<p>Hello <b>Ann</b></p><script>alert(1)</script><img src="http://evil.example/x.png"><a href="https://acme.example/">go</a>{HOSTILE}'
)


def events(answer: Answer) -> list[str]:
    return re.findall(r'data-event="([\w.]+)"', answer.text)


def sentence(answer: Answer) -> str:
    found = re.search(r"data-sentence>(.*?)</h2>", answer.text)
    return unescape(found[1]) if found else ""


@pytest.fixture(scope="module")
def mixed(mails: World) -> str:
    """A mail to three recipients: delivered, bounced, deferred."""
    to = ", ".join(f"{word}@{RECIPIENT_DOMAIN}" for word in ("ann", "gone+three", "slow"))
    content = (
        f"From: Acme <hello@{SENDING_DOMAIN}>\r\nTo: {to}\r\nSubject: Three of {HOSTILE}\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
        f'{HTML}\r\n--x\r\nContent-Type: text/html; name="page.html"\r\nContent-Disposition: attachment; filename="pa\'ge.html"\r\n\r\n'
        "<script>alert(2)</script>\r\n--x--\r\n"
    )
    code, reply = submit(mails.relay, mails.live_key, f"hello@{SENDING_DOMAIN}", to.split(", "), content.encode())
    assert code == 250
    email_id = reply.rpartition(" ")[2]
    rest = RestClient(mails.relay, mails.live_key)
    mails.wait_until(lambda: {"delivered", "bounced", "deferred"} <= set(rest.events(email_id)))
    return email_id


def test_the_worst_recipient_is_the_sentence_and_each_has_its_status(reader: Browser, mixed: str) -> None:
    answer = reader.get(f"/emails/{mixed}")
    assert (answer.status, answer.page) == (200, "email")
    assert f"gone+three@{RECIPIENT_DOMAIN}" in sentence(answer)
    found = re.findall(r'data-recipient="([^"@]*)@[^"]*" data-status="(\w+)"', answer.text)
    assert found == [("gone+three", "bounced"), ("slow", "sending"), ("ann", "delivered")]
    assert HOSTILE in answer
    assert "<script>alert" not in answer.text


def test_the_timeline_has_each_event_and_the_receivers_words(reader: Browser, mixed: str) -> None:
    answer = reader.get(f"/emails/{mixed}")
    assert events(answer)[0] == "queued"
    assert {"sent", "delivered", "bounced", "deferred"} <= set(events(answer))
    assert events(answer)[-1] == "waiting"
    for words in ("550 5.1.1 No such user here", "451 4.7.1 Greylisting", "mx.example.org", "Try 1: put off", "TLSv1.3", " ms"):
        assert words in answer, words


def test_parts(reader: Browser, mixed: str) -> None:
    def part(name: str) -> Answer:
        return reader.get(f"/emails/{mixed}?part={name}")

    tabs = re.search(r'<nav class="tabs".*?</nav>', part("timeline").text, re.DOTALL)
    assert tabs
    assert re.findall(r">(\w+)</a>", tabs[0]) == ["Timeline", "Preview", "Text", "Source", "Headers", "Attachments", "Webhooks"]
    assert "no text part" in part("text")
    assert "Hello Ann" in part("text")
    assert "<script>alert(1)</script>" in part("source")
    assert "multipart/mixed" in part("headers")
    assert "pa'ge.html" in part("attachments")
    assert part("webhooks").status == part("nonsense").status == 200
    for name in ("timeline", "preview", "text", "source", "headers", "attachments", "webhooks"):
        assert "<script>alert" not in part(name).text


def test_downloads_are_files_that_no_browser_shows(reader: Browser, mixed: str) -> None:
    file = reader.get(f"/emails/{mixed}/attachments/0")
    assert (file.status, file.headers["content-type"]) == (200, "application/octet-stream")
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''pa%27ge.html"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.text == "<script>alert(2)</script>"
    source = reader.get(f"/emails/{mixed}/source")
    assert source.headers["content-disposition"].startswith("attachment")
    assert HTML in source.text
    assert [reader.get(f"/emails/{mixed}/attachments/{number}").status for number in ("1", "x", "-1", "99999")] == [404] * 4


def framed(browser: Browser, email_id: str) -> str:
    answer = browser.get(f"/emails/{email_id}?part=preview")
    frame = re.search(r"<iframe[^>]*>", answer.text)
    assert frame
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame[0]
    assert 'referrerpolicy="no-referrer"' in frame[0]
    path = re.search(r'src="([^"]*)"', frame[0])
    assert path
    return unescape(path[1])


def test_html_is_framed_without_anything_that_runs_or_loads(reader: Browser, mails: World, mixed: str) -> None:
    path = framed(reader, mixed)
    without_cookie = Browser(mails.relay.ready["http"]).get(path)
    assert (without_cookie.status, without_cookie.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = without_cookie.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'")
    assert "frame-ancestors 'self'" in policy
    assert "<b>Ann</b>" in without_cookie.text
    for word in ("<script", "onerror", "evil.example"):
        assert word not in without_cookie.text


def test_a_frame_opens_with_its_own_token_alone(reader: Browser, mixed: str) -> None:
    path = framed(reader, mixed).partition("?")[0]
    octets = bytearray(base64.urlsafe_b64decode(path.rpartition("/")[2]))
    octets[15] ^= 1  # another message
    assert reader.get(f"/content/{base64.urlsafe_b64encode(octets).decode()}").status == 404
    assert [reader.get(f"/content/{text}").status for text in ("x", "%C3%A4", "A" * 64, path[9:] + "A")] == [404] * 4


def test_trying_now_and_cancelling_are_in_the_audit(reader: Browser, mails: World) -> None:
    email_id = send(mails, f"later@{RECIPIENT_DOMAIN}", "Changing", scheduled_at="in 5 hours")
    path = f"/emails/{email_id}"
    assert ">Send now</button>" in reader.get(path).text
    cancelled = reader.send(f"{path}/cancel", {}, page=path)
    assert (cancelled.status, cancelled.headers["location"]) == (303, f"{path}?did=email.cancelled&n=1")
    shown = reader.get(cancelled.headers["location"])
    assert "1 recipient is cancelled." in shown
    assert 'data-event="cancelled"' in shown.text
    assert f"By {EMAIL}" in shown
    assert f"{path}/" not in shown.text
    again = reader.post(f"{path}/cancel", {"token": shown.token})
    assert f"Nothing was changed: {EMAIL} cancelled it" in reader.get(again.headers["location"])


def test_holding_and_releasing(reader: Browser, mails: World) -> None:
    email_id = send(mails, f"ann@{RECIPIENT_DOMAIN}", "Holding", scheduled_at="in 5 hours")
    path = f"/emails/{email_id}"
    back = f"/emails?q=holding&open={email_id}"
    held = reader.send(f"{path}/hold", {"back": back}, page=path)
    assert held.headers["location"] == f"{back}&did=email.held&n=1"
    assert "Held" in reader.get(path)
    released = reader.send(f"{path}/release", {"back": "https://evil.example/emails?"}, page=path)
    assert released.headers["location"].startswith(f"{path}?did=email.released")
    assert sentence(reader.get(path)).startswith("Waits for its time")
    assert reader.send(f"{path}/try", {}, page=path).headers["location"] == f"{path}?did=email.tried&n=1"
    mails.relay.wait_for_status(email_id, {"delivered"}, key=mails.live_key)
    assert reader.send(f"{path}/try", {}, page=path).headers["location"] == f"{path}?did=email.tried&n=0"


def test_a_mail_is_shared_by_a_link_for_two_days(reader: Browser, looker: Browser, mails: World, mixed: str) -> None:
    shared = reader.send(f"/emails/{mixed}/share", {}, page=f"/emails/{mixed}")
    (url,) = re.findall(r'id="shared">([^<]+)<', shared.text)
    with urlopen(unescape(url), timeout=10) as answer:
        assert "Three of" in answer.read().decode()
    assert "email.shared" in reader.get("/audit").text
    refused = looker.post(f"/emails/{mixed}/share", {"token": looker.get("/").token})
    assert (refused.status, "/share" in looker.get(f"/emails/{mixed}").text) == (403, False)
    assert mails.relay.is_running


def test_webhooks_that_were_sent_something_are_there(reader: Browser, mails: World) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    endpoint = WebhookHost()
    mails.thread.run(endpoint.start())
    webhook = rest.post("/v1/webhooks", {"url": endpoint.url, "events": ["email.delivered"]})
    email_id = send(mails, f"ann@{RECIPIENT_DOMAIN}", "Told")
    mails.wait_until(lambda: "Webhook got email.delivered" in reader.get(f"/emails/{email_id}"))
    part = reader.get(f"/emails/{email_id}?part=webhooks")
    assert endpoint.url in part
    assert "Taken" in part
    rest.request("DELETE", f"/v1/webhooks/{webhook['id']}")
    mails.thread.run(endpoint.aclose())
    assert 'data-event="webhook"' not in reader.get(f"/emails/{send(mails, f'ann@{RECIPIENT_DOMAIN}', 'Untold')}").text


def test_a_viewer_changes_nothing(looker: Browser, mails: World) -> None:
    email_id = send(mails, f"ann@{RECIPIENT_DOMAIN}", "Viewing", scheduled_at="in 5 hours")
    page = looker.get(f"/emails/{email_id}")
    assert page.status == 200
    assert f"/emails/{email_id}/" not in page.text
    for change in ("try", "cancel", "hold", "release"):
        assert looker.post(f"/emails/{email_id}/{change}", {"token": page.token}).status == 403
    mails.relay.run("queue", "cancel", email_id)


def test_what_is_not_there_is_missing(reader: Browser) -> None:
    for path in ("em_0000000000001", "nonsense", "em_0000000000001/source", "em_0000000000001/attachments/0"):
        assert (reader.get(f"/emails/{path}").status, reader.get(f"/emails/{path}").page) == (404, "missing")
    assert reader.send("/emails/em_0000000000001/cancel", {}, page="/emails").status == 404


def test_a_large_source_is_cut_and_downloads_whole(reader: Browser, mails: World) -> None:
    text = "0123456789 lorem ipsum dolor\r\n" * 40_000
    content = f"From: hello@{SENDING_DOMAIN}\r\nTo: ann@{RECIPIENT_DOMAIN}\r\nSubject: Large\r\n\r\n{text}"
    _, reply = submit(mails.relay, mails.live_key, f"hello@{SENDING_DOMAIN}", [f"ann@{RECIPIENT_DOMAIN}"], content.encode())
    email_id = reply.rpartition(" ")[2]
    page = reader.get(f"/emails/{email_id}?part=source")
    assert "The first 256.0 KB of 1.1 MB." in page
    assert len(page.text) < 400_000
    assert "Only the beginning is shown" in reader.get(f"/emails/{email_id}?part=text")
    assert len(reader.get(f"/emails/{email_id}/source").text) > len(text)


def test_test_mail_says_where_it_is(reader: Browser, mails: World) -> None:
    body = {"from": "a@b.example", "to": "c@d.example", "subject": "Caught", "text": "x"}
    email_id = RestClient(mails.relay, mails.test_key).post("/v1/emails", body)["id"]
    answer = reader.get(f"/emails/{email_id}")
    assert answer.status == 200
    assert "Test Inbox" in sentence(answer)
    assert email_id not in reader.get("/emails?q=caught").text


def test_the_way_out_of_its_domain_is_named(mails: World, reader: Browser) -> None:
    mails.relay.run("domains", "set", SENDING_DOMAIN, f"delivery=copy:archive@{RECIPIENT_DOMAIN}")
    mails.wait_for_config_change()
    number = RestClient(mails.relay, mails.live_key).post(
        "/v1/emails", {"from": f"shop@{SENDING_DOMAIN}", "to": f"way@{RECIPIENT_DOMAIN}", "subject": "Copied", "text": "x"}
    )["id"]
    mails.relay.run("domains", "set", SENDING_DOMAIN, "delivery=live")
    mails.wait_for_config_change()
    assert f"Also to archive@{RECIPIENT_DOMAIN}, as the setting of its domain says." in reader.get(f"/emails/{number}")
