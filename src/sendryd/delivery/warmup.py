"""What each warming address has sent to each site today, and whether it may send more.

An attempt takes its recipients from the day's cap before it begins, so attempts at once do not exceed it together, and gives back those that were not
delivered.
Reads: the counts of the day, at the start, and when other sites become this process's own. Writes: what has changed, every few seconds and at the end.
When things fail: what could not be stored is stored in the next round; a kill forgets the last seconds.
Limits: `MAX_SITES` counts of a day; sites beyond it share one.
"""

from collections import Counter
from datetime import date, timedelta
from typing import Final

from sendryd.policy.egress import Source
from sendryd.policy.warmup import day_cap
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import EgressStore
from sendryd.store.errors import StoreError

MAX_SITES: Final = 10_000  # with an address each
OTHER_SITES: Final = "*"

log = get_logger("delivery")


class WarmUp:
    """The counts of the UTC day, by address and site. Days are those of settled time: a clock that is set begins no new one."""

    def __init__(self, store: EgressStore, clock: Clock, *, max_sites: int = MAX_SITES) -> None:
        self._max_sites = max_sites
        self._store = store
        self._clock = clock
        self._day = self._today()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._unstored: Counter[tuple[str, str]] = Counter()

    def _today(self) -> date:
        return self._clock.settled().date()

    async def load(self) -> None:
        """Reads the counts of the day, to which other processes may have added. Raises `StoreError`."""
        found = Counter(await self._store.list_egress_counts(self._day))
        found.update(self._unstored)
        self._counts = found

    def take(self, source: Source, site: str, recipients: int) -> str:
        """Takes recipients from the day's cap of an address. Returns why it may not send to them; empty: it may."""
        self._turn()
        cap = day_cap(source.warmup_from, self._day)
        if cap is None:
            return ""
        key = self._key(source.address, site)
        sent = self._counts[key]
        if sent + recipients <= cap:
            self._add(key, recipients)
            return ""
        if not cap:
            return f"address {source.address} begins to warm up on {source.warmup_from}"
        return f"warming up address {source.address}: {sent} of {cap} today to {key[1] if key[1] != OTHER_SITES else 'this site'}"

    def give_back(self, source: Source, site: str, recipients: int) -> None:
        """Recipients that were taken today and not delivered."""
        key = self._key(source.address, site)
        if recipients and day_cap(source.warmup_from, self._day) is not None and key in self._counts:
            self._add(key, -min(recipients, self._counts[key]))

    def seconds_of_day_left(self) -> float:
        """Seconds until the next day begins."""
        now = self._clock.settled()
        tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return (tomorrow - now).total_seconds()

    async def store(self) -> None:
        """Stores what has changed."""
        added, self._unstored = self._unstored, Counter()
        day = self._day
        if not added:
            return
        try:
            await self._store.add_egress_counts(day, added, keep_since=day - timedelta(days=1), most=2 * self._max_sites)
        except StoreError as error:
            log.error("warm_up_counts_not_stored", error=repr(error))
            if day == self._day:
                for key, number in added.items():
                    self._unstored[key] += number

    def _turn(self) -> None:
        """Begins the day if it is a new one."""
        today = self._today()
        if today > self._day:
            self._day = today
            self._counts.clear()
            self._unstored.clear()

    def _key(self, address: str, site: str) -> tuple[str, str]:
        key = address, site
        return key if key in self._counts or len(self._counts) < self._max_sites else (address, OTHER_SITES)

    def _add(self, key: tuple[str, str], number: int) -> None:
        self._counts[key] += number
        self._unstored[key] += number
