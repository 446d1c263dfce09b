"""Scheduler: what is delivered when. Claims what is due, keeps a lane for each next hop, and limits attempts.

Does: starts attempts as far as lanes and places allow, and records their outcomes.
Reads: what the door hands over directly, and what `delivery.claiming` takes from the database.
Writes: leases (`delivery.leases`).
Strategy: one lane for each site (`delivery.sites`), or a single one for a smart host (`delivery.lanes`). A suspended lane is probed with one message, while the
others wait without an attempt counted. A domain that a person has paused gets nothing.
Accepted messages come with their content in memory as long as there is room.
Every attempt needs one of the places of `delivery.places`. The look-up of its destination comes first and needs none (`delivery.lookups`);
when DNS gives no answer, one message is deferred and the domain suspended.
An attempt gives its place in the lane to the next one while its outcome is being stored. A destination whose attempts stall counts as one without
success until one succeeds. `queue retry` and `queue release` end the suspension of a lane; one by replies allows one message.
When things fail: while outcomes cannot be stored nothing is claimed or taken from the door, and no attempt takes the place of one that waits
for that. An orderly stop returns the leases of the attempts that it cuts off.
Limits: attempts in all (`delivery.places`), waiting claims of a lane and of all of them, octets of content held.
"""

import asyncio
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sendryd.delivery.claiming import Claimer, QueueOfNextHops
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.grouping import group_claims
from sendryd.delivery.laneboard import LaneBoard
from sendryd.delivery.lanes import Lanes
from sendryd.delivery.lanestate import Held, LaneState
from sendryd.delivery.leases import HeldLeases
from sendryd.delivery.lookups import MAX_BESIDE, LookUps
from sendryd.delivery.ownership import Ownership
from sendryd.delivery.places import Places
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.shares import Shares
from sendryd.delivery.sites import Sites
from sendryd.delivery.timers import LaneTimers
from sendryd.delivery.worker import Worker
from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import ANY_DOMAIN, NextHop
from sendryd.policy.shaping.rules import Rules
from sendryd.runtime.budget import Share
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.runtime.wakeup import Doorbell
from sendryd.store.base import Claim, Lease, Owner

# Attempts of a lane under way or being recorded, for each that it may have at once. A kill repeats no more than these.
UNRECORDED_FACTOR: Final = 2
MAX_HELD: Final = 256 * 1024  # octets of a content that is kept in memory from the door to its attempts; a larger one is read again
DRAIN_TIMEOUT: Final = 25.0  # seconds that attempts under way get when the program stops; it has 30 in all
CUT_OFF_TIMEOUT: Final = 1.0  # seconds that they get to close their connections when that is over

log = get_logger("delivery")


@dataclass(slots=True)
class _Reservation:
    keys: list[str]
    size: int


class Scheduler:
    """Runs the lanes. Implements `intake.handoff.Handoff`."""

    def __init__(
        self,
        store: QueueOfNextHops,
        worker: Worker,
        destinations: Destinations,
        *,
        plan: RetryPlan,
        owner: Owner,
        clock: Clock,
        rand: Rand,
        wakeup: Doorbell,
        has_smart_host: bool,
        memory: Share,
        shaper: Shaper | None = None,
        ownership: Ownership | None = None,
    ) -> None:
        """`memory` is the share for contents that are handed over and not yet sent; beyond it the database keeps them. `ownership`: there are others."""
        self._worker = worker
        self._shaper = shaper or Shaper(Sites(), clock)
        self._destinations = destinations
        self._clock = clock
        self._wakeup = wakeup
        self._has_smart_host = has_smart_host
        self._memory = memory
        self._reservations: dict[int, _Reservation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = Places()
        delays = tuple(delay.total_seconds() for delay in plan.delays)
        self._lanes = Lanes(self._places, clock, self._shaper, delays=delays, has_smart_host=has_smart_host)
        self.shares = Shares(ownership, self._lanes, destinations, clock, give_back=self._give_back) if ownership else None
        self._timers = LaneTimers(clock, self._start)
        self._look_ups = LookUps(destinations, self._lanes, start=self._start, settle=self._settle, shed=self._shed)
        self.board = LaneBoard(self._lanes, clock)
        self._leases = HeldLeases(store, owner=owner, clock=clock, rand=rand)
        self._claimer = Claimer(
            store,
            self._lanes,
            self._leases,
            start=lambda claim: self._enqueue(claim, None),
            pause=self._release_paused,
            has_unrecorded=lambda: bool(worker.unrecorded),
            has_smart_host=has_smart_host,
            clock=clock,
            wakeup=wakeup,
        )
        self._is_stopping = False
        self.handed_over = 0

    def __repr__(self) -> str:
        return f"<Scheduler {len(self._lanes)} lanes, {self._places.busy} attempts, {self._memory.taken} octets held>"

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {
            "lanes": len(self._lanes),
            "attempts": self._places.busy,
            "cold_attempts": self._places.cold,
            "lanes_without_place": self._places.waiting,
            "look_ups": len(self._look_ups),
            "waiting": self._lanes.crowd.total,
            "held_octets": self._memory.taken,
            "claimed": self._claimer.claimed,
            "handed_over": self.handed_over,
            "unrecorded": self._worker.unrecorded,
            "damaged": self._worker.damaged,
        }

    async def run(self) -> None:
        """Claims what is due, until stopped."""
        await self._claimer.run()

    # What the door hands over.

    def reserve(self, domains: Sequence[str], size: int, *, account_id: AccountId, priority: MessageClass) -> Lease | None:
        """Room for a new message; None if the database has to keep it for the time being."""
        if self._is_stopping or self._worker.unrecorded:
            return None
        if account_id in self._lanes.suspended or (self._lanes.paused and any(self._lanes.is_paused(domain) for domain in domains)):
            return None
        now = self._clock.monotonic()
        keys = self._lanes.keys(domains)
        for key in keys:
            if self.shares is not None and not self.shares.owns(key):
                return None
            if self._lanes.is_cold(key, now) and not self._lanes.crowd.has_room((account_id, priority)):
                return None
            state = self._lanes.find(key)
            if state is not None and self._lanes.is_full(state, now) and not self._lanes.has_turn(state, account_id, priority, now):
                return None
        held = size if size <= MAX_HELD else 0
        if not self._memory.try_take(held):
            return None
        for key in keys:
            self._lanes.open(key).reserved += 1
        lease = self._leases.take()
        self._reservations[lease.token] = _Reservation(keys, held)
        return lease

    def offer(self, lease: Lease, claims: Sequence[Claim], content: bytes) -> None:
        """The message is stored; its attempts start now."""
        reservation = self._end_reservation(lease)
        groups = group_claims(claims, is_one_hop=self._has_smart_host)
        self.handed_over += len(groups)
        held = Held(content, reservation.size, len(groups)) if reservation.size else None
        for claim in groups:
            self._enqueue(claim, held)

    def cancel_reservation(self, lease: Lease) -> None:
        """The message was not stored."""
        reservation = self._end_reservation(lease)
        self._memory.give_back(reservation.size)
        for key in reservation.keys:
            self._lanes.forget_if_idle(self._lanes.open(key))

    def _end_reservation(self, lease: Lease) -> _Reservation:
        reservation = self._reservations.pop(lease.token)
        self._leases.settle(lease)
        for key in reservation.keys:
            self._lanes.open(key).reserved -= 1
        return reservation

    # What starts.

    def _enqueue(self, claim: Claim, held: Held | None) -> None:
        self._leases.add(claim)
        self._start(self._lanes.enqueue(claim, held))

    def _start(self, state: LaneState, most: int = sys.maxsize) -> None:
        """Starts as many attempts as the lane may have at once and finds places for, `most` of them at the most. Looks up the destination
        first, or gives back the waiting claims if the lane may have no attempt for the time being.
        """
        if not state.number_waiting or state.is_looking_up:
            return
        now, key, lanes, shares = self._clock.monotonic(), state.key, self._lanes, self.shares
        lane_limit = lanes.limit(state)
        if self._is_stopping or not lane_limit or state.lane.is_suspended(now) or (lanes.paused and lanes.is_paused(key)):
            if not state.busy:
                self._spawn(self._release_waiting([state]))
            return
        is_cold = lanes.is_cold(key, now)
        limit = min(lane_limit, self._places.cold_limit(state.lane.failures)) if is_cold else lane_limit
        # What cannot be recorded is repeated after a kill.
        unrecorded = limit if self._worker.unrecorded else UNRECORDED_FACTOR * lane_limit
        while state.number_waiting and state.busy < limit and state.busy + state.recording < unrecorded:
            if shares is not None and shares.is_foreign(state):
                self._spawn(shares.hand_over(state, [lanes.dequeue(state) for _ in range(state.number_waiting)]))
                return
            claim = state.peek()
            if lanes.paused and lanes.is_stopped(claim):  # it waited for a look-up while a person paused its domain
                self._spawn(self._release_paused())
                return
            next_hop = self._destinations.known(claim.domain)
            if next_hop is None:
                if key in {claim.domain, ANY_DOMAIN}:
                    self._look_ups.begin(state)
                    return
                if state.beside >= MAX_BESIDE:
                    return
                self._look_ups.begin_beside(state)
                continue
            if (pause := self._shaper.wait(key, now, busy=state.busy)) > 0:
                self._timers.wake(state, pause)
                return
            turn = claim.message.account_id, claim.priority
            if not most:
                self._places.wait(key, is_cold=is_cold, is_idle=not state.busy, turn=turn)
                return
            if not self._places.take(key, claim.message.id, is_cold=is_cold, is_idle=not state.busy, turn=turn):
                return
            most -= 1
            claim, held = lanes.dequeue(state)
            self._shaper.take(key, now)
            lanes.begin(state, claim, now)
            self._spawn(self._attempt(state, claim, held, next_hop, is_cold=is_cold))

    def _start_others(self) -> None:
        """Gives free places to the lanes that wait for one, an attempt each in turn."""
        while (key := self._places.next_lane()) is not None:
            state = self._lanes.find(key)
            if state is not None:
                self._start(state, 1)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _settle(self, state: LaneState, domain: str, problem: NoRoute) -> None:
        """Records that mail of a domain cannot be sent. If DNS gave no answer, it is recorded of one message, and the others wait for the next probe."""
        if self._is_stopping:
            return
        if problem.is_silent:
            self._lanes.note_silence(state)
        for claim, held in self._lanes.dequeue_of(state, domain, 1 if problem.is_silent else state.number_waiting):
            state.recording += 1
            self._spawn(self._record_problem(state, claim, held, problem))

    async def _record_problem(self, state: LaneState, claim: Claim, held: Held | None, problem: NoRoute) -> None:
        try:
            attempt = await self._worker.attempt(claim, held.content if held else None, problem)
            self.board.note(state.key if state.key == ANY_DOMAIN else claim.domain, attempt)
            self._leases.note_stuck(await self._worker.record(attempt))
        finally:
            state.recording -= 1
            self._end(state, claim, held)

    # Attempts.

    async def _attempt(self, state: LaneState, claim: Claim, held: Held | None, next_hop: NextHop, *, is_cold: bool) -> None:
        """One attempt. While its outcome is being stored the lane goes on with the next one."""
        try:
            try:
                work = self._worker.attempt(claim, held.content if held else None, next_hop)
                attempt = await (self.shares.session(work) if self.shares else work)
            finally:
                self._lanes.end(state, claim)
                self._places.give_back(claim.message.id, is_cold=is_cold)
            state.recording += 1
            try:
                self._start(told := self._lanes.note(state, attempt.signal, claim.domain, attempt.hosts))
                self._lanes.note_replies(state, claim.domain, attempt.deferrals())
                self.board.note(state.key if state.key == ANY_DOMAIN else claim.domain, attempt)
                self._start_others()
                if told is not state:
                    self._start(state)
            except Exception:  # whatever that was, the outcome is recorded
                log.exception("lane_failed", next_hop=state.key)
            try:
                self._leases.note_stuck(await self._worker.record(attempt))
            finally:
                state.recording -= 1
        finally:
            self._start_others()
            self._end(state, claim, held)

    def _end(self, state: LaneState, claim: Claim, held: Held | None) -> None:
        """A claim is done with."""
        self._let_go(claim, held)
        state.used = self._clock.monotonic()
        self._start(state)
        self._lanes.forget_if_idle(state)
        if self._claimer.may_be_due:
            self._wakeup.set()

    def _let_go(self, claim: Claim, held: Held | None) -> None:
        self._leases.drop(claim)
        if held is not None:
            held.claims -= 1
            if not held.claims:
                self._memory.give_back(held.octets)

    async def _release_waiting(self, states: Iterable[LaneState]) -> None:
        """Releases the claims of these lanes that wait."""
        await self._give_back([self._lanes.dequeue(state) for state in states for _ in range(state.number_waiting)])

    def _shed(self, state: LaneState) -> None:
        """Gives back what is too much for a lane."""
        if excess := self._lanes.take_excess(state):
            self._spawn(self._give_back(excess))

    async def _give_back(self, waiting: Sequence[tuple[Claim, Held | None]]) -> None:
        for claim, held in waiting:
            self._let_go(claim, held)
        await self._leases.release([claim for claim, _ in waiting])

    async def _release_paused(self) -> None:
        """Releases the waiting claims of domains that a person has paused. Attempts under way go on."""
        await self._give_back(self._lanes.take_paused())
        for state in self._lanes.all():
            self._start(state)
            self._lanes.forget_if_idle(state)

    def use_shares(self) -> None:
        """Other sites are this process's own from now on."""
        for state in self._lanes.all():
            self._start(state)
        self._wakeup.set()

    def busy_sites(self) -> frozenset[str]:
        """The sites with attempts under way."""
        return frozenset(state.key for state in self._lanes.all() if state.busy)

    def use_rules(self, rules: Rules) -> None:
        """Shapes by other rules from now on."""
        self._shaper.sites.use(rules)
        self._shaper.use_rules()
        for state in self._lanes.use_rules():
            self._start(state)

    def relax(self, sites: Iterable[str]) -> None:
        """A person has ended what the replies of sites have brought: more may start."""
        for state in self._lanes.relax(sites):
            self._start(state)
        self._wakeup.set()

    # Housekeeping.

    def note_stalls(self) -> None:
        """Destinations of whose attempts half or more stall count as cold."""
        self._lanes.note_stalls()

    async def return_lost_leases(self) -> None:
        """Returns leases of this process that no attempt knows of."""
        if await self._leases.return_lost():
            self._wakeup.set()

    def forget_lanes(self) -> None:
        """Drops what is known of next hops that nothing was sent to for long."""
        self._lanes.forget_idle()

    async def stop(self, timeout: float = DRAIN_TIMEOUT, *, cut_off_timeout: float = CUT_OFF_TIMEOUT) -> None:
        """Starts nothing more, lets attempts under way end, cuts off what is left after `timeout` seconds, gives back the rest."""
        self._is_stopping = True
        self._claimer.stop()
        await self._look_ups.stop()
        self._timers.cancel()
        await self._release_waiting(self._lanes.all())
        await self._wait_for_tasks(timeout)
        if self._tasks:
            log.warning("attempts_cut_off", count=len(self._tasks))
            for task in self._tasks:
                task.cancel()
            await self._wait_for_tasks(cut_off_timeout)
        await self._leases.return_all()

    async def _wait_for_tasks(self, timeout: float) -> None:
        """Waits until no task is left, for `timeout` seconds at most. One that ends may start another, which gives back its lane's claims."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
