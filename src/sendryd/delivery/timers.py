"""Timers of lanes that wait for their rate: one for each lane at the most."""

import asyncio
from collections.abc import Callable

from sendryd.delivery.lanestate import LaneState
from sendryd.runtime.clock import Clock


class LaneTimers:
    """`start` starts the attempts of a lane."""

    def __init__(self, clock: Clock, start: Callable[[LaneState], None]) -> None:
        self._clock = clock
        self._start = start
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by lane

    def __len__(self) -> int:
        return len(self._tasks)

    def wake(self, state: LaneState, seconds: float) -> None:
        """Starts a lane later, unless its timer is set already."""
        if id(state) not in self._tasks:
            self._tasks[id(state)] = asyncio.get_running_loop().create_task(self._wake(state, seconds))

    def cancel(self) -> None:
        """Ends all of them."""
        for task in self._tasks.values():
            task.cancel()

    async def _wake(self, state: LaneState, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
        finally:
            del self._tasks[id(state)]
        self._start(state)
