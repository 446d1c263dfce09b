"""Mailboxes and domains: one spelling, read back as it was printed, and nothing in it that ends a command."""

from drive import drive

from sendryd.smtp.address import AddressError, normalise_domain, parse_forward_path, parse_mailbox

SEEDS = [
    b"user@example.org",
    b'"a b\\"c"@example.org',
    "ü@bücher.test".encode(),
    b"x@xn--bcher-kva.test",
    b"@relay.test:user@example.org",
    b"user@[127.0.0.1]",
    "x@a。b\u200b.test".encode(),
]
PIECES = [
    b"@",
    b'"',
    b"\\",
    b".",
    b"xn--",
    b"[",
    b"<",
    b">",
    b" ",
    b"\0",
    b"\r\n",
    b"%",
    b"!",
    "\u00ad".encode(),
    "\u212a".encode(),
    b"0x7f",
    b"a" * 63,
]


def test(data: bytes) -> None:
    """As a sender, as a recipient, and as a domain."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        mailbox = parse_mailbox(text)
    except AddressError:
        pass
    else:
        printed = str(mailbox)
        assert parse_mailbox(printed) == mailbox
        assert mailbox.domain.isascii()
        assert mailbox.domain == mailbox.domain.lower()
        assert len(printed.encode()) + 2 <= 256
        assert not any(letter < " " or letter == "\x7f" for letter in printed)
        assert len(printed.splitlines()) == 1
    try:
        path = parse_forward_path(text)
    except AddressError:
        pass
    else:
        assert "." in path.mailbox.domain
        assert path.text == str(path.mailbox)
    try:
        domain = normalise_domain(text)
    except AddressError:
        return
    assert normalise_domain(domain) == domain


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
