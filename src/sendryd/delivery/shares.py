"""Mail of sites that other processes own: it is handed over to them."""

from collections.abc import Awaitable, Callable, Sequence

from sendryd.delivery.lanes import Lanes
from sendryd.delivery.lanestate import Held, LaneState
from sendryd.delivery.ownership import Ownership
from sendryd.delivery.sites import Sites
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.runtime.log import get_logger
from sendryd.store.base import Claim
from sendryd.store.errors import StoreError

Waiting = Sequence[tuple[Claim, Held | None]]

log = get_logger("delivery")


class Shares:
    """What this process may send."""

    def __init__(self, ownership: Ownership, lanes: Lanes, sites: Sites, *, give_back: Callable[[Waiting], Awaitable[None]]) -> None:
        self._ownership = ownership
        self._lanes = lanes
        self._sites = sites
        self._give_back = give_back

    def owns(self, key: str) -> bool:
        """Whether sessions with a site may begin."""
        return self._ownership.owns(key)

    def is_foreign(self, state: LaneState) -> bool:
        """Whether another process owns the site of a lane with waiting claims. A domain that was not looked up yet is looked up by whoever has its
        mail.
        """
        if self._ownership.owns(state.key):
            return False
        return state.key == ANY_DOMAIN or self._sites.site_of(state.peek().domain) is not None

    def limit(self, state: LaneState) -> int:
        """Sessions that a lane may have at once. The processes that deliver share those of a smart host."""
        limit = self._lanes.limit(state)
        return max(1, limit // self._ownership.servers) if state.key == ANY_DOMAIN else limit

    async def hand_over(self, state: LaneState, waiting: Waiting) -> None:
        """Lets the owner of a site have its mail."""
        if state.key != ANY_DOMAIN:
            try:
                await self._ownership.move({claim.domain: state.key for claim, _ in waiting})
            except StoreError as error:
                log.error("mail_not_handed_over", site=state.key, error=repr(error))
        await self._give_back(waiting)
        self._ownership.ring()
        self._lanes.forget_if_idle(state)
