"""Captures a test key's scheduled mail when its time has come.

Does: moves due deliveries that no engine may pick up to the Test Inbox, playing out what the addresses of the test domain say.
Reads, writes: the queue.
Limits: so many rows in one transaction.
"""

from typing import Final

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import EventId
from sendryd.policy.simulation import scenario_for
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.store.base import DeliveryStore, NewEvent
from sendryd.store.errors import StoreError

INTERVAL: Final = 0.5  # seconds: a test suite waits for it; a look is one row of an index
BATCH: Final = 200  # rows in one transaction

log = get_logger("upkeep")


class CaptureKeeper:
    """Two rounds a second."""

    def __init__(self, store: DeliveryStore, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.run_once()
            except StoreError as error:
                log.error("captures_not_kept", error=repr(error))
            await self._clock.sleep(INTERVAL)

    async def run_once(self) -> None:
        """Captures what is due."""
        while await self._store.capture_due(now=self._clock.settled(), play=self._play, limit=BATCH) == BATCH:
            pass

    def _play(self, forward_path: str) -> tuple[DeliveryState, tuple[NewEvent, ...]]:
        scenario = scenario_for(forward_path)
        return scenario.state, tuple(NewEvent(id=EventId(self._ids.next()), type=word, metadata=data) for word, data in scenario.events)
