"""The server machine, in any state, cut anywhere: events and nothing else, and always the same ones."""

import random

from drive import drive

from sendryd.testing.shell import AUTH, Shell

PIECES = (
    b"EHLO x\r\n", b"MAIL FROM:<a@b.c>", b"RCPT TO:<d@e.f>", b"DATA\r\n", b"BDAT 5", b" LAST", b"\r\n", b"\n", b"\r", b".", b"..", b"\0", b" SIZE=1", b" BODY=8BITMIME",
    b" SMTPUTF8", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"AUTH PLAIN ", b"AUTH LOGIN\r\n", b"AHgAeQ==", b"STARTTLS\r\n", b"From: a@b.c\r\n\r\n", b"\r\n.\r\n", b"x" * 3000, AUTH,
)  # fmt: skip


def test(data: bytes) -> None:
    """Whole and in pieces."""
    stage = data[0] % 4 if data else 0
    shells = [Shell(encrypted=stage > 0) for _ in range(2)]
    for shell in shells:
        if stage > 1:
            shell.log_in()
        if stage > 2:
            shell.envelope()
    shells[0].feed(data or b"x")
    chance, rest = random.Random(len(data)), data or b"x"
    while rest:
        size = chance.randrange(1, 9)
        shells[1].feed(rest[:size])
        rest = rest[size:]
    if b"STARTTLS" not in data.upper():  # what stands behind it in the same read is refused, in another read it is not there yet
        assert shells[0].contents == shells[1].contents
    for shell in shells:
        shell.feed(b"")
        assert shell.machine.is_closed


if __name__ == "__main__":
    drive(test, PIECES)
