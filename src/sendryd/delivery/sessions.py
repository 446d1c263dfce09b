"""Sessions that are open with each site, under way, idle or being closed: a receiver counts all of them.

A new session with a site that has as many as it may have takes the place of an idle one, which says goodbye first, or waits until one is closed.
Limits: `PATIENCE`, after which an attempt goes on all the same: attempts at once are limited elsewhere, and a session that cannot be closed must not
hold up a site.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

PATIENCE: Final = 30.0  # seconds; a goodbye takes less


class Closable(Protocol):
    """An idle session."""

    async def quit(self) -> None:
        """Says goodbye and closes, in bounded time."""
        ...


class OpenSessions:
    """How many there are, by site."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._closed: dict[str, asyncio.Event] = {}  # of sites that somebody waits for

    def __repr__(self) -> str:
        return f"<OpenSessions with {len(self._counts)} sites>"

    def count(self, site: str) -> int:
        """Those of one site."""
        return self._counts.get(site, 0)

    async def open(self, site: str, most: int | None, take_idle: Callable[[], Closable | None]) -> None:
        """Counts a new session, once there is room for it. `take_idle` takes an idle one of the site out of the pool."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while most is not None and self.count(site) >= most:
                    idle = take_idle()
                    if idle is not None:
                        await idle.quit()
                    else:
                        await self._wait(site)
        self._counts[site] = self.count(site) + 1

    async def _wait(self, site: str) -> None:
        closed = self._closed.setdefault(site, asyncio.Event())
        closed.clear()
        await closed.wait()

    def close(self, site: str) -> None:
        """A session is closed."""
        left = self.count(site) - 1
        if left > 0:
            self._counts[site] = left
        else:
            self._counts.pop(site, None)
        closed = self._closed.pop(site, None)
        if closed is not None:
            closed.set()
