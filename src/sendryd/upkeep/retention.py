"""Deletes messages and events that are older than they are kept, in small steps.

Does: removes done messages with their content, and events, once an hour.
Limits: so many rows in one transaction, with a pause behind each, so that mail does not wait.
"""

from datetime import timedelta
from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import UpkeepStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 3600.0  # seconds
BATCH: Final = 200  # rows in one transaction
PAUSE: Final = 0.05  # seconds between transactions

log = get_logger("upkeep")


class Retention:
    """One round an hour."""

    def __init__(self, store: UpkeepStore, *, messages: timedelta, events: timedelta, clock: Clock) -> None:
        self._store = store
        self._messages = messages
        self._events = events
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.run_once()
            except StoreError as error:
                log.error("retention_failed", error=repr(error))
            await self._clock.sleep(INTERVAL)

    async def run_once(self) -> None:
        """Deletes everything that is too old now."""
        now = self._clock.now()
        while await self._store.delete_messages(created_before=now - self._messages, limit=BATCH) == BATCH:
            await self._clock.sleep(PAUSE)
        while await self._store.delete_events(created_before=now - self._events, limit=BATCH) == BATCH:
            await self._clock.sleep(PAUSE)
