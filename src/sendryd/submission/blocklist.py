"""The addresses that a person has shut out, as the listeners ask for them.

Does: keeps the list in memory, so that a connection costs one look into a dictionary, and reads it each second, so that a change by a page or another
process holds within that time. Ends open sessions of an address that was just blocked, after their transaction.
Reads: blocked addresses. Writes: nothing.
When things fail: the last list that could be read goes on to hold.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sendryd.policy.network import network_of
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import RefusalStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 1.0  # seconds between reads

log = get_logger("submission")


class Blocklist:
    """What is blocked now."""

    def __init__(self, store: RefusalStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ends: dict[str, datetime | None] = {}

    def holds(self, address: str) -> bool:
        """Whether connections from an address are refused."""
        if not self._ends:
            return False
        network = network_of(address)
        if network not in self._ends:
            return False
        end = self._ends[network]
        return end is None or end > self._clock.now()

    async def refresh(self) -> bool:
        """Reads the list. True if an address is new on it. Raises `StoreUnavailable`."""
        ends = {each.network: each.until for each in await self._store.list_blocked_addresses()}
        has_more = not ends.keys() <= self._ends.keys()
        self._ends = ends
        return has_more

    async def run(self, on_new: Callable[[], None]) -> None:
        """Until cancelled. `on_new` is called after an address was added."""
        while True:
            try:
                if await self.refresh():
                    on_new()
            except StoreError as error:
                log.error("blocked_addresses_not_read", error=repr(error))
            await self._clock.sleep(INTERVAL)
