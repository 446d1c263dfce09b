"""Claiming: takes what is due from the database, as much of each lane as it can start soon.

Reads and writes: `claim_deliveries`, the pauses and limits of destinations, suspended accounts, the requests of operators to try a next hop at once.
Strategy: oldest due first; a domain that is busy or suspended is stepped over, so it cannot hold up the others. Where many claims wait, each domain
has few claimed at once, so that all domains come into the line soon. An account and class of mail that has its share of the claims in memory is
stepped over (`delivery.crowd`). In a lane that others have filled, one that has little there gets a share, whichever of the lane's domains its mail
is for, one-time passwords first. While the smart host for all mail is full, mail for other smart hosts is claimed.
When things fail: while outcomes cannot be stored nothing is claimed.
Limits: claims in memory, deliveries claimed at once.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from sendryd.delivery.accountstops import AccountStops, StopStore
from sendryd.delivery.crowd import MANY_WAITING, MAX_WAITING
from sendryd.delivery.grouping import group_claims
from sendryd.delivery.lanes import FEW_WAITING, WAITING_FACTOR, Lanes
from sendryd.delivery.lanestate import LaneState
from sendryd.delivery.leases import HeldLeases
from sendryd.delivery.pauses import Pauses
from sendryd.model.ids import AccountId
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.throttle import new_lane
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.wakeup import Doorbell
from sendryd.store.base import Claim, CrowdedLane, NextHopStore, OneHop
from sendryd.store.errors import StoreError

FEW_OF_EACH: Final = 4
CLAIM_LIMIT: Final = 200  # deliveries claimed at once
POLL_INTERVAL: Final = 1.0  # seconds: changes by other processes are seen within it
CROWDED_INTERVAL: Final = 0.05  # seconds between two looks for crowded lanes: each takes a step of an index for each account

log = get_logger("delivery")


class QueueOfNextHops(StopStore, NextHopStore, Protocol):
    """What the scheduler needs of the store."""


class Claimer:
    """Keeps the lanes supplied."""

    def __init__(
        self,
        store: QueueOfNextHops,
        lanes: Lanes,
        leases: HeldLeases,
        *,
        start: Callable[[Claim], None],
        pause: Callable[[], Awaitable[None]],
        has_unrecorded: Callable[[], bool],
        has_smart_host: bool,
        clock: Clock,
        wakeup: Doorbell,
    ) -> None:
        """`start` puts a claim into its lane; `pause` gives back the waiting claims of paused domains. `has_unrecorded`: outcomes wait for the
        store.
        """
        self._store = store
        self._lanes = lanes
        self._leases = leases
        self._start = start
        self._pause = pause
        self._has_unrecorded = has_unrecorded
        self._has_smart_host = has_smart_host
        self._clock = clock
        self._wakeup = wakeup
        self._stops = AccountStops(store, lanes, clock)
        self._pauses = Pauses(store, lanes, clock)
        self._next_look = 0.0  # monotonic seconds
        self._next_crowded = 0.0  # monotonic seconds
        self._is_stopping = False
        self.may_be_due = True  # the database has, as far as is known, something that could be claimed if there were room
        self.claimed = 0

    async def run(self) -> None:
        """Claims what is due, until stopped."""
        while not self._is_stopping:
            timeout = POLL_INTERVAL
            try:
                await self._obey()
                if not await self._claim():
                    timeout = await self._time_to_wait()
            except StoreError as error:
                log.error("not_claimed", error=repr(error))
            except Exception:  # mail that is under way goes on, and so does the door
                log.exception("claim_failed")
            await self._wakeup.wait(timeout)

    def stop(self) -> None:
        """Ends `run` soon."""
        self._is_stopping = True
        self._wakeup.set()

    async def _obey(self) -> None:
        """Does what people ask of destinations: pauses and limits them; ends suspensions of lanes that are to be tried (`queue retry`, `queue release`)."""
        now = self._clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + POLL_INTERVAL
        pauses, limits = await self._store.list_paused_destinations(), await self._store.list_limited_destinations()
        moment = self._clock.settled()
        if any(each.is_over(moment) for each in pauses) or any(each.is_over(moment) for each in limits):
            await self._store.end_pauses_and_limits(moment)
        self._lanes.caps = {each.domain: each.sessions for each in limits if not each.is_over(moment)}
        if await self._pauses.look(pauses, moment):
            await self._pause()
        if await self._stops.look(moment):
            await self._pause()
        domains = await self._store.list_probes()
        if domains:
            self._lanes.end_suspensions(domains)
            await self._store.clear_probes(domains)

    async def _claim(self) -> bool:
        """One claim. True if something was claimed."""
        self.may_be_due = True  # until the database has said otherwise
        room = min(CLAIM_LIMIT, MAX_WAITING - self._lanes.crowd.total)
        if room <= 0 or self._has_unrecorded() or ANY_DOMAIN in self._lanes.paused:
            return False
        now = self._clock.monotonic()
        full = self._lanes.full(now)
        hop = self._one_hop(now) if self._has_smart_host else None
        lease = self._leases.take()
        try:
            claims = await self._store.claim_deliveries(
                now=self._clock.now(),
                settled=self._clock.settled(),
                lease=lease,
                limit=room,
                busy=full | self._lanes.paused,
                per_domain=self._per_domain(room),
                served=self._lanes.crowd.served(),
                crowded=self._crowded(now),
                one_hop=hop,
            )
        finally:
            self._leases.settle(lease)
        self.may_be_due = bool(claims or full)
        going = await self._pauses.put_off(await self._stops.hold(claims))
        too_many: list[Claim] = []
        has_started = False
        for claim in group_claims(going, is_one_hop=self._has_smart_host):
            if self._lanes.has_room(claim):
                self.claimed += len(claim.deliveries)
                self._start(claim)
                has_started = True
            else:
                too_many.append(claim)
        await self._leases.release(too_many)
        if not has_started and any(self._lanes.is_suspended(claim.domain) for claim in too_many):  # mail of other sites may be due
            self._wakeup.set()
        return bool(claims)

    def _crowded(self, now: float) -> list[CrowdedLane]:
        """Lanes in which mail waits: others may have a share."""
        if now < self._next_crowded:
            return []
        self._next_crowded = now + CROWDED_INTERVAL
        paused, found = self._lanes.paused, list[CrowdedLane]()
        for state in self._lanes.all():
            most = self._lanes.most_waiting(state, now) if state.waiting.waiting else 0
            if not most or 2 * state.load < most or state.load >= 4 * most or state.lane.is_suspended(now) or state.key in paused:
                continue
            share, turns = state.share(most, least=FEW_WAITING), state.waiting.turns()
            enough = frozenset((AccountId(account), priority) for (account, priority), number in turns.items() if 2 * number >= share)
            domains = frozenset(state.domains) if state.key != ANY_DOMAIN else frozenset({ANY_DOMAIN})
            found.append(CrowdedLane(domains=domains, without=paused, enough=enough, each=share, room=4 * most - state.load))
        return found

    def _one_hop(self, now: float) -> OneHop:
        """What the smart host for all mail may get."""
        lanes = self._lanes
        state = lanes.find(ANY_DOMAIN) or LaneState(ANY_DOMAIN, lanes.fresh(ANY_DOMAIN))
        room = 0 if lanes.is_full(state, now) else lanes.most_waiting(state, now) - state.load
        return OneHop(most=max(0, room), is_of_all_shards=lanes.leaves_some_out(state))

    def _per_domain(self, room: int) -> int:
        if self._has_smart_host:
            return room
        return FEW_OF_EACH if self._lanes.crowd.total >= MANY_WAITING else WAITING_FACTOR * new_lane(is_smart_host=False).limit

    async def _time_to_wait(self) -> float:
        due = await self._store.due_at()
        if due is None:
            return POLL_INTERVAL
        seconds = (due - self._clock.now()).total_seconds()
        if seconds <= 0:  # due, but its lane is busy: a worker that becomes free wakes us
            return POLL_INTERVAL
        return min(POLL_INTERVAL, seconds)
