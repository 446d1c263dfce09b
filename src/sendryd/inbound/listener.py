"""The listeners of port 25.

Does: accepts connections, keeps the limits, gives each connection a session, and stops in good order.
Strategy: one task for each connection. The limits are its own: a flood here leaves submission alone.
When things fail: a session that fails ends alone.
Limits: `MAX_CONNECTIONS` in all, `MAX_PER_NETWORK` for each address; IPv6 addresses count by their /64. Beyond them 421 4.7.0 and closed.
Standards: RFC 5321 (reception).
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sendryd.inbound import replies
from sendryd.inbound.context import InboundContext
from sendryd.inbound.session import InboundSession
from sendryd.policy.network import network_of
from sendryd.runtime.draining import drain
from sendryd.runtime.log import get_logger
from sendryd.runtime.tcp import TcpStream

BACKLOG: Final = 256  # connections that the kernel queues while the process is busy: fewer than those of submission
DRAIN_TIMEOUT: Final = 10.0  # seconds for transactions under way when the program stops; other servers come again
MAX_CONNECTIONS: Final = 1_000  # a tenth of those of submission
MAX_PER_NETWORK: Final = 50  # the operator's interface says so

log = get_logger("inbound")


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundLimits:
    """Limits of connections served at once."""

    total: int = MAX_CONNECTIONS
    per_network: int = MAX_PER_NETWORK


class InboundListener:
    """All sockets of port 25 of one process."""

    def __init__(self, context: InboundContext, limits: InboundLimits | None = None) -> None:
        self._context = context
        self._limits = limits or InboundLimits()
        self._servers: list[asyncio.Server] = []
        self._sessions: dict[InboundSession, asyncio.Task[None]] = {}
        self._by_network: Counter[str] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<InboundListener {len(self._servers)} sockets, {len(self._sessions)} sessions>"

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {"sessions": len(self._sessions), "content_octets": self._context.shares.held, **self._context.receiver.statistics()}

    async def listen(self, sock: socket.socket) -> None:
        """Starts accepting connections on a bound socket."""
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: TcpStream(self._start), sock=sock, backlog=BACKLOG))

    def _start(self, stream: TcpStream) -> None:
        network = network_of(stream.peer.host)
        loop = asyncio.get_running_loop()
        is_full = len(self._sessions) >= self._limits.total or self._by_network[network] >= self._limits.per_network
        if is_full or self._is_stopping:
            self._context.metrics.connections_refused.inc()
            stream.write((replies.SHUTTING_DOWN if self._is_stopping else replies.TOO_MANY_CONNECTIONS).encoded)
            closing = loop.create_task(stream.aclose())
            self._closing.add(closing)  # the loop keeps only weak references to tasks
            closing.add_done_callback(self._closing.discard)
            return
        self._by_network[network] += 1
        session = InboundSession(stream, self._context)
        self._sessions[session] = loop.create_task(self._run(session, network))

    async def _run(self, session: InboundSession, network: str) -> None:
        try:
            await session.run()
        finally:
            del self._sessions[session]
            self._by_network[network] -= 1
            if self._by_network[network] <= 0:
                del self._by_network[network]

    def drain(self) -> None:
        """Answers whoever connects with 421 4.3.2 from now on. Transactions under way finish."""
        self._is_stopping = True
        for session in tuple(self._sessions):
            session.request_stop()

    async def aclose(self, timeout: float = DRAIN_TIMEOUT) -> None:
        """Accepts no more connections, lets transactions under way finish, and cancels the remaining sessions after the timeout."""
        self._is_stopping = True
        for server in self._servers:
            server.close()
        for session in tuple(self._sessions):
            session.request_stop()
        if late := await drain(list(self._sessions.values()), timeout):
            log.warning("sessions_cut_off", count=late)
