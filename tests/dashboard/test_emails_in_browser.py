"""Emails in Chromium: keys, live rows, changes, the frame of a hostile mail."""

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Dialog, Page

from sendryd.testing.world import RECIPIENT_DOMAIN, World

from .conftest import Browser, open_tab
from .test_emails import HOSTILE, send

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


def test_a_mail_is_found_read_and_left_by_keys_alone(page: Page, mails: World) -> None:
    first, second = (send(mails, f"keys{number}@{RECIPIENT_DOMAIN}", "Bykeys") for number in (1, 2))
    page.goto("/emails")
    page.keyboard.press("/")
    page.keyboard.type("bykeys")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=bykeys*")
    page.wait_for_selector(f"[data-id={second}]")
    page.wait_for_load_state()
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator("[aria-selected=true]").get_attribute("data-id") == first
    page.keyboard.press("Enter")
    page.wait_for_url(f"**open={first}*")
    page.wait_for_selector("[data-sentence]")
    page.wait_for_load_state()
    page.keyboard.press("[")
    page.wait_for_url(f"**open={second}*")
    page.keyboard.press("Escape")
    page.wait_for_url("**open=-*")
    assert page.locator("[aria-selected=true]").get_attribute("data-id") == second


def test_new_mail_appears_and_the_chosen_row_stays(page: Page, mails: World) -> None:
    page.goto("/emails?q=appearing")
    page.wait_for_selector("[data-live=live]")
    first = send(mails, f"one@{RECIPIENT_DOMAIN}", "Appearing")
    page.wait_for_selector(f"[data-id={first}]")
    page.wait_for_load_state()
    page.keyboard.press("j")
    second = send(mails, f"two@{RECIPIENT_DOMAIN}", "Appearing")
    page.wait_for_selector(f"[data-id={second}]")
    assert page.locator("[aria-selected=true]").get_attribute("data-id") == first


def test_cancelling_asks_first(page: Page, mails: World) -> None:
    email_id = send(mails, f"later@{RECIPIENT_DOMAIN}", "Asking", scheduled_at="in 2 hours")
    page.goto(f"/emails/{email_id}")
    page.get_by_role("button", name="Cancel").click()
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("[data-event=cancelled]")
    assert "Cancelled" in page.locator("[data-sentence]").inner_text()


def test_the_form_for_chosen_mails_is_one_row_on_a_phone(chromium: Chromium, reader: Browser, mails: World) -> None:
    send(mails, f"narrow@{RECIPIENT_DOMAIN}", "Narrow")
    with open_tab(chromium, reader, width=360, height=800) as tab:
        tab.goto("/emails")
        shown = tab.locator("#choice").locator("select:visible, input:visible, button:visible")
        assert len({box["y"] for each in shown.all() if (box := each.bounding_box())}) == 1
        tab.select_option("#f-change", "hold")
        reason = tab.locator("#f-reason").bounding_box()
        assert reason
        assert reason["width"] > 250


def test_a_hostile_mail_runs_and_fetches_nothing(page: Page, mails: World) -> None:
    evil = "http://evil.example"
    html = (
        f'<link rel=preconnect href="{evil}"><meta http-equiv=refresh content="0;url={evil}/"><base href="{evil}">{HOSTILE}'
        f'<img src="{evil}/x.png"><style>@import "{evil}/a.css"; p {{ background: url({evil}/b.png) }}</style><p>Seen</p>'
        f'<svg onload=alert(1)></svg><iframe src="{evil}"></iframe><form action="{evil}"><input autofocus onfocus=alert(1)></form>'
    )
    email_id = send(mails, f"ann@{RECIPIENT_DOMAIN}", f"Hostile {HOSTILE}", html=html)
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.goto(f"/emails/{email_id}?part=preview")
    page.frame_locator("iframe").get_by_text("Seen").wait_for()
    for part in ("text", "source", "headers"):
        page.goto(f"/emails/{email_id}?part={part}")
    assert dialogs == []
