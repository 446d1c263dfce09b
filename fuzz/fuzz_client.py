"""The client machine against a peer that says anything: replies, the end, or a broken rule."""

from contextlib import suppress

from drive import drive

from sendryd.smtp.client import ClientConnection, Closed
from sendryd.smtp.errors import RemoteProtocolError
from sendryd.smtp.events import NEED_DATA
from sendryd.smtp.extensions import parse_extensions

PIECES = (
    b"220 hi\r\n",
    b"250-x\r\n",
    b"250 SIZE 10\r\n",
    b"354 go\r\n",
    b"550 5.1.1 no\r\n",
    b"421 bye\r\n",
    b"2500 x\r\n",
    b"250",
    b"\r\n",
    b"\n",
    b"-",
    b"\xff",
    b"x" * 600,
)


def test(data: bytes) -> None:
    """From the greeting on."""
    machine = ClientConnection()
    with suppress(RemoteProtocolError):
        machine.receive_data(data or b"x")
        machine.receive_data(b"")
        for _ in range(1000):
            event = machine.next_event()
            if event is NEED_DATA or isinstance(event, Closed):
                break
        else:
            raise AssertionError("events without end")
    parse_extensions(data.decode("latin-1").splitlines())


if __name__ == "__main__":
    drive(test, PIECES)
