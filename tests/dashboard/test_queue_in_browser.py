"""Queue in Chromium: a destination stops answering and answers again, without a click; questions stay open meanwhile."""

import pytest
from playwright.sync_api import Page

from sendryd.testing.world import World

from .test_queue import send

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


def test_a_destination_comes_and_goes_without_a_click(page: Page, mails: World) -> None:
    page.goto("/queue")
    page.wait_for_selector('[data-live="live"]')
    send(mails, "live.test", "slow")
    row = page.locator('[data-destination="live.test"]')
    row.get_by_text("Greylisting in action").wait_for()
    row.get_by_role("button", name="Cancel").click()
    dialog = row.locator("dialog[open]")
    send(mails, "live.test", "slow+2")
    dialog.get_by_role("heading", name="Cancel 2 mails to live.test?").wait_for()
    dialog.get_by_role("button", name="Cancel 2 mails").click()
    page.get_by_text("2 mails are cancelled.").wait_for()
    assert row.count() == 0
