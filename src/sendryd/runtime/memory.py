"""A connected pair of byte streams in memory, for tests without sockets. TLS is only simulated."""

import asyncio
import ssl

from sendryd.runtime.faults import PeerClosed, ReadTimedOut, TLSFailed
from sendryd.runtime.stream import Peer, Take, TlsInfo


class MemoryStream:
    """One end. The other end reads what is written here."""

    def __init__(self, local: Peer, peer: Peer) -> None:
        self.local = local
        self.peer = peer
        self.tls: TlsInfo | None = None
        self.other: MemoryStream
        self._received = bytearray()
        self._is_eof = False
        self._fault: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def has_unread(self) -> bool:
        return bool(self._received) or self._is_eof or self._fault is not None

    async def read(self, timeout: float) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                while not self.has_unread:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise ReadTimedOut("the peer sent nothing in time") from None
        if self._received:
            data = bytes(self._received)
            self._received.clear()
            return data
        if self._fault:
            raise self._fault
        return b""

    async def attend(self, take: Take, timeout: float | None) -> None:
        while timeout is not None:
            timeout = take(await self.read(timeout))

    @property
    def is_congested(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        if self._fault is None and not self.other._is_eof:
            self.other._received += data
            self.other._changed.set()

    async def drain(self, timeout: float) -> None:  # noqa: ARG002  memory takes everything at once
        if self._fault:
            raise self._fault
        await asyncio.sleep(0)  # noqa: TID251  a turn for others

    async def start_tls(
        self,
        context: ssl.SSLContext,  # noqa: ARG002  no handshake takes place
        *,
        server_side: bool,  # noqa: ARG002
        server_hostname: str | None = None,  # noqa: ARG002
        timeout: float,  # noqa: ARG002
        is_first: bool = False,
    ) -> None:
        if self.has_unread and not is_first:
            raise TLSFailed("clear text came where the TLS handshake should begin")
        self.tls = TlsInfo("TLSv1.3", "MEMORY")

    async def aclose(self) -> None:
        self._is_eof = True
        self.other._is_eof = True
        self._changed.set()
        self.other._changed.set()

    def abort(self) -> None:
        for end in (self, self.other):
            end._fault = PeerClosed("the connection is closed")
            end._changed.set()


def memory_streams() -> tuple[MemoryStream, MemoryStream]:
    """Two ends of one connection."""
    near, far = Peer("127.0.0.1", 2587), Peer("192.0.2.1", 50000)
    first, second = MemoryStream(near, far), MemoryStream(far, near)
    first.other, second.other = second, first
    return first, second
