"""Tokens and links of our own."""

import base64
import re
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.ids import AccountId, DeliveryId, MessageId
from sendryd.policy.tracking import (
    MAX_LIST_ID,
    MAX_TARGET,
    ClickToken,
    OpenToken,
    ShareToken,
    Token,
    UnsubscribeToken,
    click_wrapper,
    mint_click,
    mint_open,
    mint_share,
    mint_unsubscribe,
    open_url,
    read_token,
    redirect_location,
    share_url,
    unsubscribe_url,
)
from sendryd.testing.cases import cases

SECRET = b"a secret of thirty-two octets...."
BASE = "https://mail.example.test"
DELIVERY = DeliveryId(2**62 + 5)
ACCOUNT = AccountId(7)
EXPIRY = datetime(2026, 3, 3, 12, tzinfo=UTC)
URL = "https://shop.example/a?b=c&d=%2F#e"


def mint_all() -> dict[str, Token]:
    return {
        mint_open(SECRET, DELIVERY): OpenToken(DELIVERY),
        mint_click(SECRET, DELIVERY, URL): ClickToken(DELIVERY, URL),
        mint_unsubscribe(SECRET, DELIVERY, account_id=ACCOUNT, address="jürgen@example.org", list_id="news"): UnsubscribeToken(
            DELIVERY, ACCOUNT, "jürgen@example.org", "news"
        ),
        mint_unsubscribe(SECRET, DELIVERY, account_id=ACCOUNT, address="b@example.org", list_id=None): UnsubscribeToken(
            DELIVERY, ACCOUNT, "b@example.org", None
        ),
        mint_unsubscribe(SECRET, DELIVERY, account_id=ACCOUNT, address="b@example.org", list_id=""): UnsubscribeToken(
            DELIVERY, ACCOUNT, "b@example.org", ""
        ),
        mint_share(SECRET, MessageId(9), account_id=ACCOUNT, expires_at=EXPIRY): ShareToken(MessageId(9), ACCOUNT, EXPIRY),
    }


def test_every_token_is_read_as_it_was_minted() -> None:
    for text, token in mint_all().items():
        assert read_token(SECRET, text) == token
        assert re.fullmatch(r"[A-Za-z0-9_-]+", text)


def test_a_pixel_is_short() -> None:
    assert len(mint_open(SECRET, DELIVERY)) <= 36


def test_another_secret_reads_nothing() -> None:
    assert [read_token(b"another", text) for text in mint_all()] == [None] * 6


@cases("text", list(mint_all()), ids=["open", "click", "unsubscribe", "unsubscribe all", "empty list", "share"])
def test_no_letter_can_be_changed_left_out_or_added(text: str) -> None:
    for position, letter in enumerate(text):
        for other in "A_z9":
            if other != letter:
                assert read_token(SECRET, text[:position] + other + text[position + 1 :]) is None
        assert read_token(SECRET, text[:position] + text[position + 1 :]) is None
        assert read_token(SECRET, text[:position]) is None
    for more in ("A", "=", "==", "\n", " ", "\0", "ä", "AAAA"):
        assert read_token(SECRET, text + more) is None


def test_a_token_has_one_spelling() -> None:
    text = next(text for text in mint_all() if len(text) % 4)
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    spellings = [text[:-1] + letter for letter in alphabet]
    octets = {base64.urlsafe_b64decode(each + "=" * (-len(each) % 4)) for each in spellings}
    assert len(octets) < len(spellings), "some letters at the end mean the same"
    assert [each for each in spellings if read_token(SECRET, each)] == [text]


def test_the_standard_alphabet_of_base64_is_not_taken() -> None:
    text = next(text for text in (mint_open(SECRET, DeliveryId(number)) for number in range(100)) if "-" in text or "_" in text)
    assert read_token(SECRET, text) is not None
    assert read_token(SECRET, text.replace("-", "+").replace("_", "/")) is None


@cases("text", ["", "A", "AA", "A" * 10_000, "A" * 1_000_000, "..", "../../etc/passwd", "%00", "A" * 36, "=" * 8, "\ud800"])
def test_rubbish_is_nothing(text: str) -> None:
    assert read_token(SECRET, text) is None


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    assert read_token(SECRET, text) is None


def test_what_is_too_long_is_not_minted() -> None:
    url = "https://example.com/"
    longest = url + "x" * (MAX_TARGET - len(url))
    assert read_token(SECRET, mint_click(SECRET, DELIVERY, longest)) == ClickToken(DELIVERY, longest)
    with pytest.raises(ValueError, match="8193 octets"):
        mint_click(SECRET, DELIVERY, longest + "x")
    with pytest.raises(ValueError, match="http or https"):
        mint_click(SECRET, DELIVERY, "javascript:alert(1)")
    for address, list_id in (("b@example.org", "x" * (MAX_LIST_ID + 1)), ("b" * 600, "x")):
        with pytest.raises(ValueError, match="at most"):
            mint_unsubscribe(SECRET, DELIVERY, account_id=ACCOUNT, address=address, list_id=list_id)


def test_the_longest_unsubscribe_link_fits_a_header_line() -> None:
    url = unsubscribe_url(BASE, SECRET, DELIVERY, account_id=ACCOUNT, address="b" * 254, list_id="x" * MAX_LIST_ID)
    assert len(f"List-Unsubscribe: <{url}>") < 998


def test_links_stand_under_the_public_url() -> None:
    for public_url in (BASE, BASE + "/"):
        assert open_url(public_url, SECRET, DELIVERY) == f"{BASE}/o/{mint_open(SECRET, DELIVERY)}"
    assert share_url(BASE, SECRET, MessageId(9), account_id=ACCOUNT, expires_at=EXPIRY).startswith(f"{BASE}/s/")


def test_a_wrapped_link_leads_back_to_its_target() -> None:
    wrap = click_wrapper(BASE, SECRET, DELIVERY, ())
    wrapped = wrap(f" {URL}\n")
    assert wrapped is not None
    head, _, token = wrapped.rpartition("/")
    assert head == f"{BASE}/c"
    assert read_token(SECRET, token) == ClickToken(DELIVERY, URL)


@cases(
    "url",
    [
        "https://shop.example/unsubscribe?u=1",
        " https://shop.example/unsubscribe?u=1 ",
        f"{BASE}/o/x",
        f"{BASE}/c/x",
        f"{BASE}/u/x",
        f"{BASE}/s/x",
        "mailto:a@example.com",
        "tel:+123",
        "#anchor",
        "/path",
        "//evil.example/",
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://example.com/",
        "https:\\\\evil.example",
        "https:/example.com",
        "https://",
        "https:///path",
        "https://example.com/\r\nSet-Cookie: a=b",
        "https://example.com/\0",
        "https://example.com/\u2028",
        "https://example.com/\ud800",
        "https://example.com/" + "x" * MAX_TARGET,
        "https://example.com/" + "ü" * (MAX_TARGET // 2),
    ],
)
def test_what_is_left_alone(url: str) -> None:
    assert click_wrapper(BASE + "/", SECRET, DELIVERY, ["https://shop.example/unsubscribe?u=1"])(url) is None


@cases(
    ("url", "location"),
    [
        (URL, URL),
        ("HTTP://Example.COM", "HTTP://Example.COM"),
        ("http://u:p@h.example:8080/?q=%zz&a;b|c^`{}'\"<>", "http://u:p@h.example:8080/?q=%zz&a;b|c^`{}'\"<>"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://example.com/ü?ö=€#😀", "https://example.com/%C3%BC?%C3%B6=%E2%82%AC#%F0%9F%98%80"),
        ("https://Bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://jürgen@bücher.example/", "https://j%C3%BCrgen@xn--bcher-kva.example/"),
        ("https://\u2603\u0301\u200d.example/", "https://%E2%98%83%CC%81%E2%80%8D.example/"),
        ("https://example.com\\@evil.example/", "https://example.com\\@evil.example/"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/"),
    ],
)
def test_a_location_is_the_url_in_ascii(url: str, location: str) -> None:
    assert redirect_location(url) == location


@given(st.text())
def test_a_location_is_one_line_of_ascii(text: str) -> None:
    location = redirect_location("https://h" + text)
    assert location is None or re.fullmatch(r"https://[\x21-\x7e]+", location)
