"""Keeps in the store which hosts have done TLS, so that a restart does not let one broken handshake put mail into clear text.

Reads: the hosts, at the start. Writes: those that are new, or were stored an hour ago or more, together, every ten seconds, and at the end.
When things fail: what could not be stored is stored in the next round; what could not be read is learned again.
Limits: as many hosts as the memory has, and none that has done no TLS for a day.
"""

from datetime import timedelta
from typing import Final

from sendryd.delivery.tls_memory import MAX_HOSTS, WORKING_TIME, TlsMemory
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import NextHopStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 10.0  # seconds: what a kill may cost

log = get_logger("delivery")


class TlsKeeper:
    """Between the memory and the store. Wall time is settled time: a clock that was set forward forgets nothing."""

    def __init__(self, store: NextHopStore, memory: TlsMemory, clock: Clock) -> None:
        self._store = store
        self._memory = memory
        self._clock = clock
        self._left: dict[str, float] = {}  # what could not be stored

    async def load(self) -> None:
        """Reads what is known."""
        try:
            found = await self._store.list_tls_hosts()
        except StoreError as error:
            log.error("tls_hosts_not_read", error=repr(error))
            return
        now, monotonic = self._clock.settled(), self._clock.monotonic()
        ages = ((host, max(0.0, (now - moment).total_seconds())) for host, moment in found)
        self._memory.load((host, monotonic - age) for host, age in ages if age < WORKING_TIME)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            await self.store()

    async def store(self) -> None:
        """Stores what is new."""
        worked = self._left | self._memory.take_unstored()
        if not worked:
            return
        now, monotonic = self._clock.settled(), self._clock.monotonic()
        moments = {host: now - timedelta(seconds=monotonic - moment) for host, moment in worked.items()}
        try:
            await self._store.note_tls_hosts(moments, keep_since=now - timedelta(seconds=WORKING_TIME), most=MAX_HOSTS)
        except StoreError as error:
            log.error("tls_hosts_not_stored", count=len(worked), error=repr(error))
            self._left = dict(list(worked.items())[-MAX_HOSTS:])
            return
        self._left = {}
