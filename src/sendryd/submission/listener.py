"""The submission listeners.

Does: accepts connections, keeps the limits, gives each connection a session, and stops in good order.
Reads: sockets.
Writes: nothing but replies of its own to connections over a limit.
Strategy: one task for each connection; what a stranger may hold is limited for each address, and less so once a key is logged in.
When things fail: a session that fails ends alone.
An address that a person has blocked gets 554 5.7.1 in place of the greeting.
Limits: connections in all, for each address, and unauthenticated ones for each address; beyond them 421 4.7.0 and closed. IPv6 addresses
count by their /64.
Standards: RFC 5321 §3.1 (554 as a greeting), RFC 6409 (submission), RFC 8314 (implicit TLS).
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sendryd.policy.network import network_of
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.draining import drain
from sendryd.runtime.log import get_logger
from sendryd.runtime.tcp import TcpStream
from sendryd.smtp.reply import Reply
from sendryd.submission import replies
from sendryd.submission.context import SessionContext
from sendryd.submission.refusals import CONNECTION, Client
from sendryd.submission.session import Session

BACKLOG: Final = 1024  # connections that the kernel queues while the process is busy
DRAIN_TIMEOUT: Final = 30.0  # seconds for transactions under way when the program stops

log = get_logger("submission")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of connections served at once."""

    total: int = 10_000
    per_address: int = 2_000
    unauthenticated_per_address: int = 100


class Listener:
    """All submission sockets of one process."""

    def __init__(self, context: SessionContext, limits: ConnectionLimits) -> None:
        self._context = context
        self._limits = limits
        self._servers: list[asyncio.Server] = []
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._by_network: Counter[str] = Counter()
        self._unauthenticated: Counter[str] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<Listener {len(self._servers)} sockets, {len(self._sessions)} sessions>"

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {"sessions": len(self._sessions), "addresses": len(self._by_network)}

    async def listen(self, sock: socket.socket, *, is_implicit_tls: bool = False) -> None:
        """Starts accepting connections on a bound socket."""

        def on_connect(stream: TcpStream) -> None:
            self._start(stream, is_implicit_tls=is_implicit_tls)

        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: TcpStream(on_connect), sock=sock, backlog=BACKLOG))

    def _start(self, stream: TcpStream, *, is_implicit_tls: bool) -> None:
        network = network_of(stream.peer.host)
        if self._context.blocklist.holds(stream.peer.host):
            self._context.refusals.add(replies.BLOCKED, CONNECTION, Client(stream.peer.host, "", is_implicit_tls, None), ("", ()))
            self._refuse(stream, replies.BLOCKED, is_implicit_tls=is_implicit_tls)
            return
        if self._is_over_limit(network):
            self._refuse(stream, Refusal(RefusalKey.TOO_MANY_CONNECTIONS).smtp, is_implicit_tls=is_implicit_tls)
            return
        if self._is_stopping:
            self._refuse(stream, replies.SHUTTING_DOWN, is_implicit_tls=is_implicit_tls)
            return
        self._by_network[network] += 1
        self._unauthenticated[network] += 1
        self._context.metrics.connections.inc()
        session = Session(stream, self._context, is_implicit_tls=is_implicit_tls, on_authenticated=self._on_authenticated)
        task = asyncio.get_running_loop().create_task(self._run(session, network))
        self._sessions[session] = task

    def _refuse(self, stream: TcpStream, reply: Reply, *, is_implicit_tls: bool) -> None:
        self._context.metrics.connections_refused.inc()
        if not is_implicit_tls:
            stream.write(reply.encoded)
        task = asyncio.get_running_loop().create_task(stream.aclose())
        self._closing.add(task)  # the loop keeps only weak references to tasks
        task.add_done_callback(self._closing.discard)

    def end_blocked(self) -> None:
        """Ends the sessions of blocked addresses, each after its transaction."""
        for session in tuple(self._sessions):
            if self._context.blocklist.holds(session.address):
                session.request_stop()

    def _is_over_limit(self, network: str) -> bool:
        limits = self._limits
        return (
            len(self._sessions) >= limits.total
            or self._by_network[network] >= limits.per_address
            or self._unauthenticated[network] >= limits.unauthenticated_per_address
        )

    async def _run(self, session: Session, network: str) -> None:
        try:
            await session.run()
        finally:
            del self._sessions[session]
            if not session.was_authenticated:
                _decrease(self._unauthenticated, network)
            _decrease(self._by_network, network)
            self._context.metrics.connections.dec()

    def _on_authenticated(self, session: Session) -> None:
        _decrease(self._unauthenticated, network_of(session.address))

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


def _decrease(counter: Counter[str], network: str) -> None:
    counter[network] -= 1
    if counter[network] <= 0:
        del counter[network]
