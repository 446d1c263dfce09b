"""How many connections and requests the HTTP door serves at once, in all and for each network.

One client, or one network, can hold up only itself. A connection over a limit takes the place of the one that has been idle for longest: of its own
network where that is at its limit, else of all. Idle is a connection without a request whose head has come: silent, between two requests, or still
sending a head. Requests over a limit are refused; those for health, readiness and metrics never are.

Addresses count by network: IPv6 ones by their /64. The connections of a trusted proxy have no limit of their own, and its requests count for
the clients that it names.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from sendryd.api.framework.answers import error_json
from sendryd.api.framework.requests import respond
from sendryd.policy.network import network_of

MAX_CONNECTIONS: Final = 4096  # each costs a descriptor and about 10 KB
MAX_OF_NETWORK: Final = 512  # an eighth: far more than the pool of any client library
MAX_REQUESTS: Final = 1000  # answered at once; more would only wait for one another
MAX_REQUESTS_OF_NETWORK: Final = 500  # half of them: the other half stays for all others
DESCRIPTOR_SHARE: Final = 4  # a quarter of the process's descriptors, where that is less than MAX_CONNECTIONS
KEEP_ALIVE: Final = 75  # seconds that an idle connection is kept: longer than the usual proxy keeps its side
KEEP_ALIVE_UNDER_PRESSURE: Final = 5  # seconds, once more than half of all places are taken
RETRY_AFTER: Final = 1  # seconds: a request takes less
ALWAYS_ANSWERED: Final = frozenset({"/healthz", "/readyz", "/metrics"})

_NETWORK_BUSY: Final = (429, "rate_limited", "Too many requests from your network at once: wait for answers before you send more")
_ALL_BUSY: Final = (503, "internal_error", "The server answers as many requests as it can: try again in a second")


class Closable(Protocol):
    """A connection, as far as the limits need it."""

    def close_idle(self) -> None:
        """Closes it, since it has no request under way."""
        ...


class ConnectionLimits:
    """The connections of one server, and which of them are idle."""

    def __init__(
        self, *, max_connections: int = MAX_CONNECTIONS, max_of_network: int = MAX_OF_NETWORK, trusted: Sequence[str] = ()
    ) -> None:
        self._max_connections = max_connections
        self._max_of_network = max_of_network
        self._trusted = tuple(ip_network(each, strict=False) for each in trusted)
        self._by_network: Counter[str] = Counter()
        self._count = 0
        # The one that has been idle for longest comes first.
        self._idle: OrderedDict[Closable, None] = OrderedDict()
        self._idle_of: dict[str, OrderedDict[Closable, None]] = {}
        self.closed_idle = 0

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {"connections": self._count, "idle": len(self._idle), "closed_idle": self.closed_idle}

    @property
    def keep_alive(self) -> int:
        """Seconds that a connection may stay idle."""
        return KEEP_ALIVE if self._count <= self._max_connections // 2 else KEEP_ALIVE_UNDER_PRESSURE

    def add(self, connection: Closable, address: str) -> None:
        """A new connection, idle so far. Closes one that is idle for longer if there is no room."""
        network = network_of(address)
        self._by_network[network] += 1
        self._count += 1
        if self._by_network[network] > self._max_of_network and not self._is_trusted(address):
            self._close_oldest(self._idle_of.get(network))
        elif self._count > self._max_connections:
            self._close_oldest(self._idle)
        self.set_idle(connection, address)

    def remove(self, connection: Closable, address: str) -> None:
        """A connection is gone."""
        network = network_of(address)
        self.set_busy(connection, address)
        self._count -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]

    def set_idle(self, connection: Closable, address: str) -> None:
        """It has no request under way any more."""
        self._idle[connection] = None
        self._idle_of.setdefault(network_of(address), OrderedDict())[connection] = None

    def set_busy(self, connection: Closable, address: str) -> None:
        """It has a request under way, or is being closed."""
        self._idle.pop(connection, None)
        network = network_of(address)
        idle = self._idle_of.get(network)
        if idle is not None:
            idle.pop(connection, None)
            if not idle:
                del self._idle_of[network]

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in each for each in self._trusted)

    def _close_oldest(self, idle: OrderedDict[Closable, None] | None) -> None:
        if idle:
            self.closed_idle += 1
            next(iter(idle)).close_idle()


class RequestLimits:
    """An ASGI application around another, which it protects. Requests count until they have been dealt with, whether their client waits or not."""

    def __init__(self, app: ASGIApp, *, max_requests: int = MAX_REQUESTS, max_of_network: int = MAX_REQUESTS_OF_NETWORK) -> None:
        self._app = app
        self._max_requests = max_requests
        self._max_of_network = max_of_network
        self._by_network: Counter[str] = Counter()
        self._count = 0
        self.refused = 0

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {"requests": self._count, "requests_refused": self.refused}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") in ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        network = network_of(scope["client"][0]) if scope["client"] else ""
        is_full = self._count >= self._max_requests
        if is_full or self._by_network[network] >= self._max_of_network:
            self.refused += 1
            status, code, message = _ALL_BUSY if is_full else _NETWORK_BUSY
            headers = {"Retry-After": str(RETRY_AFTER), "Connection": "close"}
            await respond(error_json(status, code, message), status, headers)(scope, receive, send)
            return
        self._by_network[network] += 1
        self._count += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._count -= 1
            self._by_network[network] -= 1
            if not self._by_network[network]:
                del self._by_network[network]
