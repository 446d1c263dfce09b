"""What receivers answer, in words, in Chromium: each cause has its sentence, its tone and what to do about it."""

import pytest
from playwright.sync_api import Page

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, World

from .test_emails import send

pytestmark = [pytest.mark.sockets, pytest.mark.needs("chromium")]

# By local part: tone, sentence, the buttons beside the sentence, and whether the mail can be tried now.
CAUSES = {
    "pace": ("slow", "example.org asked us to slow down. Your setup is right; the mail will go out.", ["Open its queue"], True),
    "slow": ("slow", "example.org asks new senders to come back. It usually says yes at the next try.", [], True),
    "gone": ("bad", "There is no gone+cause@example.org: mx.example.org says so. The address is suppressed now.", ["Lift"], False),
    "listed": ("bad", "example.org refuses this server's address: it is on zen.spamhaus.org.", ["Health"], False),
    "full": ("bad", "The mailbox of full+cause@example.org is full.", [], False),
}


def test_each_answer_of_a_receiver_has_its_sentence_tone_and_button(page: Page, mails: World) -> None:
    rest = RestClient(mails.relay, mails.live_key)
    sent = {word: send(mails, f"{word}+cause@{RECIPIENT_DOMAIN}", f"Cause {word}") for word in CAUSES}
    mails.wait_until(lambda: all({"deferred", "bounced"} & set(rest.events(email_id)) for email_id in sent.values()))
    seen, grounds = {}, {}
    for word, email_id in sent.items():
        page.goto(f"/emails/{email_id}")
        said = page.locator(".say")
        tone = str(said.get_attribute("class")).removeprefix("say ")
        may_try = page.get_by_role("button", name="Try now").is_visible()
        seen[word] = (tone, said.locator("[data-sentence]").inner_text(), said.get_by_role("link").all_inner_texts(), may_try)
        grounds[word] = said.evaluate("box => getComputedStyle(box).backgroundColor")
    assert seen == CAUSES
    assert grounds["pace"] == grounds["slow"] != grounds["gone"] == grounds["listed"] == grounds["full"]


def test_the_address_that_bounced_can_be_lifted_and_then_is_not_said_to_be_suppressed(page: Page, mails: World) -> None:
    address = f"gone+lifted@{RECIPIENT_DOMAIN}"
    email_id = send(mails, address, "Lifted")
    mails.relay.wait_for_status(email_id, {"bounced"}, key=mails.live_key)
    page.goto(f"/emails/{email_id}")
    sentence = page.locator("[data-sentence]")
    assert "The address is suppressed now." in sentence.inner_text()
    page.locator(".say").get_by_role("link", name="Lift").click()
    row = page.locator("tr", has_text=address)
    row.get_by_role("button", name="Lift").click()
    page.locator("dialog[open]").get_by_role("button", name="Lift").click()
    row.wait_for(state="detached")
    page.goto(f"/emails/{email_id}")
    assert sentence.inner_text().endswith("mx.example.org says so.")
