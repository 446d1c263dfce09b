"""The rate limit of a cluster: every process answers from buckets of its own, which it compares with the others' twice a second.

Fulfils `RateLimits`. The database keeps one bucket for each key, from which each process takes what it has let through. Between two exchanges a key may get
more than its limit, at most what its buckets in the processes hold; it waits longer afterwards, because the shared bucket may hold less than nothing.
"""

from collections import Counter
from typing import Final

from sendryd.policy.ratelimit import RateLimiter, Standing
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base.sharing import SharedCounts
from sendryd.store.errors import StoreError

EXCHANGE_INTERVAL: Final = 0.5  # seconds

log = get_logger("api")


class SharedRateLimits:
    """Allows `count` requests of each key in a period, over all processes."""

    def __init__(self, store: SharedCounts, limiter: RateLimiter, clock: Clock, *, count: int, period: float) -> None:
        """`limiter` has the buckets of this process: of `count` tokens, filled in `period` seconds."""
        self._store = store
        self._limiter = limiter
        self._clock = clock
        self._count = count
        self._period = period
        self._used: Counter[int] = Counter()  # tokens taken since the last exchange
        self._is_away = False

    def take(self, key: int, now: float) -> Standing:
        """Takes a token if there is one; returns the state of the bucket."""
        standing = self._limiter.take(key, now)
        if standing.wait == 0:
            self._used[key] += 1
        return standing

    async def run(self) -> None:
        """Exchanges until cancelled."""
        while True:
            await self._clock.sleep(EXCHANGE_INTERVAL)
            try:
                await self.exchange()
            except StoreError as error:  # each process limits by itself meanwhile
                if not self._is_away:
                    log.warning("rates_not_shared", error=repr(error))
                self._is_away = True
            else:
                self._is_away = False

    async def exchange(self) -> None:
        """Adds the requests of this process to the shared counts and reads those of the others. Raises `StoreUnavailable`."""
        used, self._used = self._used, Counter()
        try:
            buckets = await self._store.share_rates(used, count=self._count, period=self._period)
        except BaseException:
            self._used.update(used)
            raise
        now = self._clock.monotonic()
        for key, tokens in buckets.items():
            self._limiter.settle(key, tokens - self._used[key], now)
