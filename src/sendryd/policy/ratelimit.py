"""A token bucket for each key. Times are monotonic seconds."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_KEYS: Final = 10_000  # buckets kept; the least recently used one is dropped, which refills it for its key
_WHOLE: Final = 1 - 1e-9  # a token, with tolerance for rounding: a client that waits the announced time must get one


@dataclass(frozen=True, slots=True)
class Standing:
    """A key's bucket after a request."""

    limit: int  # tokens of a full bucket
    remaining: int  # whole tokens left
    reset: int  # seconds until the bucket is full
    wait: int  # 0: the request may proceed; else seconds until the next token


class RateLimiter:
    """Allows `limit` requests in a period, in a burst or spread."""

    def __init__(self, count: int, period: float) -> None:
        self._count = count
        self._rate = count / period
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()  # tokens, and the time of their count

    def __repr__(self) -> str:
        return f"<RateLimiter {self._count} at {self._rate:g} per second, {len(self._buckets)} buckets>"

    def take(self, key: int, now: float) -> Standing:
        """Takes a token if there is one; returns the state of the bucket."""
        full = float(self._count)
        tokens, counted = self._buckets.get(key, (full, now))
        tokens = min(full, tokens + max(0.0, now - counted) * self._rate)
        is_allowed = tokens >= _WHOLE
        wait = 0 if is_allowed else max(1, math.ceil((1 - tokens) / self._rate))
        tokens = max(0.0, tokens - 1) if is_allowed else tokens
        self._keep(key, tokens, max(now, counted))
        return Standing(self._count, max(0, int(tokens + 1 - _WHOLE)), math.ceil((full - tokens) / self._rate), wait)

    def settle(self, key: int, tokens: float, now: float) -> None:
        """Says what is in a bucket from now on. Less than nothing: what was used too much has to come back first."""
        self._keep(key, min(tokens, float(self._count)), now)

    def _keep(self, key: int, tokens: float, counted: float) -> None:
        self._buckets[key] = (tokens, counted)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
