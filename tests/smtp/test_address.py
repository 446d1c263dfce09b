"""Addresses of the envelope: one spelling, nothing that can be read in two ways."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.smtp.address import (
    AddressError,
    Mailbox,
    needs_smtputf8,
    normalise_domain,
    parse_forward_path,
    parse_mailbox,
    parse_reverse_path,
)
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples


@cases(
    ("text", "local_part", "domain"),
    [
        ("user@example.org", "user", "example.org"),
        ("User.Name+tag@EXAMPLE.org", "User.Name+tag", "example.org"),
        ('"a b"@example.org', "a b", "example.org"),
        ('"a\\"b"@example.org', 'a"b', "example.org"),
        ("x@bücher.test", "x", "xn--bcher-kva.test"),
        ("x@BÜCHER.test", "x", "xn--bcher-kva.test"),
        ("ü@example.org", "ü", "example.org"),
        ("x@XN--BCHER-KVA.test", "x", "xn--bcher-kva.test"),
        ("x@x0x1.0x1x.test", "x", "x0x1.0x1x.test"),
        ("x@ban\u212a.test", "x", "bank.test"),
        ("|/bin/sh@example.org", "|/bin/sh", "example.org"),
        ("a%b@example.org", "a%b", "example.org"),
        ("a!b@example.org", "a!b", "example.org"),
        ("'; drop table@example.org".replace(" ", "_").replace(";", ""), "'_drop_table", "example.org"),
    ],
)
def test_addresses_that_are_some(text: str, local_part: str, domain: str) -> None:
    assert parse_mailbox(text) == Mailbox(local_part, domain)


@cases(
    "text",
    [
        "", "@", "user", "user@", "@example.org", "a..b@example.org", ".a@example.org", "a.@example.org", "a@-b.org", "a@b-.org",
        "@relay.test:user@example.org", "a@b@example.org", "user@good.com(x)evil.com", "a(b)@example.org", "a@b>c@d.org", "a b@example.org",
        "user@nodot", "user@[127.0.0.1]", "user@[IPv6:::1]", "user@127.0.0.1", "user@localhost", "user@example.org.", "user@10.0.0.1",
        "a\0@example.org", "a\r@example.org", "a\n@example.org", "a\t@example.org", "a\x7f@example.org", "a\x85@example.org",
        "x" * 65 + "@example.org", "x@" + "a" * 64 + ".org", "x@" + "a." * 127 + "org", "x@xn--99999999.test", "x@a。b", "x@a\u200bb.test",
        "x@a\u00adb.test", "x@a\ufe0fb.test", "x@a．b", "x@a_b.test", '"a"b@example.org', '"a@example.org', '""@example.org', '"a\nb"@example.org',
        "ü" * 33 + "@example.org", "x@Xn--99999999.test", "x@XN--99999999.test", "user@127.0x1", "user@example.0", "user@0x7f.0xA", "user@１２７.0.0.1",
        "x@a\u200cb.test", "x@a\u3164b.test", "x@a\U000e0100b.test", "x@a\u2024b", "x@a\u202eb.test", "x@\ud800.test", "\ud800@example.org",
        "a\u2028b@example.org", '"a\u2029b"@example.org', "x" * 64 + "@" + ".".join(["ü" * 40] * 4) + ".test",
    ],
)  # fmt: skip
def test_recipients_that_cannot_be_ones(text: str) -> None:
    with pytest.raises(AddressError):
        parse_forward_path(text)


@pytest.mark.parametrize("text", ["a." * 127 + "test", "ü" * 254, "[127.0.0.1]", "a..b", "example.org."])
def test_domains_that_are_none(text: str) -> None:
    with pytest.raises(AddressError):
        normalise_domain(text)


def test_a_quoted_local_part_stays_quoted_on_the_wire() -> None:
    path = parse_forward_path('"foo@evil.test> ORCPT=admin@admin.com"@example.org')
    assert path.mailbox.domain == "example.org"
    assert str(path) == '"foo@evil.test> ORCPT=admin@admin.com"@example.org'


def test_the_null_reverse_path() -> None:
    assert parse_reverse_path("").mailbox is None
    assert str(parse_reverse_path("")) == ""


def test_smtputf8_is_needed_for_the_local_part_alone() -> None:
    assert needs_smtputf8(parse_mailbox("ü@example.org"))
    assert not needs_smtputf8(parse_mailbox("u@bücher.test"))


@settings(max_examples=examples(300), deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused_and_prints_as_itself(text: str) -> None:
    try:
        mailbox = parse_mailbox(text)
    except AddressError:
        return
    assert parse_mailbox(str(mailbox)) == mailbox


@settings(max_examples=examples(200), deadline=None)
@given(st.emails())
def test_what_another_library_takes_we_take(text: str) -> None:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return
    assert str(parse_forward_path(text)).lower() == text.lower()
