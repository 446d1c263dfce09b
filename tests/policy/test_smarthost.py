"""How smart hosts are written, and the lanes of those that domains name."""

import pytest

from sendryd.policy.routing import Security, SmartHost
from sendryd.policy.smarthost import (
    domain_of,
    lane_of,
    parse_destination,
    parse_smart_host,
    parse_wanted,
    smart_host_lane,
    split_lane,
    write_smart_host,
)
from sendryd.smtp.address import AddressError


@pytest.mark.parametrize(
    ("text", "shown", "lane"),
    [
        ("smtp://user:p%40ss@mail.example.com:2525", "smtp://user@mail.example.com:2525", "mail.example.com:2525"),
        ("smtps://mail.example.com", "smtps://mail.example.com:465", "mail.example.com:465"),
        ("smtp+notls://a%40b.example:secret@[2001:db8::1]", "smtp+notls://a%40b.example@[2001:db8::1]:25", "[2001:db8::1]:25"),
        ("SMTP://Mail.Example.com", "smtp://mail.example.com:587", "mail.example.com:587"),
    ],
)
def test_a_smart_host_is_shown_without_its_password_and_has_a_lane(text: str, shown: str, lane: str) -> None:
    smart_host = parse_smart_host(text)
    assert smart_host is not None
    assert write_smart_host(smart_host) == shown
    assert parse_smart_host(write_smart_host(smart_host, with_password=True)) == smart_host
    found = smart_host_lane(text, 1)
    assert found.startswith(f"{lane}~")
    assert lane_of(found) == parse_destination(found) == found
    assert split_lane(found) == split_lane(lane) == (smart_host.host, smart_host.port)


def test_another_account_user_or_scheme_is_another_lane_and_another_password_is_not() -> None:
    urls = ("smtp://user:one@mail.example.com:587", "smtp://other:one@mail.example.com:587", "smtps://user:one@mail.example.com:587")
    assert len({smart_host_lane(url, account) for url in urls for account in (1, 2)}) == 6
    assert smart_host_lane("smtp://user:two@mail.example.com:587", 1) == smart_host_lane(urls[0], 1)


@pytest.mark.parametrize(
    "text",
    ["mail.example.com", "http://mail.example.com", "smtp://:secret@mail.example.com", "smtp://u:secret@mail:0", "smtp://u:secret%00@mail"],
)
def test_a_fault_says_what_to_change_and_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="smart host") as raised:
        parse_smart_host(text)
    assert "secret" not in str(raised.value)


def test_a_domain_is_no_lane_of_a_smart_host() -> None:
    assert (smart_host_lane("", 1), lane_of("example.org"), lane_of("")) == ("", "", "")


def test_a_delivery_without_a_smart_host_has_the_domain_of_its_recipient() -> None:
    assert domain_of('"a@b"@Example.ORG', None) == "example.org"
    assert domain_of("a@bücher.example", None) == "xn--bcher-kva.example"
    assert domain_of("a@example.org", "mail.example.com:25") == "mail.example.com:25"


def test_credentials_are_in_no_representation() -> None:
    assert "secret" not in repr(SmartHost("mail.example.com", 25, Security.STARTTLS, ("user", "secret")))


@pytest.mark.parametrize("text", ["Example.ORG", "mail.example.com:587~0123456789abcdef", "[2001:db8::1]:25~0123456789abcdef"])
def test_a_destination_is_a_domain_or_the_lane_of_a_smart_host(text: str) -> None:
    assert parse_destination(text) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail.example.com:",
        "mail.example.com:x",
        "u@mail.example.com:25",
        "mail.example.com:25/x",
        "mail.example.com:587",
        "mail.example.com:025~0123456789abcdef",
    ],
)
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_destination(text)


@pytest.mark.parametrize("text", ["Example.ORG", "mail.example.com:587", "127.0.0.1:1", "[2001:db8::1]:25~0123456789abcdef"])
def test_mail_is_wanted_by_its_domain_its_lane_or_the_place_of_a_smart_host(text: str) -> None:
    assert parse_wanted(text) == text.lower()


@pytest.mark.parametrize("text", ["", ":25", "mail.example.com:", "mail.example.com:x", "u@mail.example.com:25", "mail.example.com:587~"])
def test_what_names_no_mail_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_wanted(text)
