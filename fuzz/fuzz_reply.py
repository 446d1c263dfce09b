"""Replies both ways: ours stay on their lines; a server's give events or `RemoteProtocolError`, wherever they are cut."""

from drive import cut, drive

from sendryd.smtp.client import ClientConnection, Closed
from sendryd.smtp.client_commands import DATA
from sendryd.smtp.errors import LocalProtocolError, RemoteProtocolError
from sendryd.smtp.events import NEED_DATA
from sendryd.smtp.extensions import parse_extensions
from sendryd.smtp.reply import EnhancedStatusCode, Reply

SEEDS = [
    b"\x05\x20220 mx.example.org ESMTP\r\n",
    b"\x07\x11220-mx\r\n220 ESMTP\r\n",
    b"\x02\x09554 5.7.1 go away\r\n",
    b"\x01\x30250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n",
    b"\x08\x13421-4.3.2 a\n421-4.3.2 b\r\n421 4.3.2 c\r\n221 bye\r\n",
]
PIECES = [b"\r\n", b"\n", b"\r", b"220", b"250-", b"354 ", b"599", b"600", b"5.1.1 ", b"SIZE ", b"\0", b"\xff", b"x" * 600]


def events(pieces: list[bytes]) -> list[object]:
    machine = ClientConnection()
    seen: list[object] = []
    try:
        for piece in [*pieces, b""]:
            machine.receive_data(piece)
            while (event := machine.next_event()) is not NEED_DATA and not (isinstance(event, Closed) and event in seen):
                seen.append(event)
    except RemoteProtocolError:
        seen.append("broken")
        try:
            machine.send(DATA)
        except (LocalProtocolError, RemoteProtocolError):
            return seen
        raise AssertionError("a broken connection can be spoken on") from None
    return seen


def test(data: bytes) -> None:
    """Both ways; the first two octets say where to cut."""
    places, data = list(data[:2]), data[2:]
    assert events(cut(data, places)) == events([data])
    lines = tuple(data.decode("latin-1").split("\n"))
    parse_extensions(lines)
    encoded = Reply(550, lines, EnhancedStatusCode(5, 0, 0)).encoded
    assert encoded.isascii()
    assert encoded.count(b"\n") == encoded.count(b"\r") == encoded.count(b"\r\n") == len(lines)
    assert all(len(line) <= 512 and line.startswith(b"550") for line in encoded.splitlines())


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
