"""Settled time: the wall time, once it has agreed with the monotonic clock for a while.

Deletion, expiry and scheduled sending do not follow a wall clock that was just set forward: a time server may set it back a minute later. Settled
time is never later than wall time, so a clock that is set back only delays them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

TOLERANCE: Final = timedelta(minutes=1)  # ordinary clock adjustment moves the time by less between two readings
HOLD: Final = timedelta(minutes=10)  # a time server corrects a wrong clock within minutes of the network's return
SAME: Final = timedelta(milliseconds=10)  # readings of both clocks differ by less, which is irrelevant for settled time
MAX_DOWNTIME: Final = timedelta(hours=1)  # a longer gap between two runs may be a wrong clock: the time has to hold first
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)  # a clock without a battery begins about here


@dataclass(frozen=True, slots=True)
class SettledTime:
    """The settled time, and a candidate that may replace it. Origins are wall time minus monotonic time."""

    origin: datetime
    since: float  # monotonic seconds: when this time began to hold
    rival: datetime | None = None
    rival_since: float = 0.0

    def at(self, wall: datetime, monotonic: float) -> datetime:
        """The settled time at a moment."""
        return min(wall, self.origin + timedelta(seconds=monotonic))


def begin(wall: datetime, monotonic: float, last_seen: datetime | None) -> SettledTime:
    """The state at the start. `last_seen` is the settled time at the end of the previous run, if there was one."""
    origin = _origin(wall, monotonic)
    if last_seen is None or -TOLERANCE <= wall - last_seen <= MAX_DOWNTIME:
        return SettledTime(origin, monotonic)
    return SettledTime(_origin(last_seen, monotonic), monotonic, origin, monotonic)


def observe(settled: SettledTime, wall: datetime, monotonic: float) -> SettledTime:
    """The state after a reading of both clocks."""
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
