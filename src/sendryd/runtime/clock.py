"""The clock, as an argument. Only this module reads it."""

import asyncio
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sendryd.policy.settledtime import SettledTime, begin, observe

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


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
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)  # called forty times for each message, so without a wrapper

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return (moment - _EPOCH) // _MILLISECOND
