"""The two kinds of port: what each offers, and whom it lets speak."""

import pytest

from sendryd.smtp.events import MailFrom
from sendryd.smtp.profile import RECEPTION, SUBMISSION
from sendryd.testing.shell import AUTH, Shell

COMMON = ("SIZE 1000", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES")
TRANSACTION = b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n\r\nhello\r\n.\r\n"


def test_what_submission_offers() -> None:
    assert SUBMISSION.keywords(max_message_size=1000, is_encrypted=False) == (*COMMON, "DSN", "CHUNKING", "STARTTLS")
    assert SUBMISSION.keywords(max_message_size=1000, is_encrypted=True) == (*COMMON, "DSN", "CHUNKING", "REQUIRETLS", "AUTH PLAIN LOGIN")


def test_what_reception_offers() -> None:
    assert RECEPTION.keywords(max_message_size=1000, is_encrypted=False) == (*COMMON, "CHUNKING", "STARTTLS")
    assert RECEPTION.keywords(max_message_size=1000, is_encrypted=True) == (*COMMON, "CHUNKING")


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_reception_takes_mail_of_anybody(*, is_encrypted: bool) -> None:
    shell = Shell(encrypted=is_encrypted, profile=RECEPTION)
    shell.feed(b"EHLO mx.example.org\r\n")
    shell.feed(TRANSACTION)
    assert shell.contents == [b"\r\nhello\r\n"]
    shell.feed(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 3 LAST\r\na\r\n")
    assert shell.contents == [b"\r\nhello\r\n", b"a\r\n"]


def test_reception_asks_for_ehlo_first() -> None:
    assert Shell(profile=RECEPTION).feed(b"MAIL FROM:<>\r\n").startswith(b"503 5.5.1 Send EHLO first")


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_reception_has_no_login(*, is_encrypted: bool) -> None:
    shell = Shell(encrypted=is_encrypted, profile=RECEPTION)
    shell.feed(b"EHLO mx.example.org\r\n")
    assert shell.feed(AUTH).startswith(b"502 5.5.1 ")


def test_submission_takes_none_before_a_login() -> None:
    shell = Shell(encrypted=True)
    shell.feed(b"EHLO client.example.org\r\n")
    assert shell.feed(b"MAIL FROM:<a@example.test>\r\n").startswith(b"530 5.7.0 ")
    assert not [event for event in shell.events if isinstance(event, MailFrom)]


def test_a_server_that_passes_no_mail_on_takes_no_requiretls() -> None:
    shell = Shell(encrypted=True, profile=RECEPTION)
    shell.feed(b"EHLO client.example\r\n")
    assert shell.feed(b"MAIL FROM:<a@example.org> REQUIRETLS\r\n").startswith(b"555 5.5.4 ")
