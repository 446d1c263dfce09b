"""The SMTP log in Chromium: who comes to the door is there without a click."""

import smtplib
import ssl

import pytest
from playwright.sync_api import Page

from sendryd.testing.clients import RestClient
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import Browser

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


def test_a_client_appears_while_it_is_connected(page: Page, mails: World) -> None:
    page.goto("/log/smtp?q=live.visits.test")
    page.wait_for_selector('[data-live="live"]')
    with smtplib.SMTP(*mails.relay.smtp, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=str(mails.relay.cert)))
        smtp.ehlo(name="live.visits.test")
        smtp.login("sendry", mails.live_key)
        page.locator('[data-session][data-status="open"]').get_by_text("live.visits.test").wait_for()
        smtp.sendmail(f"shop@{SENDING_DOMAIN}", ["a@example.org"], f"From: shop@{SENDING_DOMAIN}\r\n\r\nx\r\n")
        page.get_by_text("1 mail to 1 recipient").first.wait_for()
    page.locator('[data-session][data-status="ended"]').get_by_text("live.visits.test").wait_for()


def test_requests_and_keys_appear_without_a_click(page: Page, mails: World, reader: Browser) -> None:
    page.goto("/log/api?q=/v1/regions")
    page.wait_for_selector('[data-live="live"]')
    assert page.locator("#requests [data-id]").count() == 0
    RestClient(mails.relay, mails.live_key).get("/v1/regions")
    row = page.locator("#requests [data-id]").first
    row.locator("summary").click()
    row.get_by_text("Repeat it").wait_for()
    RestClient(mails.relay, mails.live_key).get("/v1/regions")
    page.locator("#requests [data-id]").nth(1).wait_for()
    page.goto("/keys")
    page.wait_for_selector('[data-live="live"]')
    reader.send("/keys", {"name": "made elsewhere", "mode": "test", "scope": "sending_access"})
    page.get_by_text("made elsewhere").first.wait_for(timeout=20_000)
