"""Webhooks over HTTP: who sees and changes what, and what hostile endpoints answer."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sendryd.policy.urlguard import HIDDEN
from sendryd.testing.clients import RestClient
from sendryd.testing.webhookhost import Reaction, WebhookHost
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Answer, Browser

pytestmark = pytest.mark.sockets

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
ANSWERS = {
    "script": Reaction(
        status=500,
        headers={"Content-Type": 'text/html"><script>alert(1)</script>'},
        body=b'"><script>alert(2)</script><img src=x onerror=y>',
    ),
    "binary": Reaction(status=500, headers={"Content-Type": "image/png"}, body=bytes(range(256)) * 8),
    "large": Reaction(status=500, headers={"Content-Type": "text/plain"}, body=b"large " * (10 * 1024 * 1024 // 6)),
}


@dataclass
class Endpoint:
    """A web server, and the webhook that leads to it."""

    world: World
    host: WebhookHost
    path: str  # of the webhook's page
    secret: str

    def show(self, browser: Browser, text: str, query: str = "") -> Answer:
        """The page once it has this text."""
        self.world.wait_until(lambda: text in browser.get(self.path + query))
        return browser.get(self.path + query)


def create(world: World, browser: Browser, host: WebhookHost, *events: str) -> Endpoint:
    answer = browser.send("/webhooks", {"url": host.url + "?key=hidden", **dict.fromkeys(events or ("email.delivered",), "on")})
    assert answer.status == 200, answer.text
    path = re.findall(r'href="(/webhooks/wh_\w+)"', html.unescape(answer.text))[0]
    return Endpoint(world, host, path, html.unescape(SECRET.findall(answer.text)[0]))


@pytest.fixture
def host(mails: World) -> Iterator[WebhookHost]:
    made = WebhookHost()
    mails.thread.run(made.start())
    yield made
    mails.thread.run(made.aclose())


@pytest.fixture
def endpoint(mails: World, reader: Browser, host: WebhookHost) -> Iterator[Endpoint]:
    made = create(mails, reader, host)
    yield made
    reader.send(f"{made.path}/delete", {}, page=made.path)


def row(page: Answer) -> dict[str, str]:
    """Ids of the listed notifications, the newest first, and their states."""
    return dict(re.findall(r'data-id="(whd_\w+)" data-status="(\w+)"', page.text))


def test_a_new_webhook_shows_its_secret_once_and_is_tested_at_once(mails: World, reader: Browser, endpoint: Endpoint) -> None:
    (request,) = mails.thread.run(endpoint.host.wait(1))
    assert json.loads(request.body)["data"]["test"] is True
    page = endpoint.show(reader, "Healthy")
    assert (page.page, endpoint.host.url in page) == ("webhook", True)
    assert list(row(page).values()) == ["delivered"]
    for path in (endpoint.path, "/webhooks", "/audit"):
        assert endpoint.secret not in reader.get(path)
    listed = reader.get("/webhooks")
    assert (listed.page, "100.0 %" in listed) == ("webhooks", True)
    assert re.search(rf'data-id="{endpoint.path.rpartition("/")[2]}" data-status="healthy"', listed.text)
    assert "webhook.added" in reader.get("/audit")


def test_a_viewer_sees_no_button_no_secret_and_no_hidden_part(reader: Browser, looker: Browser, endpoint: Endpoint) -> None:
    (number,) = row(endpoint.show(reader, "Healthy"))
    for path in ("/webhooks", endpoint.path, f"{endpoint.path}?open={number}"):
        page = looker.get(path)
        assert page.status == 200
        assert set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', html.unescape(page.text))) <= {"/sign-out"}
        assert "key=hidden" not in page
        assert not SECRET.search(page.text) or path == "/webhooks"
        assert endpoint.secret not in page
    opened = looker.get(f"{endpoint.path}?open={number}")
    assert f"webhook-signature: {HIDDEN}" in opened
    assert "webhook-timestamp: " in opened
    assert "$WEBHOOK_URL" in opened


CHANGES = ("test", "pause", "resume", "edit", "rotate", "settle", "delete", "replay", "replay-failed", "check")


@pytest.mark.parametrize("change", CHANGES)
def test_a_viewer_and_a_foreign_page_change_nothing(reader: Browser, looker: Browser, endpoint: Endpoint, change: str) -> None:
    token = looker.get(endpoint.path).token
    assert looker.post(f"{endpoint.path}/{change}", {"token": token}).status == 403
    assert looker.post("/webhooks", {"token": token}).status == 403
    mine = reader.get(endpoint.path).token
    assert reader.post(f"{endpoint.path}/{change}", {"token": mine}, {"Sec-Fetch-Site": "cross-site"}).status == 403
    assert reader.post(f"{endpoint.path}/{change}", {}).status == 403
    assert reader.get(endpoint.path).status == 200


@pytest.mark.parametrize("path", ["/webhooks/wh_0000000000000", "/webhooks/wh_x", "/webhooks/x"])
def test_a_webhook_that_is_not_there_is_missing(reader: Browser, path: str) -> None:
    assert (reader.get(path).status, reader.get(path).page) == (404, "missing")
    assert reader.send(f"{path}/test", {}, page="/webhooks").status == 404


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"url": "ftp://example.com/", "email.bounced": "on"}, "The URL must begin with https:// or http://."),
        ({"url": "https://example.com/"}, "A webhook needs at least one event"),
        ({"url": "https://example.com:22/", "email.bounced": "on"}, "Port 22 cannot be that of a webhook"),
    ],
)
def test_what_cannot_be_a_webhook_is_named_beside_the_field(reader: Browser, fields: dict[str, str], text: str) -> None:
    answer = reader.send("/webhooks", fields)
    assert (answer.status, text in answer, fields["url"] in answer) == (422, True, True)


@pytest.mark.parametrize("kind", ANSWERS)
def test_hostile_answers_are_text_and_cut(mails: World, reader: Browser, looker: Browser, host: WebhookHost, kind: str) -> None:
    host.script = lambda _request: ANSWERS[kind]
    endpoint = create(mails, reader, host)
    (number,) = row(endpoint.show(reader, "try 1 of 8"))
    for browser in (reader, looker):
        for query in ("", f"?open={number}"):
            page = browser.get(endpoint.path + query)
            assert page.status == 200
            assert not re.search(r"<script>alert|<img src=x|[\x00-\x08\x0b-\x1f]", page.text)
            assert len(page.text) < 60_000
    opened = reader.get(f"{endpoint.path}?open={number}")
    (answer,) = re.findall(r"data-answer>(.*?)</pre>", opened.text, re.DOTALL)
    assert len(html.unescape(answer)) <= 2000
    assert {"script": "<script>alert(2)", "binary": "\ufffd", "large": "large large"}[kind] in html.unescape(answer)
    reader.send(f"{endpoint.path}/delete", {}, page=endpoint.path)


def test_one_is_replayed_under_its_id(mails: World, reader: Browser, endpoint: Endpoint) -> None:
    (number,) = row(endpoint.show(reader, "Healthy"))
    done = reader.send(f"{endpoint.path}/replay", {number: "1"}, page=endpoint.path)
    assert done.headers["location"] == f"{endpoint.path}?did=replay&n=1"
    assert "1 event is sent again." in reader.get(done.headers["location"])
    first, again = mails.thread.run(endpoint.host.wait(2))
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert json.loads(first.body)["data"] == json.loads(again.body)["data"]
    assert "webhook.replayed" in reader.get("/audit")


def test_the_list_is_filtered_by_event_code_time_and_state(reader: Browser, endpoint: Endpoint) -> None:
    endpoint.show(reader, "Healthy")
    for query, number in (
        ("event=email.delivered&code=200", 1),
        ("event=email.bounced", 0),
        ("code=500", 0),
        ("show=failing", 0),
        ("show=waiting", 0),
        ("from=2026-01-01T00:00&to=2126-01-01T00:00", 1),
        ("from=2126-01-01T00:00", 0),
        ("event=nonsense&code=abc&from=x&show=y&before=z&open=q", 1),
    ):
        assert len(row(reader.get(f"{endpoint.path}?{query}"))) == number, query


def test_a_paused_webhook_waits_until_it_goes_on(reader: Browser, endpoint: Endpoint) -> None:
    endpoint.show(reader, "Healthy")
    assert reader.send(f"{endpoint.path}/pause", {}, page=endpoint.path).status == 303
    page = reader.get(endpoint.path)
    assert ("Paused" in page, "Go on" in page, "Send a test event" in page) == (True, True, False)
    assert reader.send(f"{endpoint.path}/test", {}, page=endpoint.path).status == 409
    assert reader.send(f"{endpoint.path}/resume", {}, page=endpoint.path).status == 303
    assert "Healthy" in reader.get(endpoint.path)


def test_url_and_events_are_changed(reader: Browser, endpoint: Endpoint) -> None:
    other = endpoint.host.url + "/other"
    assert reader.send(f"{endpoint.path}/edit", {"url": other, "email.bounced": "on"}, page=endpoint.path).status == 303
    page = reader.get(endpoint.path)
    assert (other in page, 'name="email.bounced" checked' in page.text, 'name="email.delivered" checked' in page.text) == (
        True,
        True,
        False,
    )
    wrong = reader.send(f"{endpoint.path}/edit", {"url": "nonsense", "email.bounced": "on"}, page=endpoint.path)
    assert (wrong.status, "The URL must begin with" in wrong) == (422, True)


def test_a_rotated_secret_is_valid_beside_the_old_one_until_it_is_settled(mails: World, reader: Browser, endpoint: Endpoint) -> None:
    (request,) = mails.thread.run(endpoint.host.wait(1))
    fields = {"headers": json.dumps(dict(request.headers)), "body": request.body.decode()}

    def check(fields: dict[str, str]) -> str:
        answer = reader.send(f"{endpoint.path}/check", fields, page=endpoint.path)
        return html.unescape(re.findall(r'role="status"><span>([^<]*)</span></div>\s*<form class="form"', answer.text)[0])

    assert "the present secret" in check(fields)
    rotated = reader.send(f"{endpoint.path}/rotate", {}, page=endpoint.path)
    new = html.unescape(SECRET.findall(rotated.text)[0])
    assert new != endpoint.secret
    assert "which is still valid" in check(fields)
    assert "Two secrets are valid until" in reader.get(endpoint.path)
    reader.send(f"{endpoint.path}/settle", {}, page=endpoint.path)
    assert "Two secrets are valid until" not in reader.get(endpoint.path)
    assert "No secret of this webhook" in check(fields)
    assert "No secret of this webhook" in check({**fields, "body": fields["body"] + "x"})
    unsigned = reader.send(f"{endpoint.path}/check", {"headers": "<script>", "body": "x"}, page=endpoint.path)
    assert (unsigned.status, "The text has no signature" in unsigned, "<script></textarea>" in unsigned.text) == (422, True, False)


def test_the_page_of_a_mail_lists_what_webhooks_were_sent(mails: World, reader: Browser, looker: Browser, endpoint: Endpoint) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    body = {"from": f"shop@{SENDING_DOMAIN}", "to": f"ann@{RECIPIENT_DOMAIN}", "subject": "Told", "text": "x"}
    path = f"/emails/{rest.post('/v1/emails', body)['id']}?part=webhooks"
    mails.wait_until(lambda: "Try 1: 200" in reader.get(path))
    shown = reader.get(path)
    assert endpoint.host.url in shown
    assert "Taken" in shown
    link = re.findall(rf'href="({endpoint.path}\?open=whd_\w+)#', html.unescape(shown.text))[0]
    assert "webhook-id: evt_" in reader.get(link)
    for hidden in (path, path.replace("webhooks", "timeline")):
        assert "key=hidden" not in looker.get(hidden)
        assert f"/{HIDDEN}" in looker.get(hidden)


def test_a_deleted_webhook_is_gone(reader: Browser, mails: World, host: WebhookHost) -> None:
    endpoint = create(mails, reader, host)
    assert reader.send(f"{endpoint.path}/delete", {}, page=endpoint.path).headers["location"] == "/webhooks"
    assert reader.get(endpoint.path).status == 404


def test_a_member_works_with_webhooks(owner: Browser, member: Browser) -> None:
    assert owner.cookies
    made = member.send("/webhooks", {"url": "https://hooks.example.com/secret-path", "email.bounced": "on"})
    assert (made.status, made.page) == (200, "webhook")
    path = re.findall(r'href="(/webhooks/wh_\w+)"', html.unescape(made.text))[0]
    assert "https://hooks.example.com/secret-path" in member.get(path)
    assert member.send(f"{path}/delete", {}, page=path).status == 303


def test_without_a_webhook_the_page_says_how_to_verify(owner: Browser) -> None:
    page = owner.get("/webhooks")
    assert "Tell your app what became of its mail" in page
    for language in ("Python", "Node.js", "Go", "Java", "Perl", "Shell"):
        assert f"<summary>{language}</summary>" in page.text
