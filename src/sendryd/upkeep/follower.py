"""Follows messages and events into the figures and the search index.

Does: a step of at most `BATCH` messages, and the next one after a pause that grows with what the step took.
Limits: leaves out the last `LAG`, because identifiers are made before the commit.
"""

from datetime import timedelta
from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.store.base import DerivedStore
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 0.5  # seconds: pages show a fact about three seconds after it happened
LAG: Final = timedelta(seconds=2)  # longer than a commit takes, from the making of its identifiers on
BATCH: Final = 1000  # messages in one step


class Follower:
    """One round every half second."""

    def __init__(self, store: DerivedStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="follower_failed")

    async def run_once(self) -> None:
        """Follows until `LAG` before now."""
        has_more = True
        while has_more:
            began = self._clock.monotonic()
            has_more = await self._store.follow(until=self._clock.now() - LAG, limit=BATCH)
            await self._clock.sleep(self._clock.monotonic() - began)  # mail gets at least half of the time
