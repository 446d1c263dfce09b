"""A recipient's own copy."""

import email
import email.policy
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from sendryd.intake.personal import Personaliser
from sendryd.model.ids import DeliveryId
from sendryd.model.message import Message, MessageType
from sendryd.policy.tracking import ClickToken, OpenToken, Token, UnsubscribeToken, read_token
from sendryd.testing.samples import ACCOUNT, Samples

SECRET = b"the installation's own secret..."
BASE = "https://mail.example.test"
DELIVERY, OTHER = DeliveryId(11), DeliveryId(12)
HTML = (
    b"From: a@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"List-Unsubscribe: <mailto:off@example.test>,\r\n <https://shop.example/off?u=1>\r\n\r\n"
    b'<html><body><a href="https://shop.example/a?x=1&amp;y=2">A</a><a href="https://shop.example/off?u=1">off</a>'
    b'<a href="https://shop.example/own">own</a><a href="mailto:a@example.test">mail</a></body></html>\r\n'
)
PLAIN = b"From: a@example.test\r\nSubject: x\r\n\r\nhttps://shop.example/a\r\n"


@pytest.fixture
def message() -> Message:
    return Samples().message().message


@pytest.fixture
def personaliser() -> Personaliser:
    return Personaliser(BASE + "/", SECRET)


def parse(content: bytes) -> Any:
    return email.message_from_bytes(content, policy=email.policy.default)


def links(content: bytes) -> list[str]:
    return [unescape(url) for url in re.findall(r'(?:href|src)="([^"]*)"', parse(content).get_content())]


def token_of(url: str) -> Token | None:
    assert url.startswith(BASE + "/")
    return read_token(SECRET, url.rpartition("/")[2])


def test_untracked_messages_are_not_copied(message: Message, personaliser: Personaliser) -> None:
    assert personaliser.copy_for(message, DELIVERY, "b@example.org", HTML) is HTML


def test_the_pixel_is_the_recipient_s_own(message: Message, personaliser: Personaliser) -> None:
    opened = replace(message, track_opens=True)
    for delivery_id in (DELIVERY, OTHER):
        urls = links(personaliser.copy_for(opened, delivery_id, "b@example.org", HTML))
        assert [token_of(url) for url in urls if "/o/" in url] == [OpenToken(delivery_id)]
        assert not [url for url in urls if "/c/" in url]


def test_links_are_the_recipient_s_own_but_for_the_ways_out(message: Message, personaliser: Personaliser) -> None:
    clicked = replace(message, track_clicks=True, unsubscribe_url="https://shop.example/own")
    copy = personaliser.copy_for(clicked, DELIVERY, "b@example.org", HTML)
    first, *others = links(copy)
    assert token_of(first) == ClickToken(DELIVERY, "https://shop.example/a?x=1&y=2")
    assert others == ["https://shop.example/off?u=1", "https://shop.example/own", "mailto:a@example.test"]
    assert parse(copy)["List-Unsubscribe"] == parse(HTML)["List-Unsubscribe"]


def test_a_text_is_left_as_it_is(message: Message, personaliser: Personaliser) -> None:
    assert personaliser.copy_for(replace(message, track_clicks=True, track_opens=True), DELIVERY, "b@example.org", PLAIN) == PLAIN


@pytest.mark.parametrize(
    ("own", "second"),
    [
        (None, None),
        ("https://shop.example/ö>?a=<b>", "https://shop.example/%C3%B6%3E?a=%3Cb%3E"),
        ("mailto:off@example.test?subject=off", "mailto:off@example.test?subject=off"),
        ("mailto:a>,<https://evil.example/", None),
        ("javascript:alert(1)", None),
        ("https://shop.example/" + "x" * 1000, None),
        ("https://e.example/\r\nBcc: x@example.org", None),
    ],
)
def test_marketing_names_our_page_and_then_the_sender_s(
    message: Message, personaliser: Personaliser, own: str | None, second: str | None
) -> None:
    marketing = replace(message, type=MessageType.MARKETING, list_id="news", unsubscribe_url=own)
    copy = parse(personaliser.copy_for(marketing, DELIVERY, "b@example.org", PLAIN))
    first, *others = re.findall(r"<([^<>]*)>", copy["List-Unsubscribe"].replace("\r\n", "").replace(" ", ""))
    assert first.startswith(BASE + "/u/")
    assert token_of(first) == UnsubscribeToken(DELIVERY, ACCOUNT, "b@example.org", "news")
    assert others == ([] if second is None else [second])
    assert copy["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert copy["Bcc"] is None


def test_a_list_whose_name_fits_no_link_lets_people_out_of_all(message: Message, personaliser: Personaliser) -> None:
    marketing = replace(message, type=MessageType.MARKETING, list_id="ü" * 200)
    copy = parse(personaliser.copy_for(marketing, DELIVERY, "b@example.org", PLAIN))
    (url,) = re.findall(r"<([^<>]*)>", copy["List-Unsubscribe"])
    assert token_of(url) == UnsubscribeToken(DELIVERY, ACCOUNT, "b@example.org", None)


def test_a_copy_is_the_same_each_time(message: Message, personaliser: Personaliser) -> None:
    marketing = replace(message, type=MessageType.MARKETING, track_opens=True, track_clicks=True)
    first, again = (personaliser.copy_for(marketing, DELIVERY, "b@example.org", HTML) for _ in range(2))
    assert first == again
    assert first != personaliser.copy_for(marketing, OTHER, "c@example.org", HTML)


def test_a_content_that_cannot_be_read_is_sent_as_it_is(message: Message, personaliser: Personaliser) -> None:
    broken = b"no header at all\x00"
    assert personaliser.copy_for(replace(message, track_clicks=True), DELIVERY, "b@example.org", broken) == broken
