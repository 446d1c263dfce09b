"""Health in Chromium: sites with their rules, what is stopped with its end, reports received."""

import pytest
from playwright.sync_api import Page

from sendryd.model.domainreport import ReportTopic
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import Browser
from .test_queue import send
from .test_reports import add

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


def test_sites_stops_and_reports_are_on_health(page: Page, mails: World, reader: Browser) -> None:
    send(mails, "site.test", "ann")
    add(mails, [(ReportTopic.TLS, "Health", True)])
    mails.wait_until(lambda: "data-site=" in reader.get("/health").text)
    page.goto("/health")
    page.locator("[data-site] [data-rules]").first.get_by_text("sessions at once").wait_for()
    page.locator(f'[data-received="{SENDING_DOMAIN}"]').first.get_by_text("sessions").wait_for()
    page.wait_for_selector('[data-live="live"]')
    reader.send("/queue/stopped.test/pause", {"for": "hour", "reason": "their server is moved"}, page="/queue/stopped.test")
    row = page.locator('[data-stop="stopped.test"]')
    row.get_by_text("their server is moved").wait_for()
    assert row.locator("time").count() == 2
    reader.send("/queue/stopped.test/resume", {}, page="/queue/stopped.test")
    row.wait_for(state="detached")
