"""Settled time: the wall clock, as far as it has agreed with the monotonic clock for a while.

Nothing is deleted, expired or sent at its scheduled time by a wall clock that has just been set forward: it may be set back a minute later, by
the time server that had been out of reach. Settled time is never later than wall time, so a clock that is set back only makes things wait.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(minutes=1)  # a clock that is merely adjusted goes wrong by less between two looks
HOLD: Final = timedelta(minutes=10)  # a time server corrects a wrong clock within minutes of the network's return
SAME: Final = timedelta(milliseconds=10)  # two looks at both clocks differ by less, and nothing that waits for settled time minds it
MAX_DOWNTIME: Final = timedelta(hours=1)  # a longer gap between two runs may be a wrong clock: its time has to hold first
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)  # a clock without a battery begins about here


@dataclass(frozen=True, slots=True)
class SettledTime:
    """A time that has held, and perhaps another one that may replace it. Origins are wall time minus monotonic time."""

    origin: datetime
    since: float  # monotonic seconds: when this time began to hold
    rival: datetime | None = None
    rival_since: float = 0.0

    def at(self, wall: datetime, monotonic: float) -> datetime:
        """The settled time at a moment."""
        return min(wall, self.origin + timedelta(seconds=monotonic))


def begin(wall: datetime, monotonic: float, last_seen: datetime | None) -> SettledTime:
    """At the start. `last_seen` is the settled time at the end of the run before, if there was one."""
    origin = _origin(wall, monotonic)
    if last_seen is None or -TOLERANCE <= wall - last_seen <= MAX_DOWNTIME:
        return SettledTime(origin, monotonic)
    return SettledTime(_origin(last_seen, monotonic), monotonic, origin, monotonic)


def observe(settled: SettledTime, wall: datetime, monotonic: float) -> SettledTime:
    """After a look at both clocks."""
    origin = _origin(wall, monotonic)
    distance = abs(origin - settled.origin)
    if distance <= TOLERANCE:
        if distance <= SAME and settled.rival is None:
            return settled
        return SettledTime(origin, settled.since)
    if settled.rival is None or abs(origin - settled.rival) > TOLERANCE:
        return SettledTime(settled.origin, settled.since, origin, monotonic)
    if monotonic - settled.rival_since >= HOLD.total_seconds():
        return SettledTime(origin, monotonic)
    return settled


def _origin(wall: datetime, monotonic: float) -> datetime:
    running = timedelta(seconds=monotonic)
    return max(wall, _EARLIEST + running) - running
