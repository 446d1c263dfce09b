"""The clock, as an argument. Only this module reads it."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from sendryd.policy.settledtime import SettledTime, begin, observe

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
TOLERANCE: Final = timedelta(seconds=1)  # synchronised clocks differ by milliseconds, and each setting of a clock is a jump


class Clock(Protocol):
    """Wall time for stored and displayed times, monotonic time for durations and time-outs."""

    def now(self) -> datetime:
        """Aware UTC, exact to the millisecond."""
        ...

    def unix_ms(self) -> int:
        """The same moment in milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Monotonic seconds: they never go back."""
        ...

    def settled(self) -> datetime:
        """Settled time (`policy.settledtime`): wall time once it has held for a while. For expiry and deletion, which cannot be undone."""
        ...

    def settled_for(self) -> float:
        """Seconds for which settled time has run without a break."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after `seconds`."""
        ...


class SettledClock(ABC):
    """The part of a clock that judges whether its wall time has held."""

    _settled: SettledTime | None = None

    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def monotonic(self) -> float: ...

    def begin_from(self, last_seen: datetime | None) -> None:
        """Compares the wall clock with the settled time of the run before, if there was one."""
        self._settled = begin(self.now(), self.monotonic(), last_seen)

    def settled(self) -> datetime:
        wall, monotonic = self.now(), self.monotonic()
        return self._observe(wall, monotonic).at(wall, monotonic)

    def settled_for(self) -> float:
        monotonic = self.monotonic()
        return monotonic - self._observe(self.now(), monotonic).since

    def _observe(self, wall: datetime, monotonic: float) -> SettledTime:
        known = self._settled
        self._settled = begin(wall, monotonic, None) if known is None else observe(known, wall, monotonic)
        return self._settled


class SystemClock(SettledClock):
    """The machine's clock, or one that it shares with other machines, whose clocks may be wrong by minutes."""

    _ahead_ms = 0  # milliseconds that it shows more than the machine does

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.unix_ms() / 1000, UTC)

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    async def follow(self, read: Callable[[], Awaitable[datetime]]) -> timedelta | None:
        """Goes by another clock, which `read` asks, if the two differ by more than `TOLERANCE`. Returns by how much it has been set then. Raises what
        `read` does.
        """
        before = self.now()
        there = await read()
        after = self.now()
        difference = there - (before if there < before else min(there, after))
        if abs(difference) <= TOLERANCE:
            return None
        self._ahead_ms += difference // _MILLISECOND
        return difference

    monotonic = staticmethod(time.monotonic)  # called forty times for each message, so without a wrapper

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return (moment - _EPOCH) // _MILLISECOND
