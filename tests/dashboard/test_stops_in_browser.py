"""Stopping an account's mail in Chromium, and letting it go on."""

import pytest
from playwright.sync_api import Page

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
