"""Envelope addresses and authors: an address that prints as itself, or a refusal."""

from contextlib import suppress

from drive import drive

from sendryd.message.author import address_list, decode_text, parse_author
from sendryd.message.errors import MalformedMessage
from sendryd.smtp.address import AddressError, parse_mailbox

PIECES = (
    b"a",
    b"@",
    b".",
    b"b.test",
    b'"',
    b"\\",
    b"<",
    b">",
    b"(",
    b")",
    b",",
    b";",
    b":",
    b"=?utf-8?q?",
    b"?=",
    b"=0d=0a",
    b"xn--",
    "ü".encode(),
    "。".encode(),
    b" ",
    b"\t",
    b"[1.2.3.4]",
)


def test(data: bytes) -> None:
    """Both parsers, and the lenient ones for display."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(AddressError):
        mailbox = parse_mailbox(text)
        assert parse_mailbox(str(mailbox)) == mailbox
    with suppress(MalformedMessage):
        author = parse_author(data)
        assert author.domain.isascii()
        assert "." in author.domain
    for shown in [*address_list(data), decode_text(data)]:
        assert "\r" not in shown
        assert "\n" not in shown


if __name__ == "__main__":
    drive(test, PIECES)
