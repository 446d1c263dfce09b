"""Turns of the event loop for bulk work: large contents that are received or sent in pieces.

Without turns, many ready bulk transfers would each do a piece in one turn of the loop, and a short transaction would wait for all of them. Here each
turn does one piece, in order of arrival; between pieces the loop serves all other connections.
"""

import asyncio
from collections import deque


class BulkTurns:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    def __repr__(self) -> str:
        return f"<BulkTurns {len(self._waiting)} waiting>"

    async def wait(self) -> None:
        """Waits for a turn without other bulk work."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._give, loop)
        await future

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives this turn to the first waiter."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                break
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            loop.call_soon(self._give, loop)
