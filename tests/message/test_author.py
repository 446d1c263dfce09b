"""Nobody is shown as the author but the one who was checked."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.message.author import MAX_LISTED, address_list, decode_text, parse_author
from sendryd.message.errors import MalformedMessage
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples


@cases(
    ("value", "display", "address"),
    [
        ("hello@acme.com", "", "hello@acme.com"),
        ("<hello@acme.com>", "", "hello@acme.com"),
        ("Acme <hello@acme.com>", "Acme", "hello@acme.com"),
        ('"Acme, Inc." <hello@acme.com>', "Acme, Inc.", "hello@acme.com"),
        ('"He said \\"hi\\"" <hello@acme.com>', 'He said "hi"', "hello@acme.com"),
        ("=?utf-8?q?B=C3=BCcher?= <hello@acme.com>", "Bücher", "hello@acme.com"),
        ("=?UTF-8?B?QsO8Y2hlcg==?= =?UTF-8?B?IQ==?= <hello@acme.com>", "Bücher!", "hello@acme.com"),
        ("Bücher <hello@acme.com>", "Bücher", "hello@acme.com"),
        ("hello@acme.com (Acme)", "", "hello@acme.com"),
        ("Acme <hello@acme.com> (support)", "Acme", "hello@acme.com"),
        ('"ceo@bank.test" <hello@acme.com>', "ceo@bank.test", "hello@acme.com"),
        ("hello@acme.com <hello@acme.com>", "", "hello@acme.com"),
        ("A. B. Mailer <hello+tag@ACME.com>", "A. B. Mailer", "hello+tag@acme.com"),
        ('"a b"@acme.com', "", "a b@acme.com"),
        ("x@bücher.test", "", "x@xn--bcher-kva.test"),
        ("O'Brien <o'brien@acme.com>", "O'Brien", "o'brien@acme.com"),
        ('"Me <me@acme.com>" <me@acme.com>', "Me <me@acme.com>", "me@acme.com"),
        ("me@acme.com (=?utf-8?q?Acme_=28UK=29?=)", "", "me@acme.com"),
        ("Support (Billing) <hello@acme.com>", "Support", "hello@acme.com"),
        ("(Cron) hello@acme.com", "", "hello@acme.com"),
        ("hello@acme.com (Cron (daily))", "", "hello@acme.com"),
        ("root@acme.com (Cron Daemon) (host 7)", "", "root@acme.com"),
        ('"Acme (Sales)" (UK) <hello@acme.com> (on behalf \\( of all)', "Acme (Sales)", "hello@acme.com"),
        ("A (x) B <hello@acme.com>", "A B", "hello@acme.com"),
        ("(Grüße) <hello@acme.com>", "", "hello@acme.com"),
        ("me@B\u00dcCHER.test", "", "me@xn--bcher-kva.test"),
        ("me@XN--BCHER-KVA.test", "", "me@xn--bcher-kva.test"),
        ("=?utf-8?q?A,_B?= <hello@acme.com>", "A, B", "hello@acme.com"),
        ("=?utf-8?q?A=2C_B?= <hello@acme.com>", "A, B", "hello@acme.com"),
        ("=?utf-8?q?Ops:?= =?utf-8?q?_night;_[1]?=<hello@acme.com>", "Ops: night; [1]", "hello@acme.com"),
        ("=?utf-8*en?Q?A,_B?= (UK) C <hello@acme.com>", "A, B C", "hello@acme.com"),
        ("hello (x) @ (y) acme.com", "", "hello@acme.com"),
        ("hello(x)@(y)acme.com(v 1.2)", "", "hello@acme.com"),
        ("Acme < (x) hello @ acme.com\t(y) >", "Acme", "hello@acme.com"),
        ("(v 1.2) Acme <hello@acme.com (the (inner (v)) one)> (a.b)", "Acme", "hello@acme.com"),
        ('"a b".c."d e"@acme.com', "", "a b.c.d e@acme.com"),
        ('Acme <"a\\"b"@acme.com> (x)(y)', "Acme", 'a"b@acme.com'),
        ('"Acme" "Inc."<hello@acme.com>', "Acme Inc.", "hello@acme.com"),
        ("Acme\t<hello@acme.com>\t(\\))", "Acme", "hello@acme.com"),
    ],
)
def test_forms_of_real_clients(value: str, display: str, address: str) -> None:
    author = parse_author(value.encode())
    assert (author.display, author.address) == (display, address)


@cases(
    "value",
    [
        "<ok@v.test>, <evil@e.test>", "Team: <ok@v.test>, <evil@e.test>;", "Team: ok@v.test;", "<@v.test:evil@e.test>", "<ok@v.test> <evil@e.test>",
        "<ok@v.test>evil@e.test", "evil@e.test<ok@v.test>", r"<evil@e.test>\,<ok@v.test>", "=?utf-8?b?PGV2aWw+?=,<ok@v.test>", "<evil\0@v.test>",
        "(unclosed ok@v.test", "ok@v.test)evil@e.test", "ok@v.test]<evil@e.test>", "alice@v.test]<bob@e.test>", "", "<>", "ok@v.\ttest", "a b@v.test",
        "ok@v", "ok@127.0.0.1", "ok@[127.0.0.1]", "ok@v\u00ad.test", "ok@v\uff0etest", "ok@xn--99999999.test", "x" * 65 + "@v.test",
        "=?utf-8?q?a=0d=0ab?= <ok@v.test>", "ok", "ok@@v.test", '"ok@v.test', "a, b <ok@v.test>", "ok@v.test;", "ok@v.test,", "a" * 2001 + "@v.test",
        "<ok@v.test", "ok@v.test>", "=?utf-8?q?=3Cevil=40e.test=3E?= <ok@v.test>", "=?utf-8?q?=3Cevil=40e.test=3E_ok=40v.test?= <ok@v.test>",
        '"<evil@e.test> ok@v.test" <ok@v.test>', '"evil@e.test"@v.test', '<"evil@e.test>"@v.test>', '"<evil>"@v.test', r'"evil\@e.test"@v.test',
        "=?utf-8?q?evil=40e.test=3C?=ok@v.test", "<=?utf-8?b?ZXZpbEBlLnRlc3Q=?=@v.test>", "ok@v.test (=?utf-8?q?=3Cevil=40e.test=3E?=)",
        "ok@v.test (=?utf-8?q?a=0d=0ab?=)", "evil@e.test <ok@v.test>", "ok@v.test ok@v.test", "(evil@e.test) ok@v.test", "ok@v.test (a(b)",
        "ok@v.test (a (<evil>))",
        "ok(x.y)@v.test", "ok@(e.test)v.test", "<ok@v.test(.e.test)>e", "ok@v(x).test", "ok@v.(x)test", "ok@v. test", "ok @ v.test e.test",
        "=?utf-8?q?evil@e.test,?= <ok@v.test>", "=?utf-8?q?A,?= <evil@e.test>, <ok@v.test>", "=?utf-8?q?<evil@e.test>,?= <ok@v.test>", "ok\x01@v.test",
        "Team (a): ok@v.test;", "ok@v.test (a), evil@e.test",
        "<(e.test)@v.test>", "(ok)@v.test", r"ok@v.test (a\)", "Acme (x", "Acme) <ok@v.test>",
        "ok.@v.test", ".ok@v.test",
        "ok@v.test.", "ok@v..test", ",ok@v.test", "x: ok@v.test;", ":ok@v.test", "undisclosed:;", r"ok\@v.test", "ok@v.test%e.test", "ok@v.test\u2028",
        "=?utf-8?q?ok=40v.test?=", "<@v.test,@e.test:evil@e.test>", "ok@v.te\u200dst", "ok@xn--ok-.test",
    ],
)  # fmt: skip
def test_what_could_be_read_otherwise_is_refused(value: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_author(value.encode())


@cases(("letter", "words"), [("=00", "an encoded NUL"), ("=0D", "an encoded line break"), ("=0A", "an encoded line break")])
def test_the_refusal_of_a_name_says_what_it_has(letter: str, words: str) -> None:
    with pytest.raises(MalformedMessage, match=words):
        parse_author(f"=?utf-8?q?A{letter}B?= <ok@v.test>".encode())


def test_look_alikes_are_other_domains() -> None:
    assert parse_author("ok@\u0430cme.com".encode()).domain.startswith("xn--")
    assert parse_author(b"a@evilok.test").domain == "evilok.test"
    assert parse_author(b"a@ok.test.evil.test").domain == "ok.test.evil.test"


def test_a_name_in_a_legacy_charset_is_read_and_an_address_is_not() -> None:
    assert parse_author(b"B\xfccher <a@b.test>").display == "Bücher"
    for value in (b"\xfc@b.test", b"a@b\xfc.test", b"Name <a@b\xfc.test>"):
        with pytest.raises(MalformedMessage, match="UTF-8"):
            parse_author(value)


@pytest.mark.parametrize("value", ["Acme, Inc. <hello@acme.com>", "Grafana [Prod] <hello@acme.com>", "Ops: night; <hello@acme.com>"])
def test_a_name_that_needs_quotes_is_refused_with_that_advice(value: str) -> None:
    with pytest.raises(MalformedMessage, match=r"Sender field .* double quotes"):
        parse_author(value.encode(), "Sender")


@cases("value", ["a@localhost", "", "a@b.test, c@b.test", "a@x\u00ad.test", "x" * 65 + "@b.test", "a" * 3000])
def test_a_refusal_names_its_field(value: str) -> None:
    with pytest.raises(MalformedMessage, match="the Resent-From field") as caught:
        parse_author(value.encode(), "Resent-From")
    assert "From" not in caught.value.reason.replace("Resent-From", "")
    assert "{" not in caught.value.reason


@cases(
    ("value", "shown"),
    [
        (b"=?utf-8?Q?=F0=9F=98?= =?utf-8?Q?=80?=", "😀"),
        (b"=?utf-8?B?8J+Y?= =?UTF-8?Q?=80?= x", "😀 x"),
        (b"a =?utf-8?Q?=C3?=  =?utf-8?Q?=A4?= b =?utf-8?q?c?=", "a ä b c"),
        (b"=?iso-8859-1?Q?=E4?= =?utf-8?Q?=C3=A4?=", "ää"),
        (b"=?ks_c_5601-1987?B?x9GxubO7?=", "한국내"),
        (b"=?utf-8?Q?=C3?= and =?utf-8?Q?=A4?=", "\ufffd and \ufffd"),
        (b"=?utf-8?q?a?= =?utf-8?b?A?= =?utf-8?q?b?=", "a=?utf-8?b?A?=b"),
        (b"gr\xfc\xdfe", "grüße"),
    ],
)
def test_encoded_words_are_joined_before_they_are_decoded(value: bytes, shown: str) -> None:
    assert decode_text(value) == shown


@cases("text", ['"' * 2000, "(" * 2000, "<" * 2000, "=?" * 1000, "a@" * 1000, '"\\' * 1000])
def test_hostile_values_take_no_time(text: str) -> None:
    started = time.process_time()
    with pytest.raises(MalformedMessage):
        parse_author(text.encode())
    address_list(text.encode() * 20)
    decode_text(text.encode() * 20)
    assert time.process_time() - started < 2  # quadratic work on this input took tens of seconds


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_author_or_refused(value: bytes) -> None:
    try:
        author = parse_author(value)
    except MalformedMessage:
        return
    assert "." in author.domain
    assert author.domain.isascii()


@given(st.binary(max_size=300))
def test_display_never_fails_and_stays_on_one_line(value: bytes) -> None:
    for text in [*address_list(value), decode_text(value)]:
        assert not any(letter < " " or letter == "\x7f" for letter in text)


def test_lists_for_display() -> None:
    value = '"Doe, John" <j@x.test>, =?utf-8?q?M=C3=BCller?= <m@x.test>, group: a@x.test, b@x.test; (c, d) e@x.test'
    assert address_list(value.encode()) == [
        '"Doe, John" <j@x.test>',
        "Müller <m@x.test>",
        "group: a@x.test",
        "b@x.test",
        "(c, d) e@x.test",
    ]


def test_an_encoded_word_is_no_list() -> None:
    assert address_list(b"=?utf-8?q?A,_B?= <b@acme.com>, =?utf-8?q?C=2C;?= <d@acme.com>") == ["A, B <b@acme.com>", "C,; <d@acme.com>"]


@cases("charset", ["zlib_codec", "rot13", "unicode_escape", "idna", "nonsense", "utf-7"])
def test_odd_charsets_reach_no_codec(charset: str) -> None:
    assert decode_text(f"=?{charset}?q?abc?=".encode()) == "abc"


def test_an_encoded_word_that_cannot_be_read_is_shown_as_it_is() -> None:
    assert decode_text(b"=?utf-8?b?QQ=QQ=Q?= x") == "=?utf-8?b?QQ=QQ=Q?= x"
    assert decode_text(b"=?utf-8?b?A?= x") == "=?utf-8?b?A?= x"


def test_of_many_addresses_the_first_are_shown() -> None:
    shown = address_list(b",".join(b"u%d@example.org" % number for number in range(5000)))
    assert shown[:2] == ["u0@example.org", "u1@example.org"]
    assert len(shown) == MAX_LISTED


def test_a_list_of_addresses_keeps_what_is_quoted_together() -> None:
    listed = b'"Doe, John" <j@example.org>; (one, two) b@example.org, "a\\",b" <c@example.org>,, d@example.org'
    assert address_list(listed) == ['"Doe, John" <j@example.org>', "(one, two) b@example.org", '"a\\",b" <c@example.org>', "d@example.org"]
