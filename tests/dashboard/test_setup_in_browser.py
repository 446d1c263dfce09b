"""Domains and API keys in Chromium: dialogs, copying, and a policy that nothing breaks."""

import pytest
from playwright.sync_api import Page

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]


def test_a_domain_is_added_copied_and_removed_with_its_name_typed(page: Page) -> None:
    page.goto("/domains")
    page.get_by_label("Which domain do you send from?").fill("browser.example")
    page.get_by_role("button", name="Add it").click()
    page.wait_for_url("**/domains/browser.example")
    page.get_by_role("button", name="Check now").click()
    page.wait_for_selector('[data-record="spf"][data-verdict="edit"]')
    page.get_by_role("button", name="Copy the name of dkim").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").endswith("._domainkey.browser.example")
    page.get_by_role("link", name="Settings").last.click()
    page.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Type its name").fill("browser.example")
    dialog.get_by_role("button", name="Remove").click()
    page.wait_for_url("**/domains")
    assert page.locator('a[href="/domains/browser.example"]').count() == 0


def test_a_key_is_created_and_revoked_in_a_dialog(page: Page) -> None:
    page.goto("/keys")
    page.get_by_label("Name of the app").fill("browser key")
    page.get_by_role("button", name="Create").click()
    assert page.locator("#secret").inner_text().startswith("sn_test_")
    page.get_by_role("link", name="All keys").click()
    row = page.locator("tr", has_text="browser key")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.locator('tr[data-status="revoked"]', has_text="browser key").wait_for()
