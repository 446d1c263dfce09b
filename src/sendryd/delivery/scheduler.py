"""What is delivered when: claims what is due, a lane for each next hop, so many attempts at once.

Does: keeps each lane supplied with no more than it can start soon, and the workers busy.
Reads: `claim_deliveries`, and what the door hands over directly.
Writes: leases, by claiming and releasing.
Strategy: one lane for each domain, or a single one for a smart host. A lane has a window of attempts that grows with success; after failures in
a row it is suspended and probed with one message, while the others wait without an attempt counted. Oldest due first; a domain that is busy
or suspended is stepped over, so it cannot hold up the others. Accepted messages come with their content in memory as long as there is room.
Every attempt needs one of the places of `delivery.places`. The look-up of its destination comes first and needs none; when DNS gives no answer,
one message is deferred and the lane suspended.
An attempt gives its place in the lane to the next one while its outcome is being stored. A destination whose attempts stall counts as one without
success until one succeeds. An operator's `queue retry` or `queue release` ends the suspension of a lane.
When things fail: while outcomes cannot be stored nothing is claimed or taken from the door, and no attempt takes the place of one that waits
for that. A crash leaves leases, which the next start returns. A lease has no time at which it ends, so a pause of any length takes none away.
Leases of this process that no attempt knows of, left by a task that was cut off, are found by comparison and returned. An orderly stop
returns those of the attempts that it cuts off.
Limits: attempts in all (`delivery.places`), waiting claims of a lane and of all of them, octets of content held.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.grouping import group_claims
from sendryd.delivery.places import Places
from sendryd.delivery.worker import Worker
from sendryd.model.ids import DELIVERY_PREFIX, DeliveryId, format_id
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import NextHop
from sendryd.policy.throttle import Lane, Signal, new_lane, note_failure, note_silence, note_success
from sendryd.runtime.budget import Share
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.runtime.wakeup import Doorbell
from sendryd.store.base import Claim, DeliveryStore, Lease, NextHopStore, Owner
from sendryd.store.errors import StoreError

# Claims of a lane, waiting or under way, for each attempt that it may have at once. What is over it is claimed from the database later and
# its content read again, which costs as much as a third of an attempt.
WAITING_FACTOR: Final = 10
COLD_WAITING: Final = 20  # claims of a lane without a recent success: it starts one or two at a time
MAX_WAITING: Final = 20_000  # claims in memory, waiting for a look-up or a place; 40 MB. The database keeps the others
MANY_WAITING: Final = 1_000  # claims; from here on each domain has few claimed at once, so that all domains come into the line soon
FEW_OF_EACH: Final = 4
# Attempts of a lane under way or being recorded, for each that it may have at once. A kill repeats as many at the most.
UNRECORDED_FACTOR: Final = 2
MAX_HELD: Final = 256 * 1024  # octets of a content that is kept in memory from the door to its attempts; a larger one is read again
KEEP_INTERVAL: Final = (
    15.0  # seconds between looks for leases that no attempt knows of: few tasks are ever cut off, and each look reads all leases
)
LANE_MEMORY: Final = 600.0  # seconds for which failures of a next hop are remembered that is neither used nor suspended
POLL_INTERVAL: Final = 1.0  # seconds: changes by other processes are seen within it
CLAIM_LIMIT: Final = 200  # deliveries claimed at once
DRAIN_TIMEOUT: Final = 25.0  # seconds that attempts under way get when the program stops; it has 30 in all
CUT_OFF_TIMEOUT: Final = 1.0  # seconds that they get to close their connections when that is over
SMART_HOST_LANE: Final = "*"
STALL_TIME: Final = 60.0  # seconds of an attempt, beside what its content may take: a session that goes on has ended by then
STALL_RATE: Final = 64 * 1024  # octets of content in a second: a slow line is no stall
STALL_INTERVAL: Final = 5.0  # seconds between looks for destinations that stall

log = get_logger("delivery")


@dataclass(slots=True)
class _Held:
    """A content in memory, and how many claims still need it."""

    content: bytes
    octets: int  # of the budget
    claims: int


@dataclass(slots=True)
class _LaneState:
    lane: Lane
    busy: int = 0  # attempts under way: sessions with the next hop
    is_looking_up: bool = False
    recording: int = 0  # attempts whose outcomes are being stored
    reserved: int = 0
    waiting: deque[tuple[Claim, _Held | None]] = field(default_factory=deque)
    used: float = 0.0  # monotonic seconds: when an attempt last ended
    stalls: dict[tuple[int, int], float] = field(
        default_factory=dict
    )  # when each attempt under way counts as stalled, in monotonic seconds

    @property
    def load(self) -> int:
        """Claims that the lane has or is to get."""
        return self.busy + self.recording + self.reserved + len(self.waiting)


@dataclass(slots=True)
class _Reservation:
    keys: list[str]
    size: int


class QueueOfNextHops(DeliveryStore, NextHopStore, Protocol):
    """What the scheduler needs of the store."""


class FailureNote(Protocol):
    """What a lane becomes after a failure."""

    def __call__(self, lane: Lane, *, now: float, delays: tuple[float, ...]) -> Lane: ...


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
    ) -> None:
        """`memory` is the share for contents that are handed over and not yet sent; beyond it the database keeps them."""
        self._store = store
        self._worker = worker
        self._destinations = destinations
        self._delays = tuple(delay.total_seconds() for delay in plan.delays)
        self._owner = owner
        self._clock = clock
        self._rand = rand
        self._wakeup = wakeup
        self._has_smart_host = has_smart_host
        self._lanes: dict[str, _LaneState] = {}
        self._reservations: dict[int, _Reservation] = {}
        self._claims: dict[tuple[int, int], Claim] = {}  # waiting or under way, by token and the id of the first delivery
        self._claiming = 0  # the token of the claim that is being committed
        self._stuck: frozenset[DeliveryId] = frozenset()  # with outcomes that the store refuses: left alone until the next start
        self._unknown: frozenset[DeliveryId] = frozenset()  # leased by this process, and known to no attempt at the last look
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_ups: set[asyncio.Task[None]] = set()
        self._places = Places()
        self._waiting = 0  # claims in all lanes that wait to be started
        self._may_be_due = True  # the database has, as far as is known, something that could be claimed if there were room
        self._memory = memory
        self._next_probes = 0.0  # monotonic seconds
        self._is_stopping = False
        self.claimed = 0
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
            "waiting": self._waiting,
            "held_octets": self._memory.taken,
            "claimed": self.claimed,
            "handed_over": self.handed_over,
            "unrecorded": self._worker.unrecorded,
            "damaged": self._worker.damaged,
        }

    # What the door hands over.

    def reserve(self, domains: Sequence[str], size: int) -> Lease | None:
        """Room for a new message; None if the database has to keep it for the time being."""
        if self._is_stopping or self._worker.unrecorded:
            return None
        now = self._clock.monotonic()
        keys = list(dict.fromkeys(self._key(domain) for domain in domains))
        for key in keys:
            if self._waiting >= MAX_WAITING and self._is_cold(key, now):
                return None
            state = self._lanes.get(key)
            if state is not None and (state.lane.is_suspended(now) or state.load >= self._most_waiting(key, state, now)):
                return None
        held = size if size <= MAX_HELD else 0
        if not self._memory.try_take(held):
            return None
        for key in keys:
            self._lane(key).reserved += 1
        lease = self._new_lease()
        self._reservations[lease.token] = _Reservation(keys, held)
        return lease

    def offer(self, lease: Lease, claims: Sequence[Claim], content: bytes) -> None:
        """The message is stored; its attempts start now."""
        reservation = self._reservations.pop(lease.token)
        groups = group_claims(claims, is_one_hop=self._has_smart_host)
        self.handed_over += len(groups)
        held = _Held(content, reservation.size, len(groups)) if reservation.size else None
        for key in reservation.keys:
            self._lanes[key].reserved -= 1
        for claim in groups:
            self._enqueue(claim, held)

    def cancel_reservation(self, lease: Lease) -> None:
        """The message was not stored."""
        reservation = self._reservations.pop(lease.token)
        self._memory.give_back(reservation.size)
        for key in reservation.keys:
            self._lanes[key].reserved -= 1
            self._forget_if_idle(key)

    # The lanes.

    def _key(self, domain: str) -> str:
        return SMART_HOST_LANE if self._has_smart_host else domain

    def _lane(self, key: str) -> _LaneState:
        state = self._lanes.get(key)
        if state is None:
            state = self._lanes[key] = _LaneState(new_lane(is_smart_host=key == SMART_HOST_LANE))
        return state

    def _new_lease(self) -> Lease:
        return Lease(token=self._rand.token(), owner=self._owner)

    def _enqueue(self, claim: Claim, held: _Held | None) -> None:
        key = self._key(claim.domain)
        state = self._lane(key)
        state.waiting.append((claim, held))
        self._waiting += 1
        self._claims[_key_of(claim)] = claim
        self._start(key, state)

    def _is_cold(self, key: str, now: float) -> bool:
        """The next hop has no recent success. A smart host is the operator's own choice, and there is no other."""
        return not self._has_smart_host and self._places.is_cold(key, now)

    def _most_waiting(self, key: str, state: _LaneState, now: float) -> int:
        """Claims that the lane may have, waiting or under way."""
        most = WAITING_FACTOR * state.lane.limit
        return min(COLD_WAITING, most) if self._is_cold(key, now) else most

    def _start(self, key: str, state: _LaneState, most: int = sys.maxsize) -> None:
        """Starts as many attempts as the lane may have at once and finds places for, `most` of them at the most. Looks up the destination
        first, or gives back what waits if the lane may have no attempt for the time being.
        """
        if not state.waiting or state.is_looking_up:
            return
        now = self._clock.monotonic()
        if self._is_stopping or state.lane.is_suspended(now):
            if not state.busy:
                self._spawn(self._release_waiting([state]))
            return
        is_cold, lane_limit = self._is_cold(key, now), state.lane.limit
        limit = min(lane_limit, self._places.cold_limit(state.lane.failures)) if is_cold else lane_limit
        # What cannot be recorded is repeated after a kill.
        unrecorded = limit if self._worker.unrecorded else UNRECORDED_FACTOR * lane_limit
        while state.waiting and state.busy < limit and state.busy + state.recording < unrecorded:
            route = self._destinations.known(key)
            if route is None:
                self._begin_look_up(key, state)
                return
            if not most:
                self._places.wait(key, is_cold=is_cold, is_idle=not state.busy)
                return
            claim, held = state.waiting[0]
            if not self._places.take(key, claim.message.id, is_cold=is_cold, is_idle=not state.busy):
                return
            most -= 1
            state.waiting.popleft()
            self._waiting -= 1
            state.busy += 1
            state.stalls[_key_of(claim)] = now + STALL_TIME + claim.message.size / STALL_RATE
            self._spawn(self._attempt(key, state, claim, held, route, is_cold=is_cold))

    def _start_others(self) -> None:
        """Gives free places to the lanes that wait for one, an attempt each in turn."""
        while (key := self._places.next_lane()) is not None:
            state = self._lanes.get(key)
            if state is not None:
                self._start(key, state, 1)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _begin_look_up(self, key: str, state: _LaneState) -> None:
        state.is_looking_up = True
        task = asyncio.get_running_loop().create_task(self._look_up(key, state))
        self._look_ups.add(task)
        task.add_done_callback(self._look_ups.discard)

    async def _look_up(self, key: str, state: _LaneState) -> None:
        """Finds the lane's destination, then starts its attempts. Holds no place meanwhile."""
        try:
            found = await self._destinations.find(key)
        finally:
            state.is_looking_up = False
        if isinstance(found, NoRoute) and not self._is_stopping:
            self._settle(key, state, found)
        self._start(key, state)
        self._forget_if_idle(key)

    def _settle(self, key: str, state: _LaneState, problem: NoRoute) -> None:
        """Records that mail cannot be sent. If DNS gave no answer, it is recorded of one message, and the others wait for the next probe."""
        count = 1 if problem.is_silent else len(state.waiting)
        if problem.is_silent:
            self._note_failure(key, state, note_failure if self._has_smart_host else note_silence)
        for _ in range(min(count, len(state.waiting))):
            claim, held = state.waiting.popleft()
            self._waiting -= 1
            state.recording += 1
            self._spawn(self._record_problem(key, state, claim, held, problem))

    async def _record_problem(self, key: str, state: _LaneState, claim: Claim, held: _Held | None, problem: NoRoute) -> None:
        try:
            attempt = await self._worker.attempt(claim, held.content if held else None, problem)
            self._stuck |= await self._worker.record(attempt)
        finally:
            state.recording -= 1
            self._end(key, state, claim, held)

    async def _attempt(self, key: str, state: _LaneState, claim: Claim, held: _Held | None, route: NextHop, *, is_cold: bool) -> None:
        """One attempt. While its outcome is being stored the lane goes on with the next one."""
        try:
            try:
                attempt = await self._worker.attempt(claim, held.content if held else None, route)
            finally:
                state.busy -= 1
                state.stalls.pop(_key_of(claim), None)
                self._places.give_back(claim.message.id, is_cold=is_cold)
            state.recording += 1
            try:
                self._note(key, state, attempt.signal)
                self._start_others()
                self._start(key, state)
            except Exception:  # whatever that was, the outcome is recorded
                log.exception("lane_failed", next_hop=key)
            try:
                self._stuck |= await self._worker.record(attempt)
            finally:
                state.recording -= 1
        finally:
            self._start_others()
            self._end(key, state, claim, held)

    def _end(self, key: str, state: _LaneState, claim: Claim, held: _Held | None) -> None:
        """A claim is done with."""
        self._let_go(claim, held)
        state.used = self._clock.monotonic()
        self._start(key, state)
        self._forget_if_idle(key)
        if self._may_be_due:
            self._wakeup.set()

    def _note(self, key: str, state: _LaneState, signal: Signal) -> None:
        if signal is Signal.GOOD:
            state.lane = note_success(state.lane)
            self._places.note_success(key, self._clock.monotonic())
        elif signal is Signal.BAD:
            self._note_failure(key, state, note_failure)

    def _note_failure(self, key: str, state: _LaneState, note: FailureNote) -> None:
        now = self._clock.monotonic()
        if state.lane.is_suspended(now):  # by another attempt of the same moment
            return
        state.lane = note(state.lane, now=now, delays=self._delays)
        if state.lane.is_suspended(now):
            self._places.note_trouble(key)
            seconds = (state.lane.suspended_until or now) - now
            log.warning("lane_suspended", next_hop=key, seconds=round(seconds, 1))

    async def watch_stalls(self) -> None:
        """Looks for destinations whose attempts stall, until cancelled."""
        while True:
            await self._clock.sleep(STALL_INTERVAL)
            self.note_stalls()

    def note_stalls(self) -> None:
        """Destinations of whose attempts half or more stall count as cold."""
        now = self._clock.monotonic()
        for key, state in self._lanes.items():
            stalled = sum(moment <= now for moment in state.stalls.values())
            if stalled and 2 * stalled >= state.busy and not self._is_cold(key, now):
                self._places.note_trouble(key)
                log.warning("destination_stalls", next_hop=key, attempts=stalled)

    async def _end_suspensions(self) -> None:
        """Ends those of lanes that an operator wants tried."""
        now = self._clock.monotonic()
        if now < self._next_probes:
            return
        self._next_probes = now + POLL_INTERVAL
        domains = await self._store.list_probes()
        if not domains:
            return
        for key in dict.fromkeys(map(self._key, domains)):
            state = self._lanes.get(key)
            if state is not None and state.lane.is_suspended(now):
                state.lane = replace(state.lane, suspended_until=None)
                log.info("suspension_ended", next_hop=key)
        await self._store.clear_probes(domains)

    def _let_go(self, claim: Claim, held: _Held | None) -> None:
        self._claims.pop(_key_of(claim), None)
        if held is not None:
            held.claims -= 1
            if not held.claims:
                self._memory.give_back(held.octets)

    async def _release_waiting(self, states: Iterable[_LaneState]) -> None:
        """Releases the claims of these lanes that wait, all at once: the store puts what comes together into one commit."""
        by_lease: dict[Lease, list[DeliveryId]] = {}
        for state in states:
            while state.waiting:
                claim, held = state.waiting.popleft()
                self._waiting -= 1
                self._let_go(claim, held)
                by_lease.setdefault(claim.lease, []).extend(delivery.id for delivery in claim.deliveries)
        await asyncio.gather(*(self._release(lease, numbers) for lease, numbers in by_lease.items()))

    async def _release(self, lease: Lease, numbers: Sequence[DeliveryId]) -> None:
        try:
            await self._store.release(lease, numbers)
        except StoreError as error:
            first = format_id(DELIVERY_PREFIX, numbers[0])
            log.error("not_released", delivery=first, count=len(numbers), error=repr(error))

    def _forget_if_idle(self, key: str) -> None:
        """Drops a lane of which nothing is known that a new one would not start with, or nothing recent."""
        state = self._lanes.get(key)
        if state is None or state.load or state.is_looking_up:
            return
        now = self._clock.monotonic()
        is_default = not state.lane.failures and not state.lane.suspensions
        used = max(state.used, state.lane.suspended_until or 0.0)
        if is_default or now - used >= LANE_MEMORY:
            del self._lanes[key]

    # The leases.

    async def keep_house(self) -> None:
        """Returns leases that got lost and forgets lanes, now and then, until cancelled."""
        while True:
            await self._clock.sleep(KEEP_INTERVAL)
            try:
                await self.return_lost_leases()
            except StoreError as error:
                log.error("leases_not_compared", error=repr(error))
            self.forget_lanes()

    async def return_lost_leases(self) -> None:
        """Returns leases of this process that no attempt knows of, if that was so at the last look too."""
        leased = await self._store.list_leased(self._owner)
        known = self._stuck | {delivery.id for claim in self._claims.values() for delivery in claim.deliveries}
        tokens = {self._claiming, *self._reservations}
        unknown = frozenset(number for token, number in leased if token not in tokens and number not in known)
        lost = sorted(unknown & self._unknown)
        self._unknown = unknown.difference(lost)
        if lost:
            log.warning("lost_leases_returned", count=await self._store.return_leases(self._owner, lost, self._clock.now()))
            self._wakeup.set()

    def forget_lanes(self) -> None:
        """Drops what is known of next hops that nothing was sent to for long: there are as many as domains in the world."""
        for key in tuple(self._lanes):
            self._forget_if_idle(key)

    # The claims.

    async def run(self) -> None:
        """Claims what is due, until stopped."""
        while not self._is_stopping:
            timeout = POLL_INTERVAL
            try:
                await self._end_suspensions()
                if not await self._claim():
                    timeout = await self._time_to_wait()
            except StoreError as error:
                log.error("not_claimed", error=repr(error))
            except Exception:  # mail that is under way goes on, and so does the door
                log.exception("claim_failed")
            await self._wakeup.wait(timeout)

    async def _claim(self) -> bool:
        """One claim. True if something was claimed."""
        self._may_be_due = True  # until the database has said otherwise
        room = self._room()
        if room <= 0 or self._worker.unrecorded:
            return False
        now = self._clock.monotonic()
        busy = frozenset(
            key for key, state in self._lanes.items() if state.lane.is_suspended(now) or state.load >= self._most_waiting(key, state, now)
        )
        if SMART_HOST_LANE in busy:
            return False
        lease = self._new_lease()
        self._claiming = lease.token
        try:
            claims = await self._store.claim_deliveries(
                now=self._clock.now(), settled=self._clock.settled(), lease=lease, limit=room, busy=busy, per_domain=self._per_domain(room)
            )
        finally:
            self._claiming = 0
        self._may_be_due = bool(claims or busy)
        for claim in group_claims(claims, is_one_hop=self._has_smart_host):
            self.claimed += len(claim.deliveries)
            self._enqueue(claim, None)
        return bool(claims)

    def _room(self) -> int:
        room = min(CLAIM_LIMIT, MAX_WAITING - self._waiting)
        if self._has_smart_host:
            state = self._lanes.get(SMART_HOST_LANE)
            lane = state.lane if state else new_lane(is_smart_host=True)
            room = min(room, WAITING_FACTOR * lane.limit - (state.load if state else 0))
        return room

    def _per_domain(self, room: int) -> int:
        if self._has_smart_host:
            return room
        return FEW_OF_EACH if self._waiting >= MANY_WAITING else WAITING_FACTOR * new_lane(is_smart_host=False).limit

    async def _time_to_wait(self) -> float:
        due = await self._store.due_at()
        if due is None:
            return POLL_INTERVAL
        seconds = (due - self._clock.now()).total_seconds()
        if seconds <= 0:  # due, but its lane is busy: a worker that becomes free wakes us
            return POLL_INTERVAL
        return min(POLL_INTERVAL, seconds)

    async def stop(self, timeout: float = DRAIN_TIMEOUT) -> None:
        """Starts nothing more, lets attempts under way end, cuts off what is left after so many seconds, gives back the rest."""
        self._is_stopping = True
        self._wakeup.set()
        for task in self._look_ups:
            task.cancel()
        await self._release_waiting(self._lanes.values())
        await self._wait_for_tasks(timeout)
        if self._tasks:
            log.warning("attempts_cut_off", count=len(self._tasks))
            for task in self._tasks:
                task.cancel()
            await self._wait_for_tasks(CUT_OFF_TIMEOUT)
        await self._return_all()

    async def _return_all(self) -> None:
        """Ends the leases that are left, so that the next start does not take this end for a crash."""
        try:
            leased = [number for _, number in await self._store.list_leased(self._owner)]
            if leased:
                await self._store.return_leases(self._owner, leased, self._clock.now())
        except StoreError as error:
            log.error("leases_not_returned", count=len(self._claims), error=repr(error))

    async def _wait_for_tasks(self, timeout: float) -> None:
        """Waits until no task is left, for so many seconds at most. One that ends may start another, which gives back what waited."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while self._tasks and loop.time() < end:
            await asyncio.wait(set(self._tasks), timeout=end - loop.time())


def _key_of(claim: Claim) -> tuple[int, int]:
    return claim.lease.token, claim.deliveries[0].id
