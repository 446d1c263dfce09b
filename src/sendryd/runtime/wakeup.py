"""A wake-up signal for a daemon: work is due."""

import asyncio
from typing import Protocol


class Doorbell(Protocol):
    """Says that there is work. A hint: whoever waits also polls, so a signal that is lost delays work and loses none.

    In a cluster: `set` must reach the waiters of every node, after the commit that made the work, for example by PostgreSQL's NOTIFY.
    """

    def set(self) -> None:
        """Wake the waiter, or let its next wait return at once. Several calls before a wait count as one."""
        ...

    async def wait(self, timeout: float | None) -> bool:
        """Wait until set, or for `timeout` seconds, and clear the signal. True if it was set."""
        ...


class Wakeup:
    """The doorbell of one process."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wakes the waiter, or lets the next wait return at once."""
        self._event.set()

    async def wait(self, timeout: float | None) -> bool:
        """Waits until set, or for `timeout` seconds, and clears the signal. True if it was set."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
