"""What a field of a request says is one mailbox, or it is refused with a sentence."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.message.author import parse_author
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import MAX_NAME, Mailbox, parse_mailbox
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples


@cases(
    ("text", "name", "address"),
    [
        ("hello@acme.com", "", "hello@acme.com"),
        ("  hello@acme.com ", "", "hello@acme.com"),
        ("<hello@acme.com>", "", "hello@acme.com"),
        ("Acme <hello@acme.com>", "Acme", "hello@acme.com"),
        ("Acme<hello@acme.com>", "Acme", "hello@acme.com"),
        ("Acme (EU) Ltd. <hello@acme.com>", "Acme (EU) Ltd.", "hello@acme.com"),
        ('"Acme, Inc." <hello@acme.com>', "Acme, Inc.", "hello@acme.com"),
        ('"He said \\"hi\\" \\\\" <hello@acme.com>', 'He said "hi" \\', "hello@acme.com"),
        ('"ceo@bank.test" <hello@acme.com>', "ceo@bank.test", "hello@acme.com"),
        ("hello@acme.com <hello@acme.com>", "", "hello@acme.com"),
        ("Zoë Müller 🎉 <zoe+tag@ACME.com>", "Zoë Müller 🎉", "zoe+tag@acme.com"),
        ("=?utf-8?q?B=C3=BC?= <hello@acme.com>", "=?utf-8?q?B=C3=BC?=", "hello@acme.com"),
        ("x@bücher.test", "", "x@xn--bcher-kva.test"),
        ("用户@例え.test", "", "用户@xn--r8jz45g.test"),
        ('"a b"@acme.com', "", '"a b"@acme.com'),
        ('"a\\"b\\\\"@acme.com', "", '"a\\"b\\\\"@acme.com'),
        ('"simple"@acme.com', "", "simple@acme.com"),
        ('"Name" <"a@b"@acme.com>', "Name", '"a@b"@acme.com'),
        ("o'brien@acme.com", "", "o'brien@acme.com"),
        ('"" <hello@acme.com>', "", "hello@acme.com"),
    ],
)
def test_forms_that_people_write(text: str, name: str, address: str) -> None:
    mailbox = parse_mailbox(text)
    assert (mailbox.name, mailbox.address) == (name, address)


@cases(
    "text",
    [
        "", " ", "<>", "x", "x@", "@acme.com", "Name <>", "Name <x>", "a@b.test, c@d.test", "A <a@b.test>, B <c@d.test>", "<a@b.test><c@d.test>",
        "Team: a@b.test;", "Team: a@b.test, c@d.test;", "Team: <a@b.test>", "<@v.test:a@b.test>", "@v.test:a@b.test", "a@[127.0.0.1]", "a@[IPv6:::1]",
        "a@127.0.0.1", "a@localhost", "a@b.test.", "a@b..test", "a@-b.test", "a..b@c.test", ".a@c.test", "a.@c.test", "a b@c.test", "a@b@c.test",
        "a@b.test (comment)", "a@b.test <c@d.test>", "a@b.test]<c@d.test>", "Doe, John <a@b.test>", '"open <a@b.test>', '"a" b <c@d.test>', "x <a@b.test> y",
        '""@b.test', '"a"b@c.test', "a@b.test>", "<a@b.test", "a@b\u00ad.test", "a@b\uff0etest", "a@xn--99999999.test", "a@b\u200b.test", "a@b.test,",
        '"<evil@e.test>" <a@b.test>', "A <a@b .test>", "a;b@c.test", "[a@b.test]", r"a\@b.test", "a@" + "b" * 64 + ".test", "é" * 33 + "@b.test",
        "a" * 65 + "@b.test", "a@" + "b." * 130 + "test", "n" * (MAX_NAME + 1) + " <a@b.test>", "n" * 10_000 + " <a@b.test>",
        '"' + '\\"' * 33 + '"@' + "b23456789." * 19 + "test",
    ],
)  # fmt: skip
def test_what_is_not_exactly_one_mailbox_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_mailbox(text)
    reason = caught.value.reason
    assert 20 < len(reason) < 140
    assert "From field" not in reason  # the same reader serves every field
    assert reason[0].islower()


@cases("letter", [*map(chr, range(32)), "\x7f", "\x85", "\x9f", "\u2028", "\u2029", "\ud800", "\udfff"])
@cases("text", ["a{}b@c.test", "a@c{}.test", "Na{}me <a@c.test>", '"Na{}me" <a@c.test>', '"a{}"@c.test', "a@c.test{}", "{}a@c.test"])
def test_control_characters_are_refused_everywhere(letter: str, text: str) -> None:
    with pytest.raises(MalformedMessage, match="control character"):
        parse_mailbox(text.format(letter))


def test_whether_smtputf8_is_needed_is_a_matter_of_the_local_part() -> None:
    assert parse_mailbox("Zoë <zoe@bücher.test>").is_ascii
    assert not parse_mailbox("zoë@acme.com").is_ascii


@cases("text", ["<" * 3000, '"' * 3000, '"\\' * 1500, "a@" * 1500, "a." * 1500, "<a" * 1000 + ">", '"' + "a" * 3000, " " * 3000 + "<"])
def test_hostile_texts_take_no_time(text: str) -> None:
    started = time.process_time()
    for _ in range(20):
        with pytest.raises(MalformedMessage):
            parse_mailbox(text)
    assert time.process_time() - started < 1


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=50).filter(lambda name: "<" not in name)
LOCAL_PARTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=16)


@given(NAMES, LOCAL_PARTS)
def test_what_is_printed_in_quotes_reads_back(name: str, local_part: str) -> None:
    address = Mailbox("", local_part, "acme.com").address
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_mailbox(f'"{quoted}" <{address}>') == Mailbox("" if name.strip() == address else name.strip(), local_part, "acme.com")


@settings(max_examples=examples(300))
@given(st.text('ab <>@"\\,;:()[].\u00e9', max_size=40) | st.text(max_size=100))
def test_any_text_is_a_mailbox_or_refused(text: str) -> None:
    try:
        mailbox = parse_mailbox(text)
    except MalformedMessage:
        return
    assert parse_mailbox(mailbox.address) == Mailbox("", mailbox.local_part, mailbox.domain)
    author = parse_author(mailbox.address.encode())  # the strict reader of the From field agrees about the address
    assert (author.local_part, author.domain) == (mailbox.local_part, mailbox.domain)
