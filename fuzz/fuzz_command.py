"""Command lines: a value, or a refusal with a permanent reply that fits on its line."""

from collections.abc import Callable
from functools import partial

from drive import drive

from sendryd.smtp.address import parse_mailbox
from sendryd.smtp.command import CommandRefused, excerpt, parse_auth, parse_bdat, parse_hello, parse_mail, parse_rcpt
from sendryd.smtp.events import MailFrom, RcptTo
from sendryd.smtp.reply import Reply

SEEDS = [
    b"MAIL FROM:<a@example.test> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x AUTH=<>",
    b'MAIL FROM: <"a> b"@example.test> SIZE=1',
    b"MAIL FROM:<>",
    b"RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2B@example.org",
    "RCPT TO:<ü@bücher.test>".encode(),
    b"BDAT 100 LAST",
    b"PLAIN AHgAeQ==",
    b"client.example.org",
]
PIECES = [
    b"<",
    b">",
    b'"',
    b"\\",
    b" ",
    b"=",
    b":",
    b"@",
    b"+",
    b"SIZE=",
    b"NOTIFY=NEVER",
    b"ORCPT=",
    b"LAST",
    b"\xff",
    b"\0",
    "\u0663".encode(),
]


def parsed(parse: Callable[[bytes], object], data: bytes) -> object:
    """The value, or the reply of the refusal."""
    try:
        return parse(data)
    except CommandRefused as refused:
        return refused.reply


def test(data: bytes) -> None:
    """Every parser of a line."""
    for parse in (parse_mail, parse_hello, parse_auth, parse_bdat, partial(parse_rcpt, is_smtputf8=True)):
        value = parsed(parse, data)
        if isinstance(value, Reply):
            assert value.is_permanent
            assert value.encoded.count(b"\r\n") == 1
        if isinstance(value, MailFrom | RcptTo) and value.path.mailbox:
            assert parse_mailbox(str(value.path.mailbox)) == value.path.mailbox
    assert excerpt(data).isascii()
    assert excerpt(data).isprintable()


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
