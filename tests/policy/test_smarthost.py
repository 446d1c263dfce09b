"""How smart hosts are written, and the lanes of those that domains name."""

import pytest

from sendryd.policy.routing import Security, SmartHost
from sendryd.policy.smarthost import domain_of, lane_of, parse_destination, parse_smart_host, smart_host_lane, split_lane, write_smart_host
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
    assert smart_host_lane(text) == lane == lane_of(lane)
    assert split_lane(lane) == (smart_host.host, smart_host.port)


@pytest.mark.parametrize(
    "text",
    ["mail.example.com", "http://mail.example.com", "smtp://:secret@mail.example.com", "smtp://u:secret@mail:0", "smtp://u:secret%00@mail"],
)
def test_a_fault_says_what_to_change_and_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="smart host") as raised:
        parse_smart_host(text)
    assert "secret" not in str(raised.value)


def test_a_domain_is_no_lane_of_a_smart_host() -> None:
    assert (smart_host_lane(""), lane_of("example.org"), lane_of("")) == ("", "", "")


def test_a_delivery_without_a_smart_host_has_the_domain_of_its_recipient() -> None:
    assert domain_of('"a@b"@Example.ORG', None) == "example.org"
    assert domain_of("a@bücher.example", None) == "xn--bcher-kva.example"
    assert domain_of("a@example.org", "mail.example.com:25") == "mail.example.com:25"


def test_credentials_are_in_no_representation() -> None:
    assert "secret" not in repr(SmartHost("mail.example.com", 25, Security.STARTTLS, ("user", "secret")))


@pytest.mark.parametrize("text", ["Example.ORG", "mail.example.com:587", "[2001:db8::1]:25"])
def test_a_destination_is_a_domain_or_the_lane_of_a_smart_host(text: str) -> None:
    assert parse_destination(text) == text.lower()


@pytest.mark.parametrize(
    "text", ["", "mail.example.com:", "mail.example.com:x", "u@mail.example.com:25", "mail.example.com:25/x", "mail.example.com:025"]
)
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_destination(text)
