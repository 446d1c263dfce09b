"""One line to a command, or to the refusal that tells the client what to change."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sendryd.smtp.address import NULL_REVERSE_PATH, Mailbox, ReversePath
from sendryd.smtp.command import (
    Auth,
    Bdat,
    CommandRefused,
    excerpt,
    parse_auth,
    parse_bdat,
    parse_hello,
    parse_mail,
    parse_rcpt,
    printable,
)
from sendryd.smtp.events import MailFrom, RcptTo
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

ALICE = ReversePath(Mailbox("alice", "example.test"))


@cases(
    ("line", "mail"),
    [
        (b"MAIL FROM:<alice@example.test>", MailFrom(ALICE)),
        (b"mail from:<alice@EXAMPLE.TEST>", MailFrom(ALICE)),
        (b"MAIL FROM: <alice@example.test>", MailFrom(ALICE)),
        (b"MAIL FROM:alice@example.test", MailFrom(ALICE)),
        (b"mail from: alice@example.test ", MailFrom(ALICE)),
        (b"MAIL FROM:alice@example.test SIZE=10 BODY=8BITMIME", MailFrom(ALICE, size=10, body="8BITMIME")),
        ("MAIL FROM: ü@example.test SMTPUTF8".encode(), MailFrom(ReversePath(Mailbox("ü", "example.test")), is_smtputf8=True)),
        (b"MAIL FROM:<alice@example.test>  ", MailFrom(ALICE)),
        (b'MAIL FROM:<"alice"@example.test>', MailFrom(ALICE)),
        (b"MAIL FROM:<>", MailFrom(NULL_REVERSE_PATH)),
        (b"MAIL FROM:<> BODY=8BITMIME", MailFrom(NULL_REVERSE_PATH, body="8BITMIME")),
        (b"MAIL FROM:<alice@example.test> SIZE=10", MailFrom(ALICE, size=10)),
        (b"MAIL FROM:<alice@example.test> size=10 body=7bit", MailFrom(ALICE, size=10)),
        (b"MAIL FROM:<alice@example.test> BODY=8bitmime SIZE=10", MailFrom(ALICE, size=10, body="8BITMIME")),
        (b"MAIL FROM:<alice@example.test> BODY=8BITMIME SMTPUTF8", MailFrom(ALICE, body="8BITMIME", is_smtputf8=True)),
        (b"MAIL FROM:<alice@example.test> BODY=7BIT AUTH=<>", MailFrom(ALICE)),
        (b"MAIL FROM:<alice@example.test> AUTH=bob+40example.org", MailFrom(ALICE)),
        (b"MAIL FROM:<alice@example.test> SIZE=10 RET=FULL", MailFrom(ALICE, size=10, ret="FULL")),
        (b"MAIL FROM:<alice@example.test> RET=hdrs ENVID=QQ+2B1", MailFrom(ALICE, ret="HDRS", envid="QQ+2B1")),
        ("MAIL FROM:<ü@example.test> SMTPUTF8".encode(), MailFrom(ReversePath(Mailbox("ü", "example.test")), is_smtputf8=True)),
        ("MAIL FROM:<a@bücher.test> SMTPUTF8".encode(), MailFrom(ReversePath(Mailbox("a", "xn--bcher-kva.test")), is_smtputf8=True)),
    ],
)
def test_mail(line: bytes, mail: MailFrom) -> None:
    assert parse_mail(line) == mail


@cases(
    ("line", "reply"),
    [
        (b"MAIL", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> REQUIRETLS=YES", "501 5.5.4"),
        (b"MAIL FROM", "501 5.5.4"),
        (b"MAILX FROM:<a@example.test>", "501 5.5.4"),
        (b"MAIL TO:<a@example.test>", "501 5.5.4"),
        (b"MAIL FROM:", "501 5.1.7"),
        (b"MAIL FROM:alice", "501 5.1.7"),
        (b"MAIL FROM: SIZE=10", "501 5.1.7"),
        (b"MAIL FROM:a@example.test>", "501 5.1.7"),
        (b"MAIL FROM:Alice <a@example.test>", "501 5.1.7"),
        (b"MAIL FROM:a@example.test,b@example.test", "501 5.1.7"),
        (b'MAIL FROM:"a b"@example.test', "501 5.1.7"),
        (b"MAIL FROM:a@example.test b@example.test", "501 5.5.4"),
        (b"MAIL FROM:a@b@example.test", "501 5.1.7"),
        (b"MAIL FROM:@relay.test:a@example.test", "501 5.1.7"),
        (b"MAIL FROM:a@[127.0.0.1]", "501 5.1.7"),
        (b"MAIL FROM:\xc2\xa0<a@example.test>", "501 5.1.7"),
        (b"MAIL FROM:<a@example.test", "501 5.1.7"),
        (b"MAIL FROM:<a@example.test>SIZE=1", "501 5.1.7"),
        (b"MAIL FROM:<a@example.test> <b@example.test>", "501 5.5.4"),
        (b"MAIL FROM:<a@b@example.test>", "501 5.1.7"),
        (b"MAIL FROM:<@relay.test:a@example.test>", "501 5.1.7"),
        (b"MAIL FROM:<a@[127.0.0.1]>", "501 5.1.7"),
        (b"MAIL FROM:<a@10.0.0.1>", "501 5.1.7"),
        (b"MAIL FROM:<\xff@example.test> SMTPUTF8", "501 5.1.7"),
        ("MAIL FROM:<ü@example.test>".encode(), "553 5.6.7"),
        (b"MAIL FROM:<a@example.test> SMTPUTF8=1", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> =1", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> SIZE=1 SIZE=2", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> SIZE=1 BODY=7BIT SIZE=2", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> SIZE", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> SIZE=" + b"9" * 21, "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> BODY", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> BODY=BINARYMIME", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> ENVID", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> ENVID=a+zz", "501 5.5.4"),
        (b"MAIL FROM:<a@example.test> NOTIFY=NEVER", "555 5.5.4"),
        (b"MAIL FROM:<a@example.test> FOO", "555 5.5.4"),
    ],
)
def test_mail_that_is_refused(line: bytes, reply: str) -> None:
    with pytest.raises(CommandRefused) as caught:
        parse_mail(line)
    assert str(caught.value.reply).startswith(reply + " ")


@cases(
    ("line", "notify", "orcpt"),
    [
        (b"RCPT TO:<bob@example.org>", None, None),
        (b"rcpt to: <bob@example.org> ", None, None),
        (b"RCPT TO:bob@example.org", None, None),
        (b"RCPT TO: bob@EXAMPLE.org  NOTIFY=NEVER", {"NEVER"}, None),
        (b"RCPT TO:<bob@example.org> NOTIFY=never", {"NEVER"}, None),
        (
            b"RCPT TO:<bob@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob+2Bx@example.org",
            {"SUCCESS", "DELAY"},
            "rfc822;bob+2Bx@example.org",
        ),
        (b"RCPT TO:<bob@example.org> ORCPT=utf-8;b\\x{FC}b@example.org", None, "utf-8;b\\x{FC}b@example.org"),
    ],
)
def test_rcpt(line: bytes, notify: set[str] | None, orcpt: str | None) -> None:
    rcpt = parse_rcpt(line, is_smtputf8=False)
    assert rcpt.path.mailbox == Mailbox("bob", "example.org")
    assert rcpt.path.text == "bob@example.org"
    assert (rcpt.notify, rcpt.orcpt) == (notify, orcpt)


@cases(
    ("line", "reply"),
    [
        (b"RCPT FROM:<bob@example.org>", "501 5.5.4"),
        (b"RCPT TO:bob", "501 5.1.3"),
        (b"RCPT TO:bob@localhost", "501 5.1.3"),
        (b"RCPT TO:bob@example.org;carol@example.org", "501 5.1.3"),
        (b"RCPT TO:bob@example.org (Bob)", "501 5.5.4"),
        (b"RCPT TO:<>", "501 5.1.3"),
        (b"RCPT TO:<bob>", "501 5.1.3"),
        (b"RCPT TO:<postmaster>", "501 5.1.3"),
        (b"RCPT TO:<bob@localhost>", "501 5.1.3"),
        (b"RCPT TO:<bob@example.org.>", "501 5.1.3"),
        (b'RCPT TO:<"bob@example.org>', "501 5.1.3"),
        (b"RCPT TO:<a@b>c@example.org>", "501 5.1.3"),
        ("RCPT TO:<ü@example.org>".encode(), "553 5.6.7"),
        (b"RCPT TO:<bob@example.org> SIZE=1", "555 5.5.4"),
        (b"RCPT TO:<bob@example.org> NOTIFY", "501 5.5.4"),
        (b"RCPT TO:<bob@example.org> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        (b"RCPT TO:<bob@example.org> ORCPT", "501 5.5.4"),
        (b"RCPT TO:<bob@example.org> ORCPT=bob@example.org", "501 5.5.4"),
        (b"RCPT TO:<bob@example.org> ORCPT=rfc822;" + b"x" * 500, "501 5.5.4"),
        (b"RCPT TO:<bob@example.org> ORCPT=rfc822;a+zz", "501 5.5.4"),
        ("RCPT TO:<bob@example.org> ORCPT=utf-8;ü@example.org".encode(), "501 5.5.4"),
    ],
)
def test_rcpt_that_is_refused(line: bytes, reply: str) -> None:
    with pytest.raises(CommandRefused) as caught:
        parse_rcpt(line, is_smtputf8=False)
    assert str(caught.value.reply).startswith(reply + " ")


def test_what_looks_like_a_parameter_in_a_quoted_part_is_none() -> None:
    rcpt = parse_rcpt(b'RCPT TO:<"foo@evil.test> ORCPT=rfc822;x"@example.org> NOTIFY=NEVER', is_smtputf8=False)
    assert rcpt == RcptTo(rcpt.path, frozenset({"NEVER"}))
    assert rcpt.path.text == '"foo@evil.test> ORCPT=rfc822;x"@example.org'


def test_a_mistake_in_an_address_is_no_fault_of_the_client() -> None:
    for line, is_fault in ((b"RCPT TO:<nobody@nodot>", False), (b"RCPT TO:<a@example.org> FOO=1", True)):
        with pytest.raises(CommandRefused) as caught:
            parse_rcpt(line, is_smtputf8=False)
        assert caught.value.is_fault is is_fault


@cases(
    ("line", "bdat"),
    [
        (b"BDAT 0", Bdat(0, is_last=False)),
        (b"bdat 123 last", Bdat(123, is_last=True)),
        (b"BDAT  5  LAST ", Bdat(5, is_last=True)),
        (b"BDAT", None),
        (b"BDAT -1", None),
        (b"BDAT +1", None),
        (b"BDAT 1_0", None),
        (b"BDAT 5 FIRST", None),
        (b"BDAT 5 LAST LAST", None),
        (b"BDAT " + b"9" * 21, None),
    ],
)
def test_bdat(line: bytes, bdat: Bdat | None) -> None:
    assert parse_bdat(line) == bdat


@cases("name", ["localhost", "[127.0.0.1]", "[IPv6:::1]", "vm", "a_b", "mail.example.test", "<script>", "a b"])
def test_names_of_real_clients(name: str) -> None:
    assert parse_hello(name.encode() + b" ") == name


def test_names_are_made_fit_to_be_shown() -> None:
    assert parse_hello(b"\x1b[2J\xe9") == "?[2J?"


@pytest.mark.parametrize("name", [b"", b"  ", b"x" * 256])
def test_names_that_are_none(name: bytes) -> None:
    with pytest.raises(CommandRefused, match="501 5.5.4"):
        parse_hello(name)


@pytest.mark.parametrize(
    ("argument", "auth"),
    [(b"plain", Auth("PLAIN", None)), (b"PLAIN AHgAeQ==", Auth("PLAIN", b"AHgAeQ==")), (b"LOGIN =", Auth("LOGIN", b"="))],
)
def test_auth(argument: bytes, auth: Auth) -> None:
    assert parse_auth(argument) == auth
    assert "AHgAeQ" not in repr(auth)


@pytest.mark.parametrize("argument", [b"", b"PLAIN a b"])
def test_auth_that_is_refused(argument: bytes) -> None:
    with pytest.raises(CommandRefused, match="501 5.5.4"):
        parse_auth(argument)


@cases(
    ("line", "shown"),
    [
        (b"MAIL FROM:<\x1b[2J>", "MAIL FROM:<?[2J>"),
        (b"NOOP " + b"x" * 200, "NOOP " + "x" * 75),
        (b"AUTH PLAIN AHNlbmRyeQBrZXk=", "AUTH"),
        (b"auth plain AHNlbmRyeQBrZXk=", "AUTH"),
        (b"AHNlbmRyeQBrZXk=", "(not a command)"),
        (b"PASS secret", "(not a command)"),
        (b"", "(not a command)"),
    ],
)
def test_what_may_be_logged_of_a_line(line: bytes, shown: str) -> None:
    assert excerpt(line) == shown


@given(st.binary(max_size=200))
def test_what_is_logged_is_printable(line: bytes) -> None:
    assert printable(line).isprintable()
    assert excerpt(line).isascii()
    assert len(excerpt(line)) <= 80


@settings(max_examples=examples(300), deadline=None)
@given(
    st.binary(max_size=80), st.sampled_from([b"", b"MAIL FROM:", b"MAIL FROM:<a@example.test> ", b"RCPT TO:<", b"RCPT TO:<a@example.org> "])
)
@example(b'"' * 80, b"MAIL FROM:<")
def test_any_line_is_a_command_or_refused(tail: bytes, start: bytes) -> None:
    line = start + tail
    try:
        parsed = parse_rcpt(line, is_smtputf8=True) if start.startswith(b"RCPT") else parse_mail(line)
    except CommandRefused as refused:
        assert refused.reply.is_permanent
        return
    assert parsed.path is not None
