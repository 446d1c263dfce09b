"""The byte stream over TCP: an asyncio protocol with TLS inside.

TLS runs over memory BIOs in the callback that received the bytes, and is read in pieces of `READ_SIZE` at the most.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from sendryd.runtime.faults import PeerClosed, ReadTimedOut, TLSClosed, TLSFailed, TLSTimedOut, WriteTimedOut
from sendryd.runtime.patience import LATE, MOMENT
from sendryd.runtime.stream import READ_SIZE, Peer, Take, TlsInfo
from sendryd.runtime.tls import describe_session

RECEIVE_LIMIT: Final = 256 * 1024  # octets buffered for the reader; beyond them the peer is paused
WRITE_SLICE: Final = 64 * 1024  # octets given to TLS at a time
LINGER: Final = 10.0  # seconds for a closed connection to send its buffer; a peer that does not read would keep it open


class TcpStream(asyncio.Protocol):
    """`ByteStream` over an asyncio transport."""

    __slots__ = (
        "_deadline",
        "_drain_waiter",
        "_fault",
        "_handshake",
        "_has_handshake_begun",
        "_incoming",
        "_is_eof",
        "_is_paused",
        "_is_reading_paused",
        "_linger",
        "_loop",
        "_on_connect",
        "_on_lost",
        "_outgoing",
        "_received",
        "_received_size",
        "_ssl",
        "_take",
        "_timer",
        "_transport",
        "_waiter",
        "local",
        "peer",
        "tls",
    )

    def __init__(
        self,
        on_connect: Callable[["TcpStream"], None] | None = None,
        on_lost: Callable[["TcpStream"], None] | None = None,
        *,
        linger: float = LINGER,
    ) -> None:
        self.peer = self.local = Peer("", 0)
        self.tls: TlsInfo | None = None
        self._loop, self._linger = asyncio.get_running_loop(), linger  # seconds
        self._on_connect = on_connect
        self._on_lost = on_lost
        self._transport: asyncio.Transport
        self._received: list[bytes] = []
        self._received_size = 0
        self._is_eof = self._is_paused = self._is_reading_paused = False
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[bool] | None = None  # True: who attends has had enough
        self._take: Take | None = None  # of who attends
        self._drain_waiter: asyncio.Future[None] | None = None
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._ssl: ssl.SSLObject | None = None
        self._incoming: ssl.MemoryBIO
        self._outgoing: ssl.MemoryBIO
        self._handshake: asyncio.Future[None] | None = None
        self._has_handshake_begun = False  # the peer has sent octets of the handshake

    def __repr__(self) -> str:
        state = "failed" if self._fault else "ended" if self._is_eof else "open"
        return f"<TcpStream {self.peer.host}:{self.peer.port} {self.tls.version if self.tls else 'clear'} {state}>"

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        with suppress(OSError):  # the peer may be gone already
            # Without it a reply that is split over two segments waits for the peer's delayed acknowledgement: 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.peer = Peer(*peer[:2]) if peer else Peer("", 0)
        self.local = Peer(*local[:2]) if local else Peer("", 0)
        if self._on_connect:
            self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        if self._ssl is None:
            self._received.append(data)
            self._received_size += len(data)
        else:
            self._incoming.write(data)
            if self._handshake is not None:
                self._has_handshake_begun = True
                self._continue_handshake()
            else:
                self._decrypt()
        if self._received_size > RECEIVE_LIMIT and not self._is_reading_paused and not self._transport.is_closing():
            self._is_reading_paused = True
            self._transport.pause_reading()
        if self._received:
            if self._take is not None and self._received_size <= READ_SIZE:
                self._give(self._take)
            else:
                self._wake()

    def eof_received(self) -> bool:
        self._is_eof = True
        if self._handshake is not None:
            self._break_handshake("the peer closed")
        self._wake()
        return True  # the peer may have closed only its half, and still wait for our reply

    def connection_lost(self, exc: Exception | None) -> None:
        fault = PeerClosed(f"connection lost: {exc}" if exc else "the connection is closed")
        self._is_eof = True
        if exc is not None or self._fault is None:
            self._fault = fault
        if self._handshake is not None:
            self._break_handshake("the connection was lost")
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_exception(fault)
        self._wake()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._on_lost:
            self._on_lost(self)
            self._on_lost = None

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    # Reading.

    @property
    def has_unread(self) -> bool:
        return bool(self._received) or self._is_eof or self._fault is not None

    async def read(self, timeout: float) -> bytes:
        if not self._received and not self.has_unread:
            await self._wait(timeout)
        return self._next_unread()

    async def attend(self, take: Take, timeout: float | None) -> None:
        while timeout is not None:
            if self.has_unread:
                timeout = take(self._next_unread())
                continue
            self._take = take
            try:
                if await self._wait(timeout):
                    return
            finally:
                self._take = None

    def _give(self, take: Take) -> None:
        """Gives what has arrived to who attends, here in the callback. Large amounts are left to the task, which shares the loop with others."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        try:
            seconds = take(self._next_unread())
        except Exception as error:  # whatever it is, it is the task's that waits
            if not waiter.done():
                waiter.set_exception(error)
            return
        if seconds is not None:
            self._set_deadline(self._loop.time() + seconds)
        elif not waiter.done():
            waiter.set_result(True)

    async def _wait(self, timeout: float) -> bool:
        """Waits until there is something unread. True: who attends has had enough."""
        self._waiter = waiter = self._loop.create_future()
        self._set_deadline(self._loop.time() + timeout)
        try:
            return bool(await waiter)
        finally:
            self._waiter = None
            self._deadline = math.inf

    def _next_unread(self) -> bytes:
        received = self._received
        if not received:
            if self._fault is not None:
                raise self._fault
            return b""
        if self._received_size <= READ_SIZE:
            data = received[0] if len(received) == 1 else b"".join(received)
            received.clear()
        else:  # a reader that got everything would block the loop for milliseconds
            data = self._take_pieces()
        self._received_size -= len(data)
        if self._is_reading_paused and self._received_size <= READ_SIZE and not self._transport.is_closing():
            self._is_reading_paused = False
            self._transport.resume_reading()
        return data

    def _take_pieces(self) -> bytes:
        """The first pieces that arrived, up to `READ_SIZE` octets; at least one."""
        count, size = 0, 0
        for piece in self._received:
            if count and size + len(piece) > READ_SIZE:
                break
            count += 1
            size += len(piece)
        data = b"".join(self._received[:count])
        del self._received[:count]
        return data

    def _set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        # The timer is left running from read to read and looks at the deadline when it fires: arming one for each read costs more.
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._on_timer)
        elif self._timer.when() > deadline:
            self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        now = self._loop.time()
        if now - self._deadline > LATE:  # the process was paused: octets that arrived meanwhile are read first
            self._deadline = now + MOMENT
        if now >= self._deadline:
            self._waiter.set_exception(ReadTimedOut("the peer sent nothing in time"))
        else:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    # Writing.

    @property
    def is_congested(self) -> bool:
        return self._is_paused

    def write(self, data: bytes) -> None:
        if self._fault is not None or self._transport.is_closing():
            return
        if self._ssl is None:
            self._transport.write(data)
            return
        try:
            if len(data) <= WRITE_SLICE:
                self._ssl.write(data)
                self._transport.write(self._outgoing.read())
            else:
                view = memoryview(data)
                for start in range(0, len(view), WRITE_SLICE):
                    self._ssl.write(view[start : start + WRITE_SLICE])
                    self._transport.write(self._outgoing.read())
        except ssl.SSLError as error:
            self._fail(PeerClosed(f"TLS failed while writing: {error.reason}"))

    async def drain(self, timeout: float) -> None:
        if self._fault is not None:
            raise self._fault
        if not self._is_paused:
            return
        self._drain_waiter = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._drain_waiter
        except TimeoutError:
            raise WriteTimedOut("the peer did not take what was sent in time") from None
        finally:
            self._drain_waiter = None

    # TLS.

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None, timeout: float, is_first: bool = False
    ) -> None:
        begun = b"".join(self._received) if is_first else b""
        if begun:
            self._received.clear()
            self._received_size = 0
        if self._received:
            raise TLSFailed("clear text came where the TLS handshake should begin")
        if self.has_unread:
            raise TLSClosed("the peer closed before the TLS handshake")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._incoming.write(begun)
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname)
        self._ssl = tls
        self._handshake = handshake = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                self._continue_handshake()
                await handshake
        except TimeoutError:
            raise TLSTimedOut("the TLS handshake took too long") from None
        finally:
            self._handshake = None
        self.tls = describe_session(tls)

    def _continue_handshake(self) -> None:
        tls, handshake = self._ssl, self._handshake
        if tls is None or handshake is None or handshake.done():
            return
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush_tls()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush_tls()  # the alert
            reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
            self._end_handshake(TLSFailed(f"TLS handshake failed: {reason}"))
        else:
            self._flush_tls()
            self._end_handshake(None)
            self._handshake = None
            self._decrypt()

    def _break_handshake(self, what: str) -> None:
        fault = TLSFailed if self._has_handshake_begun else TLSClosed
        self._end_handshake(fault(f"{what} during the TLS handshake"))

    def _end_handshake(self, fault: TLSFailed | None) -> None:
        handshake = self._handshake
        if handshake is not None and not handshake.done():
            if fault is None:
                handshake.set_result(None)
            else:
                handshake.set_exception(fault)

    def _decrypt(self) -> None:
        tls = self._ssl
        if tls is None:
            return
        received, incoming = self._received, self._incoming
        try:
            while incoming.pending:  # a read takes a whole record, so no octets stay inside
                data = tls.read(READ_SIZE)
                if not data:
                    self._is_eof = True
                    self._wake()
                    break
                received.append(data)
                self._received_size += len(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._is_eof = True
            self._wake()
        except ssl.SSLError as error:
            self._fail(PeerClosed(f"TLS failed while reading: {error.reason}"))
        if self._outgoing.pending:
            self._flush_tls()

    def _flush_tls(self) -> None:
        if self._outgoing.pending and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())

    # Closing.

    def _fail(self, fault: Exception) -> None:
        self._fault = fault
        self._wake()
        self._transport.abort()

    async def aclose(self) -> None:
        if self._transport.is_closing():
            return
        if self._ssl is not None and self.tls is not None and self._fault is None:
            with suppress(ssl.SSLError):  # our close_notify is written; theirs is not awaited
                self._ssl.unwrap()
            self._flush_tls()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(self._linger, self._transport.abort)

    def abort(self) -> None:
        self._transport.abort()
