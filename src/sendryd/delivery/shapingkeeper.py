"""Keeps the effects of replies in the store, so that a restart forgets none, and forgets those that a person has ended.

All processes know the effects of all: a site that goes over to another process stays suspended.
When things fail: what cannot be stored is stored in a later round. Delivery waits for nothing of it.
"""

from collections.abc import Callable, Collection
from typing import Final

from sendryd.delivery.shaper import Shaper
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import NextHopStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 1.0  # seconds between rounds: a crash forgets the effects of the last one

log = get_logger("delivery")


class ShapingKeeper:
    """Between the shaper and the store. `relax` is given the sites for which a person has ended an effect."""

    def __init__(
        self, store: NextHopStore, shaper: Shaper, clock: Clock, relax: Callable[[Collection[str]], None] = lambda _sites: None
    ) -> None:
        self._store = store
        self._shaper = shaper
        self._clock = clock
        self._relax = relax

    async def load(self) -> None:
        """Reads what is known."""
        try:
            self._shaper.load(await self._store.list_shaping_effects())
            self._shaper.end(await self._store.list_ended_effects())  # one that was stored again in the moment of its end
        except StoreError as error:
            log.error("shaping_effects_not_read", error=repr(error))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            await self.share()
            await self.end()
            await self.store()

    async def share(self) -> None:
        """Takes over what other processes have stored, and has stored again what they did not know."""
        try:
            stored = await self._store.list_shaping_effects()
        except StoreError as error:
            log.error("shaping_effects_not_read", error=repr(error))
            return
        self._shaper.take_over(stored)

    async def end(self) -> None:
        """Forgets what people have ended."""
        if not self._shaper.all_effects():  # as nearly always
            return
        try:
            sites = self._shaper.end(await self._store.list_ended_effects())
        except StoreError as error:
            log.error("ended_effects_not_read", error=repr(error))
            return
        if sites:
            self._relax(sites)

    async def store(self) -> None:
        """Stores the effects in force, if others are stored."""
        effects = self._shaper.all_effects()
        if not self._shaper.has_news:
            return
        self._shaper.has_news = False
        try:
            await self._store.put_shaping_effects(effects)
        except StoreError as error:
            log.error("shaping_effects_not_stored", error=repr(error))
            self._shaper.has_news = True
