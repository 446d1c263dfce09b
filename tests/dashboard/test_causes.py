"""What receivers answer, in words: each cause has its sentence, its tone and what to do about it."""

import re
from html import unescape

import pytest

from sendryd.testing.clients import RestClient
from sendryd.testing.world import RECIPIENT_DOMAIN, World

from .conftest import Browser
from .test_email import sentence
from .test_emails import send

pytestmark = pytest.mark.sockets

CAUSES = {
    "pace": ("slow", "example.org asked us to slow down. Your setup is right; the mail will go out.", {"Open its queue", "Try now"}),
    "slow": ("slow", "example.org asks new senders to come back. It usually says yes at the next try.", {"Try now"}),
    "gone": ("bad", "There is no gone+cause@example.org: mx.example.org says so. The address is suppressed now.", {"Lift"}),
    "listed": ("bad", "example.org refuses this server's address: it is on zen.spamhaus.org.", {"Health"}),
    "full": ("bad", "The mailbox of full+cause@example.org is full.", set()),
}


@pytest.fixture(scope="module")
def tried(mails: World) -> dict[str, str]:
    """A mail for each answer, tried once."""
    rest = RestClient(mails.relay, mails.live_key)
    sent = {word: send(mails, f"{word}+cause@{RECIPIENT_DOMAIN}", f"Cause {word}") for word in CAUSES}
    mails.wait_until(lambda: all({"deferred", "bounced"} & set(rest.events(email_id)) for email_id in sent.values()))
    return sent


@pytest.mark.parametrize("word", CAUSES)
def test_each_answer_of_a_receiver_has_its_sentence_tone_and_button(reader: Browser, tried: dict[str, str], word: str) -> None:
    tone, words, buttons = CAUSES[word]
    answer = reader.get(f"/emails/{tried[word]}")
    assert sentence(answer) == words
    assert f'class="say {tone}"' in answer.text
    shown = set(re.findall(r">([^<>]+)</(?:a|button)>", unescape(answer.text)))
    assert buttons <= shown
    assert ("Try now" in shown) is ("Try now" in buttons)


def test_the_address_that_bounced_can_be_lifted_and_then_is_not_said_to_be_suppressed(mails: World, reader: Browser) -> None:
    email_id = send(mails, f"gone+lifted@{RECIPIENT_DOMAIN}", "Lifted")
    mails.relay.wait_for_status(email_id, {"bounced"}, key=mails.live_key)
    assert "The address is suppressed now." in sentence(reader.get(f"/emails/{email_id}"))
    mails.relay.run("suppressions", "remove", f"gone+lifted@{RECIPIENT_DOMAIN}")
    mails.wait_until(
        lambda: sentence(reader.get(f"/emails/{email_id}")).endswith("says so.")
    )  # the server looks for changes twice a second
