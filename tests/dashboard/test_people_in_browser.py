"""Team, Me and Templates in Chromium: a dialog that asks, the QR code, the preview while somebody writes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from sendryd.testing.world import World

from .conftest import Browser, open_tab

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


@pytest.fixture
def page(chromium: Chromium, reader: Browser) -> Iterator[Page]:
    """A tab of the owner, on a phone."""
    with open_tab(chromium, reader, width=360, height=800, scheme="dark") as tab:
        yield tab


def test_removing_asks_first(page: Page, mails: World) -> None:
    mails.relay.json("people", "invite", "phone@acme.example", "--role", "viewer")
    page.goto("/team")
    row = page.locator("tr", has_text="phone@acme.example")
    row.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("status").filter(has_text="withdrawn")).to_be_visible()
    assert page.locator("tr", has_text="phone@acme.example").count() == 0
    mine = page.locator("tr", has_text="mara@acme.example")
    mine.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_preview_follows_what_is_written(page: Page) -> None:
    page.goto("/templates")
    page.fill("#f-name", "Written")
    page.get_by_role("button", name="Create").click()
    page.fill("#f-html", "<h1>Dear {{ name }}</h1>")
    page.fill("#f-data", '{"name": "Ann"}')
    expect(page.frame_locator("iframe.framed").locator("h1")).to_have_text("Dear Ann")
    page.fill("#f-html", "{% if %}")
    expect(page.locator("#preview [role=alert]")).to_be_visible()
    page.fill("#f-html", "<h1>Hi</h1>")
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()


def test_a_viewer_has_no_button_and_the_same_change_by_hand_is_refused_and_in_the_audit(
    chromium: Chromium, reader: Browser, looker: Browser, mails: World
) -> None:
    mails.relay.json("domains", "add", "shown.example")
    page, form = "/domains/shown.example/settings", 'form[action="/domains/shown.example/remove"]'
    with open_tab(chromium, reader) as owner:
        owner.goto(page)
        assert owner.locator(form).count() == 1
    with open_tab(chromium, looker) as viewer:
        viewer.goto(page)
        assert viewer.locator(form).count() == 0
    by_hand = looker.post("/domains/shown.example/remove", {"token": looker.get("/me").token, "name": "shown.example"})
    assert by_hand.status == 403
    with open_tab(chromium, reader) as owner:
        owner.goto("/audit?q=access.refused")
        row = owner.locator("[data-id^=aud_]").first
        assert "vera@acme.example" in row.inner_text()
        assert "shown.example" in row.inner_text()
    assert "shown.example" in str(mails.relay.json("domains", "list"))
