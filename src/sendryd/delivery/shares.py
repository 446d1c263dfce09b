"""Mail of sites that other processes own: it is handed over to them.

A domain whose servers were looked up long ago may be with another site by now: it is looked up again first. Where DNS tells two processes different
servers for a domain, each would take the other for the owner: after some turns the one that has the mail sends it.
Limits: domains of which is known that they were handed over.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from sendryd.delivery.destinations import Destinations
from sendryd.delivery.lanes import Lanes
from sendryd.delivery.lanestate import Held, LaneState
from sendryd.delivery.ownership import Ownership
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import lane_of
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import Claim
from sendryd.store.errors import StoreError

Waiting = Sequence[tuple[Claim, Held | None]]

MAX_TURNS: Final = 3  # of a domain in `TURNS_TIME`: shares that move bring one or two
TURNS_TIME: Final = 60.0  # seconds
MAX_DOMAINS: Final = 10_000

Result = TypeVar("Result")

log = get_logger("delivery")


class Shares:
    """What this process may send."""

    def __init__(
        self,
        ownership: Ownership,
        lanes: Lanes,
        destinations: Destinations,
        clock: Clock,
        *,
        give_back: Callable[[Waiting], Awaitable[None]],
    ) -> None:
        self._ownership = ownership
        self._sessions: set[asyncio.Task[Any]] = set()
        self._lanes = lanes
        self._destinations = destinations
        self._clock = clock
        self._give_back = give_back
        lanes.ownership = ownership
        self._turns: OrderedDict[str, tuple[int, float]] = OrderedDict()  # by domain: how often it was handed over, and since when

    async def session(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Does the work of one attempt, until `cut_off`."""
        task = asyncio.get_running_loop().create_task(work)
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
        return await task

    def cut_off(self) -> int:
        """Ends all attempts that have no outcome yet: others take this process for dead and are about to send their mail. Returns how many."""
        sessions = tuple(self._sessions)
        for task in sessions:
            task.cancel()
        return len(sessions)

    def sessions_of_one_hop(self) -> int:
        """Sessions under way with the smart host for all mail."""
        state = self._lanes.find(ANY_DOMAIN)
        return state.busy if state is not None else 0

    def owns(self, key: str) -> bool:
        """Whether sessions with a site may begin."""
        return self._ownership.owns(key)

    def is_foreign(self, state: LaneState) -> bool:
        """Whether another process owns the site of a lane with waiting claims. A domain whose servers are not known now is looked up by whoever has
        its mail.
        """
        if self._ownership.owns(state.key):
            return False
        if state.key == ANY_DOMAIN or lane_of(state.key):  # whatever DNS says
            return True
        domain = state.peek().domain
        return self._destinations.known(domain) is not None and self._count(domain) < MAX_TURNS

    def _count(self, domain: str) -> int:
        number, since = self._turns.get(domain, (0, 0.0))
        return number if self._clock.monotonic() - since < TURNS_TIME else 0

    def _note(self, domain: str) -> None:
        number = self._count(domain)
        self._turns[domain] = number + 1, self._turns[domain][1] if number else self._clock.monotonic()
        if number + 1 == MAX_TURNS:
            log.warning(
                "mail_comes_back", domain=domain, advice="the resolvers of two nodes give it different mail servers: use the same one"
            )
        if len(self._turns) > MAX_DOMAINS:
            self._turns.popitem(last=False)

    async def hand_over(self, state: LaneState, waiting: Waiting) -> None:
        """Lets the owner of a site have its mail."""
        if state.key != ANY_DOMAIN:
            for domain in {claim.domain for claim, _ in waiting}:
                self._note(domain)
            try:
                await self._ownership.move({claim.domain: state.key for claim, _ in waiting})
            except StoreError as error:
                log.error("mail_not_handed_over", site=state.key, error=repr(error))
        await self._give_back(waiting)
        self._ownership.ring()
        self._lanes.forget_if_idle(state)
