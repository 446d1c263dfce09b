"""Authors in the header From: one mailbox with a domain, or a refusal; and the lenient reading of address lists for display."""

from contextlib import suppress

from drive import drive

from sendryd.message.author import address_list, decode_text, parse_author
from sendryd.message.errors import MalformedMessage

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
    """The strict parser, and the lenient ones."""
    with suppress(MalformedMessage):
        author = parse_author(data)
        assert author.domain.isascii()
        assert "." in author.domain
    for shown in [*address_list(data), decode_text(data)]:
        assert "\r" not in shown
        assert "\n" not in shown


if __name__ == "__main__":
    drive(test, PIECES)
