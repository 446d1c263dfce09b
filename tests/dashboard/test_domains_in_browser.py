"""Domains in Chromium: what is wrong, the edit, and how the page follows what is published."""

import re

import dkim
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from sendryd.testing.clients import RestClient, submit
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser, open_tab

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

FOUND = ("v=spf1 include:_spf.mail.example ~all", "v=spf1 ip4:198.51.100.7 -all")


def heading_of(number: int) -> str:
    """What Home says when so many things need somebody."""
    words = ("All is well", "One thing needs you", "Two things need you", "Three things need you", "Four things need you")
    return words[number] if number < len(words) else f"{('Five', 'Six', 'Seven', 'Eight', 'Nine', 'Ten')[number - 5]} things need you"


def add(mails: World, name: str) -> None:
    """Adds a domain whose DKIM and DMARC are right."""
    made = RestClient(mails.relay, mails.live_key).post("/v1/domains", {"name": name})
    for record in made["dns_records"]:
        if record["name"] != name:
            mails.nameserver.set_text(record["name"], record["value"])


def test_two_spf_records_become_one_line_and_right_without_a_click(page: Page, mails: World) -> None:
    add(mails, "merge.example")
    mails.nameserver.set_text("_spf.mail.example", "v=spf1 ip4:203.0.113.0/24 -all")
    mails.nameserver.set_text("merge.example", *FOUND)
    home = page.context.new_page()
    home.goto("/")
    thing = home.locator('[data-thing="domain:merge.example"]')
    expect(thing).to_be_visible()
    page.goto("/domains/merge.example")
    spf = page.locator('[data-record="spf"]')
    struck = spf.locator(".edit .gone s")
    expect(struck).to_have_text(sorted(FOUND))
    added = spf.locator(".edit .new bdi")
    expect(added).to_have_text(re.compile(r"v=spf1 include:_spf.mail.example ip4:198.51.100.7 a:\S+ ~all"))
    expect(spf).to_contain_text("Seen by our resolver")
    spf.get_by_role("button", name="Copy the new line").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == added.inner_text()
    expect(thing).to_contain_text("several SPF records")
    before = home.locator("[data-thing]").count()
    heading = home.get_by_role("heading", level=1)
    expect(heading).to_have_text(heading_of(before))
    mails.nameserver.set_text("merge.example", copied)
    expect(spf).to_have_attribute("data-verdict", "right")
    expect(page.locator("#domain-head [data-status]")).to_have_attribute("data-status", "verified")
    expect(thing).to_have_count(0)
    expect(home.locator("[data-thing]")).to_have_count(before - 1)
    expect(heading).not_to_have_text(heading_of(before))
    expect(page.get_by_text("Every required record is right.")).to_be_visible()
    page.get_by_text("checks").last.click()
    assert page.locator(".past li").count() >= 2


def test_dns_that_fails_is_told_apart_from_records_that_are_missing(page: Page, mails: World) -> None:
    add(mails, "silent.example")
    mails.nameserver.servfail.add("silent.example")
    try:
        page.goto("/domains/silent.example")
        page.get_by_role("button", name="Check now").click()
        spf = page.locator('[data-record="spf"][data-verdict="unknown"]')
        expect(spf).to_contain_text("DNS gives no answer")
        expect(page.locator('[data-record="dkim"][data-verdict="right"]')).to_be_visible()
    finally:
        mails.nameserver.servfail.clear()


def test_a_domain_is_read_without_scripts(chromium: Chromium, reader: Browser) -> None:
    with open_tab(chromium, reader, script=False) as tab:
        tab.goto("/domains/example.test")
        expect(tab.locator('[data-record="spf"]')).to_contain_text("v=spf1 a:")


def test_a_test_mail_is_sent_from_a_verified_domain(page: Page) -> None:
    page.goto("/domains/example.test")
    page.get_by_role("button", name="Send a test to me").click()
    page.wait_for_url("**/emails/em_*")
    expect(page.get_by_text("A test from example.test").first).to_be_visible()


def test_mail_from_an_unverified_domain_is_found_as_a_refusal_that_leads_to_the_domain(page: Page, mails: World, reader: Browser) -> None:
    content = b"From: shop@forgotten.example\r\nSubject: x\r\n\r\nx\r\n"
    code, reply = submit(mails.relay, mails.live_key, f"shop@{SENDING_DOMAIN}", ["lost@example.org"], content)
    assert code == 550
    mails.wait_until(lambda: "lost@example.org" in reader.get("/log/smtp?q=lost%40"))
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("lost@example.org")
    page.keyboard.press("Enter")
    refused = page.locator("[data-refused]")
    expect(refused).to_contain_text("No such mail was accepted.")
    expect(refused).to_contain_text(" ".join(reply.split()))
    assert page.locator("tr[data-id^=em_]").count() == 0
    refused.get_by_role("link", name="Verify it").click()
    expect(page.get_by_label("Which domain do you send from?")).to_have_value("forgotten.example")
    page.get_by_role("button", name="Add it").click()
    page.wait_for_url("**/domains/forgotten.example")


def test_a_dkim_key_is_rotated_without_a_gap(page: Page, mails: World) -> None:
    mails.publish("rotate.example")
    rest = RestClient(mails.relay, mails.live_key)

    def send(subject: str) -> bytes:
        rest.post("/v1/emails", {"from": "shop@rotate.example", "to": f"ann@{RECIPIENT_DOMAIN}", "subject": subject, "text": "x"})
        return mails.wait_for_mail(subject).content

    def is_signed_by(content: bytes, selector: str) -> bool:
        is_valid = bool(dkim.verify(content, dnsfunc=lambda name, **_: (mails.published(name.decode()) or "").encode()))
        return is_valid and f"s={selector};".encode() in content

    before = send("Before the rotation")
    page.goto("/domains/rotate.example/keys")
    page.get_by_role("button", name="Make the next key").click()
    pending = page.locator('[data-status="pending"]')
    expect(pending).to_contain_text("Publish this record.")
    selector = str(pending.get_attribute("data-id"))
    while_pending = send("While the key is pending")
    name, value = (pending.locator(f"#{what}-{selector}").text_content() or "" for what in ("name", "value"))
    mails.nameserver.set_text(name, value)
    (domain,) = rest.get("/v1/domains?q=rotate.example")["data"]
    rest.post(f"/v1/domains/{domain['id']}/verify")  # else within 15 s
    active = page.locator(f'[data-id="{selector}"][data-status="active"]')
    expect(active).to_be_visible()
    retired = page.locator('[data-id="sendry"][data-status="retired"]')
    expect(retired).to_contain_text("it is safe to remove from")
    mails.wait_for_config_change()
    after = send("After the rotation")
    assert [is_signed_by(content, by) for content, by in ((before, "sendry"), (while_pending, "sendry"), (after, selector))] == [True] * 3
