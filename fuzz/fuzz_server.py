"""The server machine: the same events and replies wherever the input is cut, and a session ends when its stream does."""

from drive import cut, drive

from sendryd.smtp.events import Closed, DataEnded
from sendryd.smtp.server import ServerLimits
from sendryd.testing.shell import AUTH, Shell

LIMITS = ServerLimits(
    max_message_size=200, max_recipients=3, max_faults=8, max_idle_commands=20, command_line=100, auth_line=120, content_piece=32
)
ENVELOPE = b"MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.org>\r\n"
SEEDS = [
    b"\x02\x11\x30\x07" + ENVELOPE + b"DATA\r\nFrom: a@example.test\r\n\r\n..x\r\n.\r\nNOOP\r\nQUIT\r\n",
    b"\x03\x11\x30\x07From: a@example.test\r\n\r\nx\n.\r\n" + ENVELOPE + b"\r\n.\r\n",
    b"\x02\x05\x15\x25" + ENVELOPE + b"BDAT 5\r\na\r\nb\rBDAT 1 LAST\r\n\nRSET\r\n",
    b"\x01\x05\x15\x25EHLO vm\r\n" + AUTH + b"AUTH LOGIN\r\nMAIL FROM:<a@example.test>\r\nDATA\r\nx\r\n.\r\n",
    b"\x01\x05\x15\x25EHLO vm\r\nAUTH LOGIN\r\neA==\r\n*\r\nAUTH PLAIN\r\n!\r\n",
    b"\x00\x05\x15\x25EHLO vm\r\nHELP\r\nVRFY x\r\nEXPN x\r\nMAIL FROM:<a@b>\r\n",
    b"\x00\x01\x02\x03\x16\x03\x01\x02\x00\x01",
]
PIECES = [
    ENVELOPE, b"DATA\r\n", b"\r\n.\r\n", b"\n.\r\n", b"\r\n", b"\n", b"\r", b"\0", b"RSET\r\n", b"BDAT 4\r\n", b"BDAT 4 LAST\r\n", b"BDAT 0 LAST\r\n",
    b"BDAT 900\r\n", b"AUTH PLAIN\r\n", AUTH, b"NOOP\r\n", b"EHLO x\r\n", b"HELO x\r\n", b"QUIT\r\n", b"x" * 101, b"GET /\r\n",
]  # fmt: skip


def run(pieces: list[bytes], stage: int) -> Shell:
    shell = Shell(encrypted=stage > 0, limits=LIMITS)
    if stage > 1:
        shell.log_in()
    if stage > 2:
        shell.envelope()
    shell.feed_all(pieces)
    shell.feed(b"")
    assert shell.machine.is_closed
    assert len([event for event in shell.events if isinstance(event, Closed)]) == 1
    assert shell.machine.content_size == 0
    return shell


def test(data: bytes) -> None:
    """Whole and in pieces; the first octet says how far the session has come, the next three where to cut."""
    stage, places, data = (data or b"\0")[0] % 4, list(data[1:4]), data[4:]
    if stage == 0 and b"STARTTLS" in data.upper():  # what follows it in the same flight is refused, by design
        return
    whole = run([data], stage)
    if any("refused DATA" in event.reason for event in whole.events if isinstance(event, Closed)):  # likewise
        return
    for pieces in (cut(data, places), [bytes([octet]) for octet in data]):
        pieced = run(pieces, stage)
        assert pieced.events == whole.events
        assert pieced.output == whole.output
    assert all(line[:3].isdigit() for line in whole.output.splitlines())
    for event in whole.events:
        if isinstance(event, DataEnded):
            assert event.content.count(b"\r") == event.content.count(b"\n") == event.content.count(b"\r\n")


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
