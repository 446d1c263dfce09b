"""Figures of mail by minute, hour and day."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# Upper bounds, exclusive, in seconds: short ones for what a person waits for, long ones for what the queue puts off.
LATENCY_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteFigures:
    """What happened in one minute, or in one hour or day of the same shape."""

    minute: datetime  # its beginning, UTC
    accepted: int = 0  # messages; all others count deliveries
    delivered: int = 0
    deferred: int = 0  # attempts that were put off
    bounced: int = 0
    complained: int = 0  # the first time, as opens and clicks
    opened: int = 0  # without scanners
    clicked: int = 0
    latency: tuple[int, ...] = (0,) * len(LATENCY_BUCKETS)  # deliveries by the time from acceptance, or the scheduled time, to delivery


def bucket_of(latency: timedelta) -> int:
    """The position of a latency in `LATENCY_BUCKETS`.

    >>> bucket_of(timedelta(seconds=0.4)), bucket_of(timedelta(seconds=1)), bucket_of(timedelta(days=9))
    (0, 2, 11)
    """
    return bisect_right(LATENCY_BUCKETS, latency.total_seconds())
