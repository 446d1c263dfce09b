"""Turns of the event loop for bulk work: large contents that come in or go out, piece by piece.

Many bulk transfers that are ready at once would each do a piece in the same turn of the loop, and a short transaction beside them would wait for
them all. Here one piece is done in each turn, in order of arrival; between two of them the loop serves all other connections.
"""

import asyncio
from collections import deque


class BulkTurns:
    """One for each event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    def __repr__(self) -> str:
        return f"<BulkTurns {len(self._waiting)} waiting>"

    async def wait(self) -> None:
        """Waits for a turn in which no other bulk work is done."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._give, loop)
        await future

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives this turn to the first who still waits."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                break
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            loop.call_soon(self._give, loop)
