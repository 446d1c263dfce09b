"""Look-ups of destinations for lanes. They hold no place meanwhile.

A domain that was not looked up yet waits as a whole, in a lane of its own. In the lane of a site each domain has a route of its own: a message whose
route is not known any more waits for it beside the lane, and the others go on. Each look-up says which site a domain is with; its waiting claims
move there.
Limits: claims beside a lane.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.lanes import Lanes
from sendryd.delivery.lanestate import Held, LaneState
from sendryd.policy.routing import NextHop
from sendryd.store.base import Claim

MAX_BESIDE: Final = 200  # claims of a lane that wait for look-ups; the next one waits in the lane


class LookUps:
    """The look-ups that are under way."""

    def __init__(
        self,
        destinations: Destinations,
        lanes: Lanes,
        *,
        start: Callable[[LaneState], None],
        settle: Callable[[LaneState, str, NoRoute], None],
        shed: Callable[[LaneState], None],
    ) -> None:
        """`start` starts the attempts of a lane; `shed` gives back what is too much for it; `settle` records that mail of a domain cannot be sent."""
        self._destinations = destinations
        self._lanes = lanes
        self._start = start
        self._settle = settle
        self._shed = shed
        self._tasks: set[asyncio.Task[None]] = set()
        self._beside: dict[str, list[tuple[LaneState, Claim, Held | None]]] = {}  # by domain

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, state: LaneState) -> None:
        """Looks up the domain of a lane, which waits for it."""
        state.is_looking_up = True
        self._spawn(self._look_up(state))

    def begin_beside(self, state: LaneState) -> None:
        """Takes the next claim out of the lane of a site and looks up its domain."""
        claim, held = self._lanes.set_aside(state)
        waiting = self._beside.setdefault(claim.domain, [])
        waiting.append((state, claim, held))
        if len(waiting) == 1:
            self._spawn(self._look_up_beside(claim.domain))

    async def stop(self) -> None:
        """Ends all of them. Their claims go back to the lanes."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, state: LaneState) -> None:
        found: NextHop | NoRoute | None = None
        try:
            found = await self._destinations.find(state.key)
        finally:
            state.is_looking_up = False
            self._go_on(state.key, state, found)

    async def _look_up_beside(self, domain: str) -> None:
        found: NextHop | NoRoute | None = None
        try:
            found = await self._destinations.find(domain)
        finally:
            waiting = self._beside.pop(domain)
            for state, claim, held in waiting:
                self._lanes.put_back(state, claim, held)
            for state in {id(state): state for state, _, _ in waiting}.values():
                self._go_on(domain, state, found)

    def _go_on(self, domain: str, state: LaneState, found: NextHop | NoRoute | None) -> None:
        """Moves the domain's claims to where they belong, and starts them. None: the look-up was cut off."""
        target = state
        if isinstance(found, NextHop):
            target = self._lanes.join(domain, found, state)
            self._shed(target)
        elif found is not None:
            target = self._lanes.leave(domain, state)
            self._settle(target, domain, found)
        self._start(target)
        if target is not state:
            self._start(state)
        self._lanes.forget_if_idle(state)
