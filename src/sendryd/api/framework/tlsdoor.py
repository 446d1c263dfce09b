"""Accepts TLS connections for the HTTP server and shakes hands.

uvicorn knows of a connection when its handshake is over: those that never end would have no limit. Here a connection counts as idle from the
moment it is accepted, so that the oldest of a network's make room for new ones.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

import uvicorn

from sendryd.api.framework.limits import ConnectionLimits
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

HANDSHAKE_TIMEOUT: Final = 30.0  # seconds, as at SMTP
ACCEPT_PAUSE: Final = 1.0  # seconds after a failed accept: a descriptor has to become free

log = get_logger("http")


class TlsDoor:
    """One listening socket."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        limits: ConnectionLimits,
        server: uvicorn.Server,
        clock: Clock,
    ) -> None:
        self._socket = sock
        self._context = context
        self._limits = limits
        self._server = server
        self._clock = clock
        self._handshakes: set[_Handshake] = set()

    def __repr__(self) -> str:
        return f"<TlsDoor {len(self._handshakes)} handshakes>"

    async def run(self) -> None:
        """Accepts until cancelled."""
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)
        self._socket.listen(socket.SOMAXCONN)
        try:
            while True:
                try:
                    accepted, address = await loop.sock_accept(self._socket)
                except OSError as error:
                    log.warning("connection_not_accepted", error=repr(error))
                    await self._clock.sleep(ACCEPT_PAUSE)
                    continue
                handshake = _Handshake(accepted, str(address[0]), self._limits)
                self._handshakes.add(handshake)
                handshake.start(self._context, self._make_protocol, self._handshakes.discard)
        finally:
            self._socket.close()
            for handshake in tuple(self._handshakes):
                handshake.close_idle()

    def _make_protocol(self) -> asyncio.Protocol:
        """A connection of the server, as it makes one for those that it accepts itself."""
        server = self._server
        make: Any = server.config.http_protocol_class
        return cast("asyncio.Protocol", make(config=server.config, server_state=server.server_state, app_state=server.lifespan.state))


class _Handshake:
    """A connection that is not encrypted yet."""

    def __init__(self, accepted: socket.socket, address: str, limits: ConnectionLimits) -> None:
        self._socket = accepted
        self._address = address
        self._limits = limits
        self._task: asyncio.Task[None] | None = None

    def start(self, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol], on_end: Callable[["_Handshake"], None]) -> None:
        """Counts it, and begins."""
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(context, make))
        self._task.add_done_callback(lambda _: on_end(self))
        self._limits.add(self, self._address)

    async def _shake_hands(self, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(make, self._socket, ssl=context, ssl_handshake_timeout=HANDSHAKE_TIMEOUT)
        except OSError as error:  # also what TLS says, and the time-out
            log.debug("handshake_failed", client=self._address, error=repr(error))
            self._socket.close()
        except asyncio.CancelledError:
            self._socket.close()
        finally:
            self._limits.remove(self, self._address)  # from now on the protocol counts itself

    def close_idle(self) -> None:
        """Makes room for another connection."""
        self._limits.set_busy(self, self._address)  # it is not to be chosen again
        if self._task is not None:
            self._task.cancel()
