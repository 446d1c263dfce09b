"""Webhooks in Chromium: an endpoint fails and is mended; all that failed is sent again, once, while the page counts down."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from sendryd.testing.clients import RestClient
from sendryd.testing.webhookhost import Reaction, WebhookHost
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser, open_tab

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

MAILS = 5  # as many failures in a row suspend an endpoint
BROKEN = Reaction(status=500, headers={"Content-Type": "text/plain"}, body=b"KeyError: 'order_id'")


@pytest.fixture
def host(mails: World) -> Iterator[WebhookHost]:
    made = WebhookHost()
    mails.thread.run(made.start())
    yield made
    mails.thread.run(made.aclose())


def send(mails: World, count: int) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    for number in range(count):
        body = {"from": f"shop@{SENDING_DOMAIN}", "to": f"ann@{RECIPIENT_DOMAIN}", "subject": f"Order {number}", "text": "x"}
        rest.post("/v1/emails", body)


def add(page: Page, host: WebhookHost) -> None:
    """Adds a webhook and opens its page."""
    page.goto("/webhooks")
    form = page.locator('form[action="/webhooks"]')
    form.get_by_label("URL").fill(host.url)
    for box in form.locator('input[type="checkbox"]').all():
        box.set_checked(box.get_attribute("name") == "email.delivered")
    form.get_by_role("button", name="Add and send a test event").click()
    page.get_by_role("heading", name="Webhook created").wait_for()
    assert (page.locator("#secret").text_content() or "").startswith("whsec_")
    page.get_by_role("link", name="See what it answers to the test event").click()


def delete(page: Page) -> None:
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/webhooks")


def test_what_failed_is_sent_again_once_while_the_page_counts_down(page: Page, mails: World, host: WebhookHost) -> None:
    add(page, host)
    page.get_by_text("Healthy").wait_for()
    page.wait_for_selector('[data-live="live"]')
    host.script = lambda _request: BROKEN
    send(mails, MAILS)
    button = page.get_by_role("button", name=f"Replay {MAILS} failed", exact=True)
    button.wait_for()
    state = page.locator("#webhook-state")
    assert "Failing" in state.inner_text()
    assert "since" in state.inner_text()
    row = page.locator('#webhook-rows li[data-status="pending"]').first
    assert "KeyError: 'order_id'" in row.inner_text()
    assert "try 1 of 8" in row.inner_text()
    assert "next" in row.inner_text()
    failed = {request.headers["webhook-id"] for request in host.received[1:]}
    assert len(failed) == MAILS
    before = len(host.received)
    slow = Reaction(body=b"ok", drip=0.01)
    host.script = lambda _request: slow
    button.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name=f"Send {MAILS} failed events again?").wait_for()
    assert dialog.locator('[type="submit"]').count() == 1
    dialog.get_by_role("button", name=f"Send {MAILS} again").click()
    page.get_by_text(f"{MAILS} events are sent again.").wait_for()
    page.get_by_text(f"All {MAILS} were sent again").wait_for()
    again = [request.headers["webhook-id"] for request in host.received[before:]]
    assert sorted(again) == sorted(failed)
    page.get_by_text("Healthy").wait_for()
    assert page.get_by_role("button", name="failed", exact=False).count() == 0
    delete(page)


def test_chosen_rows_stay_chosen_while_others_come_in(page: Page, mails: World, host: WebhookHost) -> None:
    add(page, host)
    page.get_by_text("Healthy").wait_for()
    page.wait_for_selector('[data-live="live"]')
    box = page.locator('#webhook-rows input[type="checkbox"]').first
    name = box.get_attribute("name")
    box.check()
    send(mails, 1)
    page.locator("#webhook-rows li").nth(1).wait_for()
    assert page.locator(f'input[name="{name}"][type="checkbox"]').is_checked()
    assert page.locator("#webhook-rows input:checked").count() == 1
    page.get_by_role("button", name="Replay the chosen").click()
    page.get_by_text("1 event is sent again.").wait_for()
    requests = mails.thread.run(host.wait(3))
    assert json.loads(requests[0].body)["id"] == json.loads(requests[2].body)["id"]
    delete(page)


def test_a_row_opens_to_its_request_and_answer(page: Page, host: WebhookHost) -> None:
    add(page, host)
    page.get_by_role("link", name="email.delivered").click()
    page.get_by_text("Request", exact=True).click()
    shown = page.locator("#webhook-rows li").inner_text()
    assert "POST /hook HTTP/1.1" in shown
    assert "webhook-signature: v1," in shown
    assert '"test":true' in shown
    page.get_by_role("button", name="Copy as curl").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -X POST http://127.0.0.1:")
    assert "webhook-timestamp" in copied
    delete(page)


def test_the_pages_read_without_script(chromium: Chromium, mails: World, reader: Browser, page: Page, host: WebhookHost) -> None:
    add(page, host)
    page.get_by_text("Healthy").wait_for()
    address = page.url
    with open_tab(chromium, reader, script=False) as tab:
        tab.goto(address)
        assert "Healthy" in tab.locator("#webhook-state").inner_text()
        tab.goto("/webhooks")
        assert host.url in tab.locator("#webhooks").inner_text()
    delete(page)
