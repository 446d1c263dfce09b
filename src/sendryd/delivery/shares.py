"""Mail of sites that other processes own: it is handed over to them.

A domain whose servers were looked up long ago may be with another site by now: it is looked up again first. Where DNS tells two processes different
servers for a domain, each would take the other for the owner: once the same delivery has come back some times, the one that has the domain's mail sends it.
Limits: deliveries of which is known that they were handed over, and domains whose mail came back.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from sendryd.delivery.destinations import Destinations
from sendryd.delivery.lanes import Lanes
from sendryd.delivery.lanestate import Held, LaneState
from sendryd.delivery.ownership import Ownership
from sendryd.model.ids import DeliveryId
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import lane_of
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import Claim
from sendryd.store.errors import StoreError

Waiting = Sequence[tuple[Claim, Held | None]]

MAX_TURNS: Final = 3  # of a delivery: shares that move bring one or two
TURNS_TIME: Final = 60.0  # seconds for which the mail of a domain is sent by whoever has it
MAX_KNOWN: Final = 10_000  # deliveries, and domains: more than two nodes have under way between them

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
        self._turns: OrderedDict[DeliveryId, int] = OrderedDict()  # how often each was handed over
        self._disputed: OrderedDict[str, float] = OrderedDict()  # domains whose mail came back, and when

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
        """Whether this process must leave the waiting claims of a lane to another one. A domain whose servers are not known now is looked up by whoever has
        its mail.
        """
        if self._ownership.owns(state.key):
            return False
        if state.key == ANY_DOMAIN or lane_of(state.key) or not self._ownership.may_begin:  # whatever DNS says
            return True
        domain = state.peek().domain
        return self._destinations.known(domain) is not None and not self._is_disputed(domain)

    def _is_disputed(self, domain: str) -> bool:
        return self._clock.monotonic() - self._disputed.get(domain, float("-inf")) < TURNS_TIME

    def _note(self, claim: Claim) -> None:
        """Counts a turn of a claim. Mail that was accepted or claimed before the domain's first turn is handed over, too, and has had none."""
        number = claim.deliveries[0].id
        self._turns[number] = self._turns.pop(number, 0) + 1
        if self._turns[number] >= MAX_TURNS and not self._is_disputed(claim.domain):
            self._disputed[claim.domain] = self._clock.monotonic()
            log.warning(
                "mail_comes_back", domain=claim.domain, advice="the resolvers of two nodes give it different mail servers: use the same one"
            )
        for known in (self._turns, self._disputed):
            if len(known) > MAX_KNOWN:
                known.popitem(last=False)

    async def hand_over(self, state: LaneState, waiting: Waiting) -> None:
        """Lets the owner of a site have its mail."""
        if state.key != ANY_DOMAIN and self._ownership.may_begin:
            for claim, _ in waiting:
                self._note(claim)
            try:
                await self._ownership.move({claim.domain: state.key for claim, _ in waiting})
            except StoreError as error:
                log.error("mail_not_handed_over", site=state.key, error=repr(error))
        await self._give_back(waiting)
        self._ownership.ring()
        self._lanes.forget_if_idle(state)
