"""Examines the installation: the quick checks each minute, all of them a minute after the start and then once an hour.

Does: keeps each finding with the time since which it is so, and those that are over for 30 days.
Reads: the machine, DNS, other servers, the store. Writes: findings.
When things fail: a check that cannot be made is a finding of its own; a store that does not answer is asked again in the next round.
"""

from typing import Final

from sendryd.health.watch import Watch
from sendryd.runtime.clock import Clock
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 60.0  # seconds between rounds
ALL_EVERY: Final = 60  # rounds: the other checks dial and look names up at other people's servers


class HealthKeeper:
    """One round a minute."""

    def __init__(self, watch: Watch, *, clock: Clock) -> None:
        self._watch = watch
        self._clock = clock
        self._round = 0

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="examination_failed")

    async def run_once(self) -> None:
        """One examination. Raises `StoreUnavailable`."""
        is_quick = self._round % ALL_EVERY != 1
        self._round += 1
        await self._watch.look(is_quick=is_quick)
