"""How long requests took, by the hour, as counts in classes: a week of it is a few kilobytes. What was measured is lost with the process."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sendryd.runtime.clock import Clock

MAX_HOURS: Final = 168  # a week: as far back as can be asked for
TARGET_MS: Final = 200.0  # at the median: a person who clicks does not notice it
_HOUR_MS: Final = 3_600_000
_GROWTH: Final[float] = 1.2  # between the bounds of classes: reported values are within 10 % of the true ones
_BOUNDS: Final[tuple[float, ...]] = tuple(
    0.0001 * _GROWTH**place for place in range(75)
)  # seconds: 0.1 ms to over a minute; longer ones are in the last class


@dataclass(slots=True)
class _Hour:
    counts: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    total: int = 0
    in_time: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HourLatency:
    """What is known of one hour."""

    start_ms: int  # milliseconds since 1970-01-01 UTC
    count: int
    p50_ms: float | None  # None: nothing was measured
    p95_ms: float | None
    p99_ms: float | None
    in_time: float  # part of the requests that took no longer than the target; 0 if there was none


class LatencyBook:
    """`note` costs a microsecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first = clock.unix_ms() // _HOUR_MS
        self._hours: dict[int, _Hour] = {}

    def note(self, seconds: float) -> None:
        """Counts a request."""
        number = self._clock.unix_ms() // _HOUR_MS
        hour = self._hours.get(number)
        if hour is None:
            hour = self._hours[number] = _Hour()
            for old in [each for each in self._hours if each <= number - MAX_HOURS]:
                del self._hours[old]
        hour.counts[bisect_left(_BOUNDS, seconds)] += 1
        hour.total += 1
        hour.in_time += seconds * 1000 <= TARGET_MS

    def read(self, hours: int) -> list[HourLatency]:
        """The last hours, oldest first and this one last; none before the process began."""
        this = self._clock.unix_ms() // _HOUR_MS
        return [_read(number * _HOUR_MS, self._hours.get(number)) for number in range(max(self._first, this - hours + 1), this + 1)]

    def current_p50_ms(self) -> float | None:
        """The median of this hour."""
        return _read(0, self._hours.get(self._clock.unix_ms() // _HOUR_MS)).p50_ms


def _read(start_ms: int, hour: _Hour | None) -> HourLatency:
    if hour is None:
        return HourLatency(start_ms=start_ms, count=0, p50_ms=None, p95_ms=None, p99_ms=None, in_time=0.0)
    p50, p95, p99 = (_quantile(hour.counts, hour.total * part) for part in (0.5, 0.95, 0.99))
    in_time = hour.in_time / hour.total
    return HourLatency(start_ms=start_ms, count=hour.total, p50_ms=p50, p95_ms=p95, p99_ms=p99, in_time=in_time)


def _quantile(counts: Sequence[int], rank: float) -> float:
    """The middle of the class in which the request of this rank is, in milliseconds."""
    seen = 0
    for place, count in enumerate(counts):
        seen += count
        if count and seen >= rank:
            return round(_BOUNDS[min(place, len(_BOUNDS) - 1)] / math.sqrt(_GROWTH) * 1000, 2)
    raise AssertionError("an hour without requests was asked for its quantiles")
