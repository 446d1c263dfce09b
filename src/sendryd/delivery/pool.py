"""Idle connections to receiving servers, kept for the next message to the same target.

Does: keeps what is given back, hands it out again, and closes what is too old, too much used, too many or dead.
Reads: a monotonic clock. Writes: nothing.
Strategy: `IdleConnections` decides, without awaiting anything, and returns what to close; `ConnectionPool` acts on it. Hence there is no
moment at which a connection is both idle and in use. The connection used last is handed out first, so that the others can grow old.
When things fail: a connection that the server has closed, or on which it has said something unasked, is never handed out.
Limits: `PoolLimits`. Standards: RFC 5321 §4.5.3.2 (a server may close what idles).
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.wakeup import Wakeup
from sendryd.valuetype import valuetype

TICK: Final = 1.0  # seconds between two looks at the idle ones: a tenth of the idle time is exact enough


class Poolable(Protocol):
    """What the pool knows of a connection."""

    @property
    def is_usable(self) -> bool:
        """Another transaction may be tried."""
        ...

    @property
    def is_used_up(self) -> bool:
        """It has carried as many transactions as its server's site may get over one."""
        ...

    def quit(self) -> Coroutine[None, None, None]:
        """Says goodbye and closes, in bounded time."""
        ...

    def abort(self) -> None:
        """Closes at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How much is kept, and for how long."""

    idle_per_key: int = 20  # as many as a lane may have at once
    idle_total: int = 500  # file descriptors for nothing; as many as there may be attempts at once
    idle_time: float = 10.0  # seconds; servers count an idle connection against us
    max_age: float = 300.0  # seconds since its first use, so that a changed MX or route is noticed


C = TypeVar("C", bound=Poolable)

log = get_logger("delivery")


@valuetype(frozen=True, slots=True)
class _Idle(Generic[C]):
    connection: C
    opened_at: float  # monotonic seconds
    idle_since: float


class IdleConnections(Generic[C]):
    """The decisions. Never awaits; every method returns what its caller has to close now. `now` is monotonic seconds."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        # By key, the oldest first; the keys in the order in which something was last put there.
        self._idle: OrderedDict[Hashable, deque[_Idle[C]]] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def take(self, key: Hashable, now: float) -> tuple[C | None, list[C]]:
        """The connection to this key that was used last, if one can still be used, and the dead and old ones met on the way."""
        shelf = self._idle.get(key)
        closing: list[C] = []
        found: C | None = None
        while shelf and found is None:
            idle = shelf.pop()
            self._total -= 1
            if self._is_fresh(idle, now) and idle.connection.is_usable:
                found = idle.connection
            else:
                closing.append(idle.connection)
        if shelf is not None and not shelf:
            del self._idle[key]
        return found, closing

    def put(self, key: Hashable, connection: C, *, opened_at: float, now: float) -> list[C]:
        """Keeps a connection; returns it if it is not worth keeping, and any others that had to make room."""
        limits = self._limits
        idle = _Idle(connection, opened_at, now)
        if connection.is_used_up or not connection.is_usable or not self._is_fresh(idle, now) or not limits.idle_per_key:
            return [connection]
        shelf = self._idle.setdefault(key, deque())
        self._idle.move_to_end(key)
        shelf.append(idle)
        self._total += 1
        closing: list[C] = []
        if len(shelf) > limits.idle_per_key:
            closing.append(self._drop_oldest(key))
        elif self._total > limits.idle_total:
            closing.append(self._drop_oldest(next(iter(self._idle))))
        return closing

    def take_any(self, is_wanted: Callable[[C], bool]) -> C | None:
        """The wanted connection that was put here first. Looks at all of them."""
        for key, shelf in self._idle.items():
            for idle in shelf:
                if is_wanted(idle.connection):
                    shelf.remove(idle)
                    self._total -= 1
                    if not shelf:
                        del self._idle[key]
                    return idle.connection
        return None

    def expire(self, now: float) -> list[C]:
        """Those that are too old or dead. Looks at all of them."""
        closing: list[C] = []
        for key, shelf in list(self._idle.items()):
            kept: deque[_Idle[C]] = deque()
            for idle in shelf:
                if self._is_fresh(idle, now) and idle.connection.is_usable:
                    kept.append(idle)
                else:
                    closing.append(idle.connection)
            self._total -= len(shelf) - len(kept)
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]
        return closing

    def all(self) -> list[C]:
        """All of them."""
        return [idle.connection for shelf in self._idle.values() for idle in shelf]

    def clear(self) -> list[C]:
        """All of them; none is kept."""
        closing = self.all()
        self._idle.clear()
        self._total = 0
        return closing

    def _is_fresh(self, idle: _Idle[C], now: float) -> bool:
        limits = self._limits
        return now - idle.idle_since < limits.idle_time and now - idle.opened_at < limits.max_age

    def _drop_oldest(self, key: Hashable) -> C:
        shelf = self._idle[key]
        idle = shelf.popleft()
        self._total -= 1
        if not shelf:
            del self._idle[key]
        return idle.connection


class ConnectionPool(Generic[C]):
    """The pool as attempts see it: `take` or make one, use it, `give_back`. `run` closes what is not kept, a task for each goodbye."""

    def __init__(self, clock: Clock, limits: PoolLimits | None = None) -> None:
        self._clock = clock
        self._idle: IdleConnections[C] = IdleConnections(limits or PoolLimits())
        # When each was first given back; one that never is again is forgotten with the connection itself.
        self._opened: WeakKeyDictionary[C, float] = WeakKeyDictionary()
        self._closing: list[C] = []
        self._goodbyes: dict[asyncio.Task[None], C] = {}
        self._wakeup = Wakeup()
        self._is_closed = False
        self._reused = 0
        self._missed = 0
        self._closed = 0

    def __repr__(self) -> str:
        return f"<ConnectionPool idle={len(self._idle)} reused={self._reused} missed={self._missed} closing={len(self._closing)}>"

    def take(self, key: Hashable) -> C | None:
        """An idle connection to this key; None if there is none and a new one has to be made."""
        connection, closing = self._idle.take(key, self._clock.monotonic())
        if closing:
            self._close_later(closing)
        if connection is None:
            self._missed += 1
        else:
            self._reused += 1
        return connection

    def take_any(self, is_wanted: Callable[[C], bool]) -> C | None:
        """An idle connection to any key, to close it; None if none is wanted."""
        return self._idle.take_any(is_wanted)

    def give_back(self, key: Hashable, connection: C) -> None:
        """Ends the use of a connection, taken or new, in whatever state it is."""
        now = self._clock.monotonic()
        if self._is_closed:
            self._close_later([connection])
            return
        opened_at = self._opened.setdefault(connection, now)
        if closing := self._idle.put(key, connection, opened_at=opened_at, now=now):
            self._close_later(closing)

    async def run(self) -> None:
        """Closes what has to be closed, until cancelled."""
        try:
            while True:
                await self._wakeup.wait(TICK)
                self._close_later(self._idle.expire(self._clock.monotonic()))
                self._say_goodbyes()
        finally:
            await self._cut_off()

    def count_kept(self, is_counted: Callable[[C], bool]) -> int:
        """Connections of a kind that idle or are being closed: their servers count them still. Looks at all of them."""
        return sum(map(is_counted, chain(self._idle.all(), self._closing, self._goodbyes.values())))

    def close_idle(self) -> None:
        """Closes what idles now."""
        self._close_later(self._idle.clear())

    async def aclose(self) -> None:
        """Closes everything that is idle; what is given back later is closed at once."""
        self._is_closed = True
        self._close_later(self._idle.clear())
        self._say_goodbyes()
        try:
            while self._goodbyes:
                await asyncio.wait(self._goodbyes)
        finally:
            await self._cut_off()

    def statistics(self) -> Mapping[str, float]:
        """Figures for the metrics."""
        return {"idle": len(self._idle), "reused": self._reused, "missed": self._missed, "closed": self._closed}

    def _close_later(self, connections: Iterable[C]) -> None:
        for connection in connections:
            self._closed += 1
            if self._is_closed or not connection.is_usable:
                connection.abort()
            else:
                self._closing.append(connection)
                self._wakeup.set()

    def _say_goodbyes(self) -> None:
        """Each by a task of its own: a server that is slow to answer keeps no other connection open."""
        closing, self._closing = self._closing, []
        for connection in closing:
            task = asyncio.get_running_loop().create_task(connection.quit())
            self._goodbyes[task] = connection
            task.add_done_callback(partial(self._end_goodbye, connection))

    def _end_goodbye(self, connection: C, task: asyncio.Task[None]) -> None:
        self._goodbyes.pop(task, None)
        connection.abort()  # also one whose goodbye was cancelled before it began
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("goodbye_failed", exc_info=error)

    async def _cut_off(self) -> None:
        for task in self._goodbyes:
            task.cancel()
        if self._goodbyes:
            await asyncio.wait(self._goodbyes)
