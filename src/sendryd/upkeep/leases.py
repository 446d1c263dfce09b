"""Returns leases that ran out, and expires what has waited too long.

Does: makes deliveries due again whose worker is gone, and gives up those older than the queue keeps mail, also where the next hop is
suspended and no attempt would find out.
Reads, writes: the queue.
Limits: so many rows in one transaction.
"""

from datetime import timedelta
from typing import Final

from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import EventId
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import DeliveryStore, NewEvent
from sendryd.store.errors import StoreError

INTERVAL: Final = 30.0  # seconds
BATCH: Final = 500  # rows in one transaction: a few milliseconds

log = get_logger("upkeep")


class LeaseKeeper:
    """One round every half minute."""

    def __init__(self, store: DeliveryStore, *, max_age: timedelta, clock: Clock, ids: IdSource, wakeup: Wakeup) -> None:
        self._store = store
        self._max_age = max_age
        self._clock = clock
        self._ids = ids
        self._wakeup = wakeup

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.run_once()
            except StoreError as error:
                log.error("leases_not_kept", error=repr(error))
            await self._clock.sleep(INTERVAL)

    async def run_once(self) -> None:
        """One round."""
        now = self._clock.now()
        returned = await self._store.return_leases(now=now)
        if returned:
            log.warning("leases_returned", count=returned)
            self._wakeup.set()
        while True:
            expired = await self._store.expire_deliveries(
                now=now, created_before=now - self._max_age, make_event=self._make_event, limit=BATCH
            )
            if expired:
                log.warning("expired", count=expired)
            if expired < BATCH:
                return

    def _make_event(self, event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata=metadata)
