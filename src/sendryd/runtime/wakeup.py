"""The signal that something is due."""

import asyncio


class Wakeup:
    """Set by whoever made work, awaited by whoever does it. Many sets before a wait count as one."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wakes the waiter, or lets the next wait return at once."""
        self._event.set()

    async def wait(self, timeout: float | None) -> bool:
        """Waits until set or for so many seconds, and clears the signal. True if it was set."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
