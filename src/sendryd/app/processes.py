"""`serve --processes N`: starts N processes of this program on one machine and keeps them running.

Each is a node of its own: the first has the node's name, the others the name with their number. They share the addresses that they listen on; this process
only holds them, so that a number that the system chose is the same for all. The first one starts alone, because it makes what is made once.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from sendryd.app.listen import bind, bound_address
from sendryd.app.settings import PREFIX, Settings
from sendryd.app.supervise import STOP_TIMEOUT
from sendryd.app.values import Address
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

RESTART_PAUSES: Final = (1.0, 2.0, 5.0, 15.0)  # seconds: a fault that passes costs one, one that stays a start every quarter of a minute
STEADY: Final = 60.0  # seconds that a process has to run for its earlier ends to be forgotten
SLACK: Final = 5.0  # seconds beyond its own limit that a process gets to stop
MAX_LINE: Final = 1024 * 1024  # octets of the line that says that a process is ready

log = get_logger("processes")


class ProcessFailed(Exception):
    """A process ended before it was ready. It has said why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a process ended with status {status} before it was ready")
        self.status = status


class Supervisor:
    """The processes of one `serve`."""

    def __init__(self, command: Sequence[str], settings: Settings, count: int, roles: frozenset[str], clock: Clock) -> None:
        """`command` starts one process, once its number is appended."""
        self._command = tuple(command)
        self._count = count
        self._clock = clock
        self._sockets: list[socket.socket] = []
        self._environment = {**os.environ, **self._hold(settings, roles)}
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._stop = asyncio.Event()

    def _hold(self, settings: Settings, roles: frozenset[str]) -> dict[str, str]:
        """Binds the addresses. Returns them, with their real ports, as settings. Raises `PortTaken`."""
        asked: dict[str, Sequence[Address]] = {}
        if "smtp" in roles:
            asked |= {"SMTP_LISTEN": settings.smtp_listen, "SMTPS_LISTEN": settings.smtps_listen, "INBOUND_LISTEN": settings.inbound_listen}
        if "http" in roles:
            asked["HTTP_LISTEN"] = (settings.http_listen,)
        found: dict[str, str] = {}
        for name, addresses in asked.items():
            bound = [(_hold(address), address) for address in addresses]
            self._sockets += [sock for sock, _ in bound]
            if bound:
                found[f"{PREFIX}{name}"] = ",".join(str(bound_address(sock, address)) for sock, address in bound)
        return found

    async def _begin(self, on_ready: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        first = await self._start(1)
        others = await asyncio.gather(*(self._start(index) for index in range(2, self._count + 1)))
        await on_ready({**first, "processes": 1 + len(others)})

    async def run(self, on_ready: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Runs until a signal says otherwise. `on_ready` gets what the first process says. Raises `ProcessFailed`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload_signal)
        stopping = loop.create_task(self._stop.wait())
        tasks = [starting := loop.create_task(self._begin(on_ready))]
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                tasks += [loop.create_task(self._keep(index)) for index in range(1, self._count + 1)]
                await stopping
        finally:
            for task in [*tasks, stopping]:
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)
            await self._end_all()
            for sock in self._sockets:
                sock.close()

    def _on_stop_signal(self) -> None:
        if self._stop.is_set():
            self._signal_all(signal.SIGKILL)
        self._stop.set()

    def _on_reload_signal(self) -> None:
        for index in self._ready:  # the others read their settings just now, and the signal would end them
            self._signal(self._running[index], signal.SIGHUP)

    def _signal_all(self, number: int) -> None:
        for process in self._running.values():
            self._signal(process, number)

    def _signal(self, process: asyncio.subprocess.Process, number: int) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(number)

    async def _start(self, index: int) -> dict[str, Any]:
        """Starts a process and waits until it is ready. Returns what it says of itself."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            str(index),
            stdin=asyncio.subprocess.PIPE,  # its end stops the process: `Lifeline`
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            limit=MAX_LINE,
            start_new_session=True,  # a Ctrl-C of the terminal reaches this process alone
        )
        self._running[index] = process
        self._ready.discard(index)
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise ProcessFailed(await process.wait())
        found: dict[str, Any] = json.loads(line)
        self._ready.add(index)
        return found

    async def _keep(self, index: int) -> None:
        """Starts a process again whenever it ends."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            status = await self._running[index].wait()
            self._ready.discard(index)
            failures = 0 if self._clock.monotonic() - began >= STEADY else failures
            pause = RESTART_PAUSES[min(failures, len(RESTART_PAUSES) - 1)]
            failures += 1
            log.error("process_ended", number=index, status=status, restart_in=pause)
            await self._clock.sleep(pause)
            try:
                await self._start(index)
            except (ProcessFailed, OSError, ValueError) as error:
                log.error("process_not_started", number=index, error=str(error))

    async def _end_all(self) -> None:
        # Not by a signal: systemd has sent one to every process, and a second one would end them at once.
        for process in self._running.values():
            if process.stdin is not None:
                process.stdin.close()
        waits = [process.wait() for process in self._running.values()]
        try:
            async with asyncio.timeout(STOP_TIMEOUT + SLACK):
                await asyncio.gather(*waits)
        except TimeoutError:
            self._signal_all(signal.SIGKILL)
            await asyncio.gather(*(process.wait() for process in self._running.values()))


class Lifeline:
    """In a process of several: calls `end` when the one that started it says so or is gone, however that ended."""

    def __init__(self) -> None:
        """Watches standard input, in the running loop."""
        self.end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM)
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._on_input)

    def _on_input(self) -> None:
        if not os.read(sys.stdin.fileno(), 1):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.end()


def _hold(address: Address) -> socket.socket:
    """A socket that keeps an address for several processes, on a free port if the port is 0. Raises `PortTaken`."""
    if not address.port:
        with bind(address, listens=False) as alone:
            address = bound_address(alone, address)
    return bind(address, is_shared=True, listens=False)


def command_of(config: object, roles: str) -> list[str]:
    """What starts one process; its number follows."""
    options = ["--config", str(config)] if config is not None else []
    return [sys.executable, "-m", "sendryd", *options, "serve", "--role", roles, "--json", "--number"]
