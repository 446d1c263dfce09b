"""How this process does, measured since it began: nothing of it does its work while the store cannot be written, so that is what is tried."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.api.framework.latency import LatencyBook
from sendryd.runtime.clock import Clock
from sendryd.store.base import UpkeepStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 15.0  # seconds between tries, however often anybody asks
CHECK_TIMEOUT: Final = 5.0  # seconds for one check
MAX_DAYS: Final = 90
_DAY_MS: Final = 86_400_000

API: Final = "api-gateway"
DATABASE: Final = "database"
SMTP: Final = "smtp"
DELIVERY: Final = "delivery"
WEBHOOKS: Final = "webhooks"


@dataclass(slots=True)
class _Day:
    tries: int = 0
    good: int = 0


class StatusBook:
    """What runs in this process, and how much of the time it could do its work."""

    def __init__(self, store: UpkeepStore, clock: Clock, parts: Sequence[str]) -> None:
        """`parts` are those that run in this process, beside the API and the database."""
        self._store = store
        self._clock = clock
        self._days: dict[int, _Day] = {}
        self._tried = float("-inf")
        self._lock = asyncio.Lock()
        self.parts = (API, *parts, DATABASE)
        self.database_latency = LatencyBook(clock)
        self.checked_at: datetime | None = None
        self.is_up = True
        self.last_response_ms: float | None = None  # of the database; None: it gave no answer

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(INTERVAL)

    async def look(self) -> None:
        """Tries the store, unless that was just done."""
        async with self._lock:  # whoever asks meanwhile waits for the same try
            if self._clock.monotonic() - self._tried >= INTERVAL:
                await self._try()

    async def _try(self) -> None:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await self._store.check_writable()
        except (StoreError, TimeoutError):
            self.is_up, self.last_response_ms = False, None
        else:
            took = self._clock.monotonic() - started
            self.is_up, self.last_response_ms = True, round(took * 1000, 2)
            self.database_latency.note(took)
        self._tried, self.checked_at = self._clock.monotonic(), self._clock.now()
        number = self._clock.unix_ms() // _DAY_MS
        if number not in self._days:
            self._days[number] = _Day()
            for old in [each for each in self._days if each <= number - MAX_DAYS]:
                del self._days[old]
        self._days[number].tries += 1
        self._days[number].good += self.is_up

    @property
    def uptime(self) -> float:
        """Part of the tries that were good, of the last 90 days as far as the process was there. 1 before the first."""
        tries = sum(day.tries for day in self._days.values())
        return sum(day.good for day in self._days.values()) / tries if tries else 1.0
