"""A token bucket for each key. Times are monotonic seconds."""

import math
from collections import OrderedDict
from typing import Final

MAX_KEYS: Final = 10_000  # buckets kept; the one unused longest is full again by then


class RateLimiter:
    """So many requests in so many seconds, in a burst or spread."""

    def __init__(self, count: int, period: float) -> None:
        self._count = count
        self._rate = count / period
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, key: int, now: float) -> int:
        """Takes a token. 0, or the whole seconds after which there is one again."""
        tokens, counted = self._buckets.get(key, (float(self._count), now))
        tokens = min(float(self._count), tokens + max(0.0, now - counted) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - tokens) / self._rate))
