"""The fence around foreign parsers: jobs on hostile input run in a process that can be killed, under limits of time and memory.

Reads and writes: a socket pair for each process. Strategy: one process for each fence, started for the first job, ended after `IDLE` seconds
without one; jobs wait in lanes, one for each account, served in turn, so that one account does not delay the others.
When things fail: a job over its limits, or one whose parser crashes, raises `TooCostly`: the input causes it. Causes in the machine (no process, no
answer in time, too many waiting jobs, a stop) raise `FenceUnavailable`: the same job may succeed later.
Limits: `MAX_WAITING` jobs of `MAX_WAITING_SIZE` octets for each fence, `MAX_IN_LANE` of them for each lane.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.fence_process import COSTLY, FAULT, HEADER, LAST, OCTETS, REFUSED, encode_job
from sendryd.runtime.log import get_logger

MAX_CPU: Final = 3.0  # seconds of processor time for a job: ten times the largest template's
MAX_WALL: Final = 15.0  # seconds of wall time for a job: five times the processor time, for a busy machine
MAX_MEMORY: Final = 384 * 1024 * 1024  # octets for a job: eight times the largest allowed HTML's
MAX_PATIENCE: Final = 20.0  # seconds that a job waits for its turn; clients wait 30 or more
MAX_WAITING: Final = 64  # jobs; at a tenth of a second each the last one waits a third of MAX_PATIENCE
MAX_IN_LANE: Final = 16  # jobs of one account, so that four of them fill the fence, not one
MAX_WAITING_SIZE: Final = 64 * 1024 * 1024  # octets of waiting jobs: several of the largest
IDLE: Final = 30.0  # seconds without a job after which the process ends: it takes some 30 MB, and a tenth of a second to start
MAIL_NICENESS: Final = 5  # the event loop comes first: a third of its share of a busy processor
PREVIEW_NICENESS: Final = 10  # a tenth of its share: mail never waits for a preview
REAP_INTERVAL: Final = 0.01  # seconds between checks whether a process that closed its socket has ended
REAP_TRIES: Final = 100  # checks: a process that is not gone after a second is killed

# Without -P a file in the working directory could shadow a module.
PROGRAM: Final = (sys.executable, "-P", "-m", "sendryd.runtime.fence_process", str(MAX_CPU), str(MAX_WALL), str(MAX_MEMORY))
_KEPT_ENVIRONMENT: Final = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL")  # where modules are; settings may hold secrets
# Signals by which a parser ends its process on bad or too large input. SIGKILL is not among them: the kernel or an operator sends it.
_CRASHES: Final = frozenset({signal.SIGPROF, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP})

log = get_logger("fence")


class TooCostly(Exception):
    """A job exceeds its limits of time or memory, or crashes its parser."""

    def __init__(self) -> None:
        super().__init__("it takes too much time or memory to read: make it shorter or simpler")


class FenceUnavailable(Exception):
    """A job cannot run now; the cause is not its input."""


class FenceFault(Exception):
    """A job failed by a bug of ours."""


class Fence:
    """Runs jobs in a process of its own."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        niceness: int = MAIL_NICENESS,
        program: Sequence[str] = PROGRAM,
        idle: float = IDLE,
        max_in_lane: int = MAX_IN_LANE,
    ) -> None:
        """`program` takes its niceness as a last argument; `idle` is in seconds, `max_in_lane` in jobs."""
        self._name = name
        self._program = (*program, str(niceness))
        self._idle_time = idle
        self._clock = clock
        self._turns = _Turns(max_in_lane)
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._started = self._jobs = self._costly = 0

    def __repr__(self) -> str:
        return f"<Fence {self._name} process={self.pid} waiting={self._turns.count}>"

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return self._process.pid if self._process is not None else None

    def statistics(self) -> Mapping[str, float]:
        """Numbers for /metrics."""
        return {
            "processes": float(self._process is not None),
            "waiting": float(self._turns.count),
            "started_total": float(self._started),
            "jobs_total": float(self._jobs),
            "costly_total": float(self._costly),
        }

    async def run(self, function: Callable[..., Any], *arguments: Any, lane: int, refusal: type[Exception] | None = None) -> Any:
        """Runs a module's function with these arguments. Returns its result as JSON types or octets; a dataclass as a dictionary.

        Raises `refusal`, the function's own exception with a sentence; `TooCostly`; `FenceUnavailable`.
        """
        job = encode_job(function, arguments, refusal)
        async with self._turns.turn(lane, len(job)):
            if self._is_closed:
                raise FenceUnavailable("the program stops")
            self._jobs += 1
            kind, body = await self._ask(job)
        if kind == REFUSED and refusal is not None:
            raise refusal(json.loads(body))
        if kind == COSTLY:
            self._costly += 1
            raise TooCostly
        if kind == FAULT:
            raise FenceFault(f"{function.__name__} failed: {body.decode('ascii', 'replace')}")
        return body if kind == OCTETS else json.loads(body)

    async def _ask(self, job: bytes) -> tuple[int, bytes]:
        """Sends a job and reads its reply. Every failure kills the process: a late reply would be taken for the next job's."""
        reader, writer = self._streams or await self._start()
        if self._idle is not None:
            self._idle.cancel()
        try:
            async with asyncio.timeout(MAX_WALL):
                writer.write(job)
                await writer.drain()
                kind, size = HEADER.unpack(await reader.readexactly(HEADER.size))
                body = await reader.readexactly(size)
        except (ConnectionError, asyncio.IncompleteReadError):
            raise await self._explain_end() from None
        except TimeoutError:
            self._end()
            log.warning("fence_too_slow", fence=self._name)
            raise FenceUnavailable("the job was not done in time") from None
        except BaseException:
            self._end()
            raise
        if kind & LAST:
            self._end()
        else:
            self._idle = asyncio.get_running_loop().call_later(self._idle_time, self._end)
        return kind & ~LAST, body

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        try:
            self._process = _spawn(theirs, self._program)
            self._streams = await asyncio.open_unix_connection(sock=ours)
        except BaseException as error:
            ours.close()
            self._end()
            if isinstance(error, OSError):
                log.error("fence_not_started", fence=self._name, error=repr(error))
                raise FenceUnavailable("the process could not be started") from None
            raise
        self._started += 1
        return self._streams

    async def _explain_end(self) -> Exception:
        """Why the process has closed its socket in the middle of a job."""
        process = self._process
        tries = 0
        try:
            while process is not None and process.poll() is None and tries < REAP_TRIES:
                tries += 1
                await self._clock.sleep(REAP_INTERVAL)
            status = process.poll() if process is not None else None
        finally:  # also when the job is cancelled: the next job would take this end for its own
            self._end()
        if self._is_closed:
            return FenceUnavailable("the program stops")
        name = signal.Signals(-status).name if status is not None and status < 0 else str(status)
        log.warning("fence_process_ended", fence=self._name, status=name)
        if status is not None and -status in _CRASHES:
            self._costly += 1
            return TooCostly()
        return FenceUnavailable("the process has gone")

    def _end(self) -> None:
        """Ends the process. The next job starts another."""
        process, streams = self._process, self._streams
        self._process = self._streams = None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if streams is not None:
            with suppress(RuntimeError):  # the loop is closed
                streams[1].transport.abort()
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Ends the process for good. Running and waiting jobs raise `FenceUnavailable`."""
        self._is_closed = True
        self._turns.close()
        if self._process is not None:
            self._process.kill()  # the waiter for its reply reads the end of the socket
        if not self._turns.is_taken:
            self._end()


def _spawn(theirs: socket.socket, program: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    with theirs:
        return subprocess.Popen(program, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=environment)


class _Turns:
    """One turn at a time; lanes with waiters are served in order."""

    def __init__(self, max_in_lane: int) -> None:
        self._max_in_lane = max_in_lane
        self._lanes: dict[int, deque[asyncio.Future[None]]] = {}  # in the order of their turns
        self._size = 0
        self.count = 0
        self.is_taken = False

    @asynccontextmanager
    async def turn(self, lane: int, size: int) -> AsyncIterator[None]:
        """Waits for a turn. Raises `FenceUnavailable`."""
        if self.is_taken:
            await self._wait(lane, size)
        self.is_taken = True
        try:
            yield
        finally:
            self.is_taken = False
            self._wake()

    async def _wait(self, lane: int, size: int) -> None:
        waiting = self._lanes.get(lane)
        is_full = self.count >= MAX_WAITING or (self.count and self._size + size > MAX_WAITING_SIZE)
        if is_full or (waiting is not None and len(waiting) >= self._max_in_lane):
            raise FenceUnavailable("too many jobs wait")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(lane, deque()).append(future)
        self.count += 1
        self._size += size
        try:
            async with asyncio.timeout(MAX_PATIENCE):
                await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.is_taken = False  # the turn was given and not used yet
                self._wake()
            if isinstance(error, TimeoutError):
                raise FenceUnavailable("the job waited too long for its turn") from None
            raise
        finally:
            self.count -= 1
            self._size -= size
            self._forget(lane, future)

    def _forget(self, lane: int, future: asyncio.Future[None]) -> None:
        """Removes a cancelled waiter from a lane."""
        waiting = self._lanes.get(lane)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._lanes[lane]

    def _wake(self) -> None:
        """Gives the turn to the first of the next lane."""
        while self._lanes:
            lane = next(iter(self._lanes))
            waiting = self._lanes.pop(lane)
            future = waiting.popleft()
            if waiting:
                self._lanes[lane] = waiting  # to the end of the order
            if not future.done():
                self.is_taken = True
                future.set_result(None)
                return

    def close(self) -> None:
        """Ends all waiting."""
        for waiting in self._lanes.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(FenceUnavailable("the program stops"))
        self._lanes.clear()


class Fences:
    """The fences of a process: mail never waits for previews."""

    def __init__(self, clock: Clock) -> None:
        self.mail = Fence("mail", clock)  # for messages that are accepted for delivery
        self.inbound = Fence("inbound", clock, niceness=PREVIEW_NICENESS)  # for what other servers send here
        self.previews = Fence("previews", clock, niceness=PREVIEW_NICENESS)  # for previews, and for test keys

    def statistics(self) -> Mapping[str, float]:
        """Numbers for /metrics."""
        return {
            f"{name}_{word}": value
            for name, fence in (("mail", self.mail), ("inbound", self.inbound), ("previews", self.previews))
            for word, value in fence.statistics().items()
        }

    def close(self) -> None:
        """Ends all processes."""
        self.mail.close()
        self.inbound.close()
        self.previews.close()
