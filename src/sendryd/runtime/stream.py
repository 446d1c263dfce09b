"""A byte stream, with TLS when asked for: the seam between the protocol machines and the network.

`tcp.py` is the real one, `memory.py` the one of tests. What waits in clear text when the handshake begins makes it fail (RFC 3207 §4.2, §6).
"""

import ssl
from dataclasses import dataclass
from typing import Final, Protocol

READ_SIZE: Final = 64 * 1024  # octets of a read: larger pieces make the C library map and unmap memory for every one


@dataclass(frozen=True, slots=True)
class Peer:
    """One end of a connection."""

    host: str  # an IP address as text
    port: int


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """What the handshake agreed on."""

    version: str  # for example "TLSv1.3"
    cipher: str


class ByteStream(Protocol):
    """What sessions and transports know of a connection."""

    @property
    def peer(self) -> Peer:
        """The other end."""
        ...

    @property
    def local(self) -> Peer:
        """This end."""
        ...

    @property
    def tls(self) -> TlsInfo | None:
        """None while in clear text."""
        ...

    @property
    def has_unread(self) -> bool:
        """Bytes, the end of the stream or a fault wait to be read."""
        ...

    async def read(self, timeout: float) -> bytes:
        """What has arrived, some `READ_SIZE` octets of it at the most; `b""` at the end of the stream. Waits up to `timeout` seconds for the first octet.

        Raises `ReadTimedOut`, `PeerClosed`.
        """
        ...

    def write(self, data: bytes) -> None:
        """Sends, or buffers what the peer does not take yet. Never raises: the next read or drain tells."""
        ...

    async def drain(self, timeout: float) -> None:
        """Waits until little is buffered. Raises `WriteTimedOut`, `PeerClosed`."""
        ...

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None, timeout: float, is_first: bool = False
    ) -> None:
        """Shakes hands. Nothing may be awaited between the write of the go-ahead and this call. Raises `TLSFailed`.

        With `is_first` the connection begins with the handshake (implicit TLS): what has arrived already belongs to it.
        """
        ...

    async def aclose(self) -> None:
        """Sends what is buffered, if the peer takes it soon, and closes."""
        ...

    def abort(self) -> None:
        """Closes at once."""
        ...
