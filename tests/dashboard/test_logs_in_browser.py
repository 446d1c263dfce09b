"""The SMTP log in Chromium: who comes to the door is there without a click."""

import smtplib
import ssl

import pytest
from playwright.sync_api import Page

from sendryd.testing.world import SENDING_DOMAIN, World

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
