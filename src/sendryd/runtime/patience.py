"""Time-outs that survive a pause of the process.

When a stopped process or a sleeping machine goes on, all timers fire at once, before the loop has read what peers sent meanwhile. A time-out that
fires late gives the loop a moment to read first, so that an answered request is not repeated.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

LATE: Final = 1.0  # seconds: a timer that is later than this shows a pause; a busy loop is late by less
MOMENT: Final = 1.0  # seconds to read arrived data


class Deadline:
    """The end of a time-out."""

    def __init__(self, scope: asyncio.Timeout, seconds: float) -> None:
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._set(self._loop.time() + seconds)

    def lift(self) -> None:
        """Ends the time-out without effect."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, when: float) -> None:
        self._timer = self._loop.call_at(when, self._on_timer, when)

    def _on_timer(self, when: float) -> None:
        self._timer = None
        now = self._loop.time()
        if now - when > LATE:
            self._set(now + MOMENT)
        else:
            self._scope.reschedule(now)


@asynccontextmanager
async def patient_timeout(seconds: float) -> AsyncIterator[Deadline]:
    """As `asyncio.timeout`, with the same exception, but a pause of the process does not trigger it."""
    async with asyncio.timeout(None) as scope:
        deadline = Deadline(scope, seconds)
        try:
            yield deadline
        finally:
            deadline.lift()
