"""Queue in Chromium: a destination stops answering and answers again, without a click; questions stay open meanwhile."""

import re

import pytest
from playwright.sync_api import Page, expect

from sendryd.testing.world import World

from .conftest import Browser
from .test_queue import send, wait_for_reply

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


def test_rows_stay_where_they_are_under_the_pointer(page: Page, mails: World, reader: Browser) -> None:
    for domain in ("above.test", "below.test"):
        send(mails, domain, "slow")
        wait_for_reply(mails, reader, domain, "Greylisting in action")
    page.goto("/queue")
    page.wait_for_selector('[data-live="live"]')
    above, below = (page.locator(f'[data-destination="{name}.test"]') for name in ("above", "below"))
    below.get_by_role("button", name="Try all now").hover()
    place = below.bounding_box()
    reader.send("/queue/above.test/cancel", {}, page="/queue")
    page.wait_for_selector('[data-destination="above.test"][data-gone]')
    assert below.bounding_box() == place
    send(mails, "below.test", "slow+2")
    expect(below.locator("dl")).to_contain_text(re.compile(r"Waiting\s*2"))
    page.mouse.move(0, 0)
    above.wait_for(state="detached")
    reader.send("/queue/below.test/cancel", {}, page="/queue")
    below.wait_for(state="detached")


def test_health_shows_what_others_do_without_a_click(page: Page, reader: Browser) -> None:
    page.goto("/health")
    page.wait_for_selector('[data-live="live"]')
    form = page.locator("form", has=page.get_by_role("button", name="Silence", exact=True)).first
    name = form.locator("[name=name]").input_value()
    reader.send("/health/silence", {"name": name, "for": "hour"}, page="/health")
    page.get_by_text("Silenced by Mara Lind until").first.wait_for()
    reader.send("/health/silence", {"name": name}, page="/health")
