"""A connection of the HTTP server: uvicorn's, with bounds on what a client may leave unsaid.

uvicorn waits for ever for a request that does not end, keeps header fields of any size, and answers what is no HTTP in plain text.
"""

import asyncio
import json
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from sendryd.api.framework.answers import error_json
from sendryd.api.framework.limits import ConnectionLimits
from sendryd.runtime.answers import ABORT

CHECK_INTERVAL: Final = 15  # seconds between two checks of a connection: a client that says nothing is gone after two at the most
MIN_RATE: Final = 500  # octets a second of a request that is not whole: what the slowest mobile lines give, and as for mail
MAX_HEAD: Final = 65_536  # octets of a request line with its header fields, or of trailers; other servers take 8 to 64 KiB
# Octets of a body that was refused, read and dropped so that the client gets to see why: more than is accepted.
MAX_IGNORED: Final = 64 * 1024 * 1024

_NO_HTTP: Final = "This is not a request of HTTP/1.1: send a request line, header fields and an empty line"
_SLOW: Final = f"The request did not arrive: send at least {MIN_RATE} octets a second"
_LARGE_HEAD: Final = f"The request line and the header fields have more than {MAX_HEAD} octets: make them shorter"


class Connection(HttpToolsProtocol):
    """Answers 400, 408 or 431 in the API's shape, and closes. One that never said anything is closed without a word."""

    check_interval: float = CHECK_INTERVAL
    limits: ConnectionLimits | None = None  # of the server, see `limited`
    _address = ""
    _requests = 0  # under way
    _watch: asyncio.TimerHandle | None = None
    _is_silent = True
    _received = 0  # octets since the last look
    _ignored = 0  # octets of the body of a request that has been answered
    _unbounded = 0  # octets of a head, of trailers or between chunks
    _is_owed = True  # whether the client has to send more
    _is_in_body = False
    _was_owed = False  # at the last look
    _unsent: int | None = None  # octets that the client had not taken at the last look

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts to look after the connection."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        if self.limits is not None:
            self.limits.add(self, self._address)
        self._watch = self.loop.call_later(self.check_interval, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops to look."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self.limits is not None:
            self.limits.remove(self, self._address)
        super().connection_lost(exc)

    def close_idle(self) -> None:
        """Makes room for another connection."""
        if self.limits is not None:
            self.limits.set_busy(self, self._address)  # it is not to be chosen again
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Counts, and lets uvicorn read."""
        self._is_silent = False
        self._received += len(data)
        self._unbounded += len(data)
        super().data_received(data)
        if self._is_owed and self._unbounded > MAX_HEAD and not self.transport.is_closing():
            self._refuse(431, "bad_request", _LARGE_HEAD)

    def on_message_begin(self) -> None:
        """The first octet of a request."""
        super().on_message_begin()
        self.scope["state"][ABORT] = self.transport.abort
        self._is_owed, self._was_owed = True, False

    def on_headers_complete(self) -> None:
        """The head is over."""
        self._unbounded = self._ignored = 0
        self._is_in_body = True
        self._requests += 1
        if self.limits is not None:
            self.limits.set_busy(self, self._address)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """An answer was written; the connection may be kept for another request."""
        self._requests -= 1
        if self.limits is not None:
            self.timeout_keep_alive = self.limits.keep_alive
            if not self._requests and not self.transport.is_closing():
                self.limits.set_idle(self, self._address)
        super().on_response_complete()

    def on_body(self, body: bytes) -> None:
        """Content, which the application bounds."""
        self._unbounded = max(0, self._unbounded - len(body))
        super().on_body(body)
        if self.cycle.response_complete:
            self._ignored += len(body)
            if self._ignored > MAX_IGNORED:
                self.transport.close()

    def on_chunk_complete(self) -> None:
        """The size of a chunk belongs to it."""
        self._unbounded = 0

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._is_owed = self._is_in_body = False
        self._unbounded = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Input that is not HTTP. It may also follow a request that is being answered; its answer is lost then."""
        self._refuse(400, "bad_request", _NO_HTTP)

    def _look(self) -> None:
        self._watch = self.loop.call_later(self.check_interval, self._look)
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent == self._unsent:
            self.transport.abort()
            return
        self._unsent = unsent
        is_owed = self._is_owed and not self.flow.read_paused
        if is_owed and self._was_owed and self._received < self.check_interval * MIN_RATE:
            if self._is_silent:  # an answer would be taken for that of a request just on its way
                self.transport.close()
            else:
                self._refuse(408, "request_timeout", _SLOW)
        self._was_owed = is_owed
        self._received = 0

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps(error_json(status, code, message)).encode()
        fields = b"content-type: application/json\r\ncontent-length: %d\r\ncache-control: no-store\r\nconnection: close\r\n\r\n" % len(body)
        cycle: RequestResponseCycle | None = self.cycle
        is_answered = cycle is not None and cycle.response_started and (self._is_in_body or not cycle.response_complete)
        if not is_answered:  # a second answer would be read as a part of the first, or as that to the next request
            self.transport.write(STATUS_LINE[status] + fields + body)
        self.transport.close()


def limited(limits: ConnectionLimits) -> type[Connection]:
    """The connections of a server with limits: uvicorn makes them of a class."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
