"""Follows messages and events into the figures and the search index.

Does: a step of at most `BATCH` messages, the next one after a pause. Each minute and each night compares what was derived with the facts and adds
what is missing; each night drops what is too old.
Limits: leaves out the last `LAG`, because identifiers are made before the commit. While the door is busy it takes `BUSY_SHARE` of the time: the
index is late then and catches up afterwards.
"""

from collections import deque
from datetime import date, datetime, timedelta
from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import MailStore
from sendryd.store.errors import StoreFull
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 0.5  # seconds: pages show a fact about three seconds after it happened
LAG: Final = timedelta(seconds=2)  # longer than a commit takes, from the making of its identifiers on
BATCH: Final = 1000  # messages in one step: about 40 ms of one processor
BUSY_BATCH: Final = 100  # messages in one step while the door is busy: no operation of mail waits long for the interpreter
BUSY: Final = 400.0  # operations of the store in a second, those of about 150 mails that are accepted and delivered
BUSY_SHARE: Final = 0.02  # of the time, while the door is busy: what accepting may lose
SHARE: Final = 0.5  # of the time otherwise
LOOK: Final = 0.1  # seconds between looks at how busy the door is: fewer operations tell nothing
FULL_PAUSE: Final = 30.0  # seconds after the disk was full
WINDOW: Final = timedelta(minutes=10)  # of a night's comparison in one step
MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)

log = get_logger("upkeep")


class Follower:
    """One round every half second."""

    def __init__(self, store: MailStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._looked_at = clock.monotonic()
        self._operations = 0.0
        self._is_busy = False
        self._day: date | None = None  # the last one on which yesterday was compared
        self._compared = clock.now()  # minutes before it were compared
        self._windows: deque[datetime] = deque()  # the parts of yesterday that are still to be compared, by their beginnings

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="follower_failed")

    async def run_once(self) -> None:
        """Follows until `LAG` before now, then compares a part of what was derived."""
        try:
            while await self._step():
                pass
        except StoreFull:  # logged once in a while: it lasts until somebody makes room
            await self._clock.sleep(FULL_PAUSE)
            raise
        if not self._is_busy:
            began = self._clock.monotonic()
            await self._keep(self._clock.now())
            await self._rest(began)

    async def _step(self) -> bool:
        is_busy, began = self._look(), self._clock.monotonic()
        has_more = await self._store.follow(until=self._clock.now() - LAG, limit=BUSY_BATCH if is_busy else BATCH)
        await self._rest(began)
        return has_more

    async def _rest(self, began: float) -> None:
        took = self._clock.monotonic() - began
        await self._clock.sleep(took / (BUSY_SHARE if self._is_busy else SHARE) - took)

    def _look(self) -> bool:
        """Whether the store has much to do with mail."""
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK:
            operations = self._store.statistics().get("operations", 0)
            self._is_busy = (operations - self._operations) / (now - self._looked_at) > BUSY
            self._looked_at, self._operations = now, operations
        return self._is_busy

    async def _keep(self, now: datetime) -> None:
        """Compares the last whole minute that has settled, and a part of yesterday if that is not done yet."""
        minute = now.replace(second=0, microsecond=0) - MINUTE
        if self._day != now.date():
            self._day = now.date()
            yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - DAY
            self._windows = deque(yesterday + number * WINDOW for number in range(DAY // WINDOW))
            await self._store.prune_derived(now)
        elif self._compared < minute:
            await self._compare(minute - MINUTE, minute)
            self._compared = minute
        elif self._windows:
            start = self._windows.popleft()
            await self._compare(start, start + WINDOW)

    async def _compare(self, start: datetime, end: datetime) -> None:
        missing = await self._store.repair_derived(start=start, end=end)
        if missing:
            log.info("derived_facts_added", start=start.isoformat(), count=missing)
