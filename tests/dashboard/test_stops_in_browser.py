"""Stopping an account's mail and a site in Chromium, and letting them go on."""

import pytest
from playwright.sync_api import Page

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


@pytest.mark.usefixtures("mails")
def test_an_account_is_suspended_for_a_time_and_goes_on(page: Page) -> None:
    page.goto("/queue")
    page.get_by_role("button", name="Suspend the account").click()
    dialog = page.locator("dialog[open]")
    dialog.locator('[name="for"]').select_option("hour")
    dialog.locator('[name="reason"]').fill("too many complaints")
    dialog.get_by_role("button", name="Suspend it").click()
    notice = page.locator("[data-suspended-account]")
    notice.get_by_text("too many complaints").wait_for()
    assert notice.locator("time").count() == 2
    notice.get_by_role("button", name="Go on").click()
    notice.wait_for(state="detached")


def test_a_site_is_paused_from_health_for_a_time_and_goes_on(page: Page, mails: World) -> None:
    body = {"from": f"shop@{SENDING_DOMAIN}", "to": f"site@{RECIPIENT_DOMAIN}", "subject": "a site", "text": "x"}
    RestClient(mails.relay, mails.live_key).post("/v1/emails", body)
    page.goto("/health")
    row = page.locator("[data-site]").first
    row.get_by_role("button", name="Pause").click()
    dialog = page.locator("dialog[open]")
    dialog.locator('[name="for"]').select_option("hour")
    dialog.locator('[name="reason"]').fill("they asked us to")
    dialog.get_by_role("button", name="Pause it").click()
    stopped = page.locator("[data-stop]")
    stopped.get_by_text("they asked us to").wait_for()
    row.get_by_role("button", name="Go on").wait_for()
    stopped.get_by_role("button", name="Go on").click()
    stopped.wait_for(state="detached")
