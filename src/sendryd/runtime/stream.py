"""The byte stream's interface, with TLS on demand, between the protocol machines and the network.

`tcp.py` has the real one, `memory.py` the one of tests. Clear text that is buffered when the handshake begins makes it fail (RFC 3207 §4.2, §6).
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

READ_SIZE: Final = 64 * 1024  # octets of one read: larger pieces make the C library map and unmap memory each time


@dataclass(frozen=True, slots=True)
class Peer:
    """One end of a connection."""

    host: str  # an IP address as text
    port: int


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """The negotiated TLS parameters."""

    version: str  # for example "TLSv1.3"
    cipher: str
    # Gives the peer's certificates in DER as it sent them, its own first, none of them checked here.
    certificates: Callable[[], tuple[bytes, ...]] = field(default=tuple, repr=False, compare=False)


# Takes octets, `b""` at the end of the stream, without waiting. Gives for how many seconds more may be waited for; None ends `attend`.
Take = Callable[[bytes], float | None]


class ByteStream(Protocol):
    """A connection, for sessions and transports."""

    @property
    def peer(self) -> Peer:
        """The peer's address."""
        ...

    @property
    def local(self) -> Peer:
        """The local address."""
        ...

    @property
    def tls(self) -> TlsInfo | None:
        """The TLS parameters; None in clear text."""
        ...

    @property
    def has_unread(self) -> bool:
        """Whether bytes, the end of the stream or a fault can be read at once."""
        ...

    async def read(self, timeout: float) -> bytes:
        """Arrived octets, about `READ_SIZE` at most; `b""` at the end of the stream. Waits up to `timeout` seconds for the first one.

        Raises `ReadTimedOut`, `PeerClosed`.
        """
        ...

    async def attend(self, take: Take, timeout: float) -> None:
        """Gives what `read` would return to `take`, in the callback that received it, until `take` has the call end.

        So a reply costs no wake-up of the task that waits here. Waits up to `timeout` seconds, then as long as `take` says.
        Raises `ReadTimedOut`, `PeerClosed`, and what `take` raises.
        """
        ...

    @property
    def is_congested(self) -> bool:
        """More is buffered than the peer takes: `drain` would wait."""
        ...

    def write(self, data: bytes) -> None:
        """Sends octets, or buffers them. Never raises: the next read or drain does."""
        ...

    async def drain(self, timeout: float) -> None:
        """Waits until little is buffered. Raises `WriteTimedOut`, `PeerClosed`."""
        ...

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None, timeout: float, is_first: bool = False
    ) -> None:
        """Performs the TLS handshake. Nothing may be awaited between the write of the reply to STARTTLS and this call. Raises `TLSFailed`.

        With `is_first` the connection begins with the handshake (implicit TLS): octets that have arrived belong to it.
        """
        ...

    async def aclose(self) -> None:
        """Sends the buffered octets, if the peer reads them soon, and closes."""
        ...

    def abort(self) -> None:
        """Closes at once."""
        ...
