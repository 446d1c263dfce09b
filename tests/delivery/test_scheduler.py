"""Lanes: what is taken, what is put off, what is given back."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.housekeeping import KEEP_INTERVAL, keep_house
from sendryd.delivery.lanes import COLD_WAITING, LANE_MEMORY, STALL_TIME, WAITING_FACTOR
from sendryd.delivery.places import COLD_ATTEMPTS, COLD_PER_MESSAGE, LAST_PLACES, MAX_ATTEMPTS, MAX_COLD
from sendryd.delivery.scheduler import MAX_HELD, UNRECORDED_FACTOR, Scheduler
from sendryd.delivery.worker import Worker
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import DeliveryId
from sendryd.model.lane import LimitCause
from sendryd.model.message import MessageClass
from sendryd.policy.crashes import pause_after_crash
from sendryd.policy.replies.verdict import Category, Kind, local_verdict
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import ANY_DOMAIN, MailHost, NextHop
from sendryd.policy.throttle import FAILURES_TO_SUSPEND, MX_MAX, MX_START, SMART_HOST_WINDOW, Signal
from sendryd.runtime.budget import Share
from sendryd.runtime.clock import Clock, SystemClock
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import Claim, Lease, LimitedDestination, MailStore, NewMessage, Outcome, Owner, QueueFilter, SuspendedAccount
from sendryd.store.errors import LeaseLost
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples, claim_of
from sendryd.testing.stores import open_new_store

PLAN = RetryPlan((timedelta(hours=1),), timedelta(hours=72))


def next_hop(domain: str) -> NextHop:
    return NextHop(domain, (MailHost(f"mx.{domain}", ("192.0.2.1",)),), 25)


class ScriptedWorker:
    """Delivers when it is let, and records what it did."""

    def __init__(self, store: MailStore, samples: Samples) -> None:
        self.store = store
        self.samples = samples
        self.signal = Signal.GOOD
        self.gate = asyncio.Event()
        self.gate.set()
        self.record_gate = asyncio.Event()
        self.record_gate.set()
        self.unrecorded = self.damaged = 0
        self.active = 0
        self.most_active = 0
        self.tried = 0
        self.delivered: list[str] = []
        self.stuck: frozenset[DeliveryId] = frozenset()
        self.unroutable: list[str] = []
        self.seen: set[str] = set()

    async def attempt(self, claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        if isinstance(route, NoRoute):
            self.unroutable.append(claim.domain)
            return Attempt(claim, AttemptNotes(NOW, lambda: 0.0), Signal.NEUTRAL)
        self.active += 1
        self.tried += 1
        self.seen.add(claim.domain)
        self.most_active = max(self.most_active, self.active)
        try:
            await self.gate.wait()
        finally:
            self.active -= 1
        return Attempt(claim, AttemptNotes(NOW, lambda: 0.0), self.signal)

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        await self.record_gate.wait()
        claim = attempt.claim
        state = DeliveryState.DELIVERED if self.signal is Signal.GOOD else DeliveryState.QUEUED
        due_at = SystemClock().now() + timedelta(hours=1) if state is DeliveryState.QUEUED else None
        outcomes = [Outcome(delivery_id=each.id, state=state, due_at=due_at, reply="r", events=()) for each in claim.deliveries]
        with suppress(LeaseLost):
            await self.store.record_attempt(claim.lease, outcomes, SystemClock().now())
        self.delivered.append(claim.domain)
        return self.stuck


class ScriptedDestinations:
    """Knows every destination, but for those that are looked up first, when the gate is open."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.problems: dict[str, NoRoute] = {}
        self.gate = asyncio.Event()
        self.looked_up: list[str] = []

    def known(self, domain: str) -> NextHop | None:
        return None if domain in self.unknown or domain in self.problems else next_hop(domain)

    async def find(self, domain: str) -> NextHop | NoRoute:
        self.looked_up.append(domain)
        await self.gate.wait()
        self.unknown.discard(domain)
        return self.problems.get(domain) or next_hop(domain)


class Engine:
    """A scheduler with what it needs."""

    def __init__(self, *, has_smart_host: bool = False, store: MailStore | None = None, clock: Clock | None = None) -> None:
        self.store: MailStore = store or MemoryStore()
        self.clock: Clock = clock or SystemClock()
        self.samples, self.wakeup = Samples(self.clock.now()), Wakeup()
        self.worker = ScriptedWorker(self.store, self.samples)
        self.destinations = ScriptedDestinations()
        self.scheduler = Scheduler(
            self.store,
            cast("Worker", self.worker),
            cast("Destinations", self.destinations),
            plan=PLAN,
            owner=OWNER,
            clock=self.clock,
            rand=SeededRand(1),
            wakeup=self.wakeup,
            has_smart_host=has_smart_host,
            memory=Share(MAX_HELD),
        )

    def message(self, domain: str = "one.test", lease: Lease | None = None) -> NewMessage:
        return self.samples.message([f"u@{domain}"], created_at=self.clock.now(), lease=lease)

    def reserve(self, domains: Sequence[str], size: int) -> Lease | None:
        return self.scheduler.reserve(domains, size, account_id=ACCOUNT, priority=MessageClass.TRANSACTIONAL)

    async def hand_over(self, domain: str = "one.test") -> bool:
        """As the door does it; False if there was no room."""
        lease = self.reserve([domain], 100)
        if lease is None:
            return False
        new = self.message(domain, lease)
        await self.store.accept(new)
        self.scheduler.offer(lease, [claim_of(new, lease)], new.content)
        return True

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.worker.delivered) < count:
                await asyncio.sleep(0.001)


@pytest.fixture
async def engine() -> Engine:
    return Engine()


async def test_what_is_handed_over_is_delivered(engine: Engine) -> None:
    assert await engine.hand_over()
    await engine.wait_for(1)
    assert engine.scheduler.statistics()["held_octets"] == 0
    await engine.scheduler.stop()
    assert (await engine.store.count_queue())[DeliveryState.LEASED] == 0


async def test_a_lane_takes_no_more_than_it_can_start_soon(engine: Engine) -> None:
    engine.worker.gate.clear()
    taken = 0
    while await engine.hand_over():
        taken += 1
    assert taken == COLD_WAITING
    assert await engine.hand_over("two.test")
    await asyncio.sleep(0)
    assert engine.worker.most_active == COLD_ATTEMPTS + 1
    engine.worker.gate.set()
    await engine.wait_for(taken + 1)
    await engine.scheduler.stop()


async def test_a_lane_goes_on_while_outcomes_are_stored_but_not_without_end() -> None:
    engine = Engine(has_smart_host=True)  # its lane does not grow
    engine.worker.record_gate.clear()
    taken = 0
    while await engine.hand_over():
        taken += 1
    async with asyncio.timeout(60):
        while engine.worker.tried < UNRECORDED_FACTOR * SMART_HOST_WINDOW:
            await asyncio.sleep(0.001)
    for _ in range(20):
        await asyncio.sleep(0)
    assert engine.worker.tried == UNRECORDED_FACTOR * SMART_HOST_WINDOW
    assert engine.worker.most_active <= SMART_HOST_WINDOW
    assert (await engine.store.count_queue())[DeliveryState.LEASED] == taken
    engine.worker.record_gate.set()
    await engine.wait_for(taken)
    await engine.scheduler.stop()
    assert engine.scheduler.statistics()["held_octets"] == 0


async def test_a_stop_waits_for_outcomes_that_are_being_stored(engine: Engine) -> None:
    engine.worker.record_gate.clear()
    assert await engine.hand_over()
    async with asyncio.timeout(60):
        while not engine.worker.tried:
            await asyncio.sleep(0)
    stopping = asyncio.create_task(engine.scheduler.stop())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not stopping.done()
    engine.worker.record_gate.set()
    await stopping
    assert engine.worker.delivered == ["one.test"]


async def test_while_outcomes_cannot_be_stored_no_attempt_follows_another() -> None:
    engine = Engine(has_smart_host=True)
    engine.worker.gate.clear()
    engine.worker.record_gate.clear()
    while await engine.hand_over():
        pass
    async with asyncio.timeout(60):
        while engine.worker.active < SMART_HOST_WINDOW:
            await asyncio.sleep(0)
    engine.worker.unrecorded = 1
    engine.worker.gate.set()
    for _ in range(50):
        await asyncio.sleep(0)
    assert engine.worker.tried == SMART_HOST_WINDOW
    engine.worker.unrecorded = 0
    engine.worker.record_gate.set()
    await engine.wait_for(WAITING_FACTOR * SMART_HOST_WINDOW)
    await engine.scheduler.stop()


async def test_a_stop_waits_until_what_came_during_it_is_given_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.worker.gate.clear()
    assert await engine.hand_over()
    lease = engine.reserve(["one.test"], 100)
    assert lease is not None
    await asyncio.sleep(0)
    release = engine.store.release

    async def slow(lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        for _ in range(20):  # a commit takes a while
            await asyncio.sleep(0)
        await release(lease, delivery_ids)

    monkeypatch.setattr(engine.store, "release", slow)
    stopping = asyncio.create_task(engine.scheduler.stop())
    await asyncio.sleep(0)
    new = engine.message("one.test", lease)
    await engine.store.accept(new)
    engine.scheduler.offer(lease, [claim_of(new, lease)], b"")
    engine.worker.gate.set()
    await stopping
    counts = await engine.store.count_queue()
    assert (counts[DeliveryState.LEASED], counts[DeliveryState.QUEUED]) == (0, 1)


async def test_a_large_content_is_handed_over_without_being_kept(engine: Engine) -> None:
    lease = engine.reserve(["one.test"], MAX_HELD + 1)
    assert lease is not None
    assert engine.scheduler.statistics()["held_octets"] == 0
    engine.scheduler.cancel_reservation(lease)


async def test_content_in_memory_is_bounded(engine: Engine) -> None:
    first = engine.reserve(["one.test"], MAX_HELD)
    assert first is not None
    assert engine.reserve(["two.test"], 1) is None
    engine.scheduler.cancel_reservation(first)
    assert engine.reserve(["two.test"], 1) is not None


async def test_failures_suspend_a_lane_and_the_rest_goes_back_uncounted(engine: Engine) -> None:
    engine.worker.signal = Signal.BAD
    engine.worker.gate.clear()
    for _ in range(8):
        assert await engine.hand_over()
    engine.worker.gate.set()
    await engine.wait_for(FAILURES_TO_SUSPEND)
    async with asyncio.timeout(60):
        while (await engine.store.count_queue())[DeliveryState.LEASED]:
            await asyncio.sleep(0.001)
    assert not await engine.hand_over()
    untried = await engine.store.list_queue(QueueFilter(has_attempts=False))
    assert len(untried) == 8 - len(engine.worker.delivered)
    assert await engine.hand_over("other.test")
    await engine.scheduler.stop()


async def test_what_waits_in_the_store_is_claimed_but_for_suspended_lanes(engine: Engine) -> None:
    for domain in ("one.test", "two.test"):
        await engine.store.accept(engine.message(domain))
    runner = asyncio.create_task(engine.scheduler.run())
    await engine.wait_for(2)
    assert sorted(engine.worker.delivered) == ["one.test", "two.test"]
    await engine.scheduler.stop()
    await runner


async def test_a_smart_host_is_one_lane() -> None:
    engine = Engine(has_smart_host=True)
    engine.worker.gate.clear()
    taken = 0
    while await engine.hand_over(f"d{taken}.test"):
        taken += 1
    assert taken == WAITING_FACTOR * SMART_HOST_WINDOW
    engine.worker.gate.set()
    await engine.wait_for(taken)
    await engine.scheduler.stop()


async def test_recipients_over_the_limit_of_a_transaction_are_attempts_of_their_own(engine: Engine) -> None:
    lease = engine.reserve(["one.test"], 100)
    assert lease is not None
    new = engine.samples.message([f"u{number}@one.test" for number in range(120)], created_at=engine.clock.now(), lease=lease)
    await engine.store.accept(new)
    engine.scheduler.offer(
        lease,
        [claim_of(new, lease)],
        new.content,
    )
    await engine.wait_for(3)
    assert engine.scheduler.statistics()["held_octets"] == 0
    await engine.scheduler.stop()
    assert await engine.store.list_queue(QueueFilter()) == []


async def test_what_is_known_of_a_next_hop_is_forgotten_when_it_is_old() -> None:
    engine = Engine(clock=ManualClock())
    engine.worker.signal = Signal.BAD
    for number in range(20):
        assert await engine.hand_over(f"d{number}.test")
    await engine.wait_for(20)
    await asyncio.sleep(0)
    assert engine.scheduler.statistics()["lanes"] == 20
    engine.scheduler.forget_lanes()
    assert engine.scheduler.statistics()["lanes"] == 20
    cast("ManualClock", engine.clock).advance(timedelta(seconds=LANE_MEMORY))
    engine.scheduler.forget_lanes()
    assert engine.scheduler.statistics()["lanes"] == 0


async def test_nothing_new_starts_while_an_outcome_cannot_be_stored(engine: Engine) -> None:
    engine.worker.unrecorded = 1
    assert not await engine.hand_over()
    await engine.store.accept(engine.message())
    runner = asyncio.create_task(engine.scheduler.run())
    await asyncio.sleep(0.05)
    assert engine.worker.delivered == []
    engine.worker.unrecorded = 0
    engine.wakeup.set()
    await engine.wait_for(1)
    await engine.scheduler.stop()
    await runner


async def test_a_stop_lets_attempts_end_and_gives_back_the_rest(engine: Engine) -> None:
    engine.worker.gate.clear()
    while await engine.hand_over():
        pass
    await asyncio.sleep(0)
    stopping = asyncio.create_task(engine.scheduler.stop())
    await asyncio.sleep(0.01)
    engine.worker.gate.set()
    await stopping
    counts = await engine.store.count_queue()
    assert counts[DeliveryState.LEASED] == 0
    assert counts[DeliveryState.QUEUED] == COLD_WAITING - len(engine.worker.delivered)
    assert not await engine.hand_over()


async def test_a_stop_does_not_wait_for_ever(engine: Engine) -> None:
    engine.worker.gate.clear()
    await engine.hand_over()
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await engine.scheduler.stop(0.05)
    (cut_off,) = await engine.store.claim_deliveries(
        now=engine.clock.now(), lease=engine.samples.lease(), limit=9, busy=frozenset(), per_domain=9
    )
    assert cut_off.deliveries[0].is_in_doubt


class SlowlyReleasing(MemoryStore):
    """Counts how many claims are being released at once."""

    def __init__(self) -> None:
        super().__init__()
        self.releasing = self.most = 0

    async def release(self, lease: Lease, delivery_ids: Sequence[DeliveryId]) -> None:
        self.releasing += 1
        self.most = max(self.most, self.releasing)
        await asyncio.sleep(0)
        await super().release(lease, delivery_ids)
        self.releasing -= 1


async def test_a_stop_releases_all_that_waits_in_the_same_commits() -> None:
    store = SlowlyReleasing()
    engine = Engine(store=store)
    engine.worker.gate.clear()
    for domain in ("one.test", "two.test", "three.test"):
        while await engine.hand_over(domain):
            pass
    waiting = int(engine.scheduler.statistics()["waiting"])
    assert waiting > COLD_WAITING
    await asyncio.sleep(0)
    await engine.scheduler.stop(0.01)
    assert store.most == waiting
    assert (await store.count_queue())[DeliveryState.LEASED] == 0


async def test_a_stop_waits_for_every_attempt_though_lanes_end_meanwhile(tmp_path: Path) -> None:
    engine = Engine(store=open_new_store(tmp_path))
    engine.worker.gate.clear()
    assert await engine.hand_over("quick.test")
    while await engine.hand_over("long.test"):
        pass
    await asyncio.sleep(0)
    assert engine.worker.active == COLD_ATTEMPTS + 1
    stopping = asyncio.create_task(engine.scheduler.stop())
    engine.worker.gate.set()
    await stopping
    assert len(engine.worker.delivered) == COLD_ATTEMPTS + 1
    counts = await engine.store.count_queue()
    assert (counts[DeliveryState.LEASED], counts[DeliveryState.QUEUED]) == (0, COLD_WAITING - COLD_ATTEMPTS)
    await engine.store.aclose()


async def test_what_is_accepted_while_the_program_stops_is_left_for_the_next_start(engine: Engine) -> None:
    lease = engine.reserve(["one.test"], 100)
    assert lease is not None
    await engine.scheduler.stop()
    new = engine.message("one.test", lease)
    await engine.store.accept(new)
    engine.scheduler.offer(lease, [claim_of(new, lease)], b"")
    async with asyncio.timeout(60):
        while (await engine.store.count_queue())[DeliveryState.QUEUED] != 1:
            await asyncio.sleep(0.001)
    assert engine.worker.delivered == []


async def fill_lane(engine: Engine) -> None:
    """As many attempts as a lane has at once, none of which ends, and as many that wait."""
    engine.worker.gate.clear()
    while await engine.hand_over():
        pass
    await asyncio.sleep(0)


async def test_attempts_and_waiting_claims_keep_their_leases_however_long_that_takes(tmp_path: Path) -> None:
    clock = ManualClock()
    engine = Engine(store=open_new_store(tmp_path), clock=clock)
    await fill_lane(engine)
    for leap in (timedelta(hours=1), timedelta(days=365), -timedelta(days=3650)):  # a pause, and a clock that is set
        clock.advance(timedelta(hours=1))
        clock.set_wall(clock.now() + leap)
        await engine.scheduler.return_lost_leases()
        assert (await engine.store.count_queue())[DeliveryState.LEASED] == COLD_WAITING
    engine.worker.gate.set()
    await engine.wait_for(COLD_WAITING)
    assert not any((await engine.store.count_queue()).values())
    assert engine.worker.tried == COLD_WAITING
    await engine.store.aclose()


async def test_a_lease_that_no_attempt_knows_of_is_returned_at_the_second_look() -> None:
    clock = ManualClock()
    engine = Engine(clock=clock)
    lost, kept = Lease(token=1, owner=OWNER), engine.reserve(["one.test"], 100)
    assert kept is not None
    for lease in (lost, kept):  # one whose task was cut off after the commit, one that is being accepted
        await engine.store.accept(engine.message(lease=lease))
    await engine.store.accept(engine.message(lease=Lease(token=2, owner=Owner(node="other", boot=1))))
    for leased in (3, 2, 2):
        await engine.scheduler.return_lost_leases()
        assert (await engine.store.count_queue())[DeliveryState.LEASED] == leased
    counts = await engine.store.count_queue()
    assert (counts[DeliveryState.QUEUED], counts[DeliveryState.LEASED]) == (1, 2)
    assert await engine.wakeup.wait(0)


class YieldingClock(ManualClock):
    """One whose sleepers let others run."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)


async def test_leases_are_compared_again_and_again() -> None:
    clock = YieldingClock()
    engine = Engine(clock=clock)
    await engine.store.accept(engine.message(lease=Lease(token=1, owner=OWNER)))
    keeping = asyncio.create_task(keep_house(engine.scheduler, clock))
    end = clock.now() + 3 * timedelta(seconds=KEEP_INTERVAL)
    while clock.now() < end:
        await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert (await engine.store.count_queue())[DeliveryState.QUEUED] == 1


async def test_an_orderly_stop_is_no_crash(engine: Engine) -> None:
    await fill_lane(engine)
    await engine.scheduler.stop(timeout=0.01)
    assert await engine.store.return_dead_leases(replace(OWNER, boot=99), now=engine.clock.now(), pause=pause_after_crash) == []
    found = await engine.store.list_queue(QueueFilter())
    assert len(found) == COLD_WAITING
    assert {(each.state, each.crashes) for each in found} == {(DeliveryState.QUEUED, 0)}


async def step() -> None:
    """Lets everything go on that can without anything happening outside."""
    for _ in range(50):
        await asyncio.sleep(0)


async def hand_over_to_many(engine: Engine, domains: Sequence[str]) -> None:
    """One message to a recipient at each domain."""
    lease = engine.reserve(domains, 100)
    assert lease is not None
    new = engine.samples.message([f"u@{domain}" for domain in domains], created_at=engine.clock.now(), lease=lease)
    await engine.store.accept(new)
    claims = [claim_of(replace(new, deliveries=(each,)), lease) for each in new.deliveries]
    engine.scheduler.offer(lease, claims, new.content)


async def warm(engine: Engine, *domains: str) -> None:
    """Gives each domain a success."""
    done = len(engine.worker.delivered)
    for domain in domains:
        assert await engine.hand_over(domain)
    await engine.wait_for(done + len(domains))


async def test_a_lane_grows_after_its_first_success(engine: Engine) -> None:
    await warm(engine, "one.test")
    engine.worker.gate.clear()
    taken = 0
    while await engine.hand_over():
        taken += 1
    await step()
    assert taken == WAITING_FACTOR * MX_START
    assert engine.worker.active == MX_START
    engine.worker.gate.set()
    await engine.wait_for(taken + 1)
    await engine.scheduler.stop()


async def test_messages_to_a_thousand_silent_domains_each_leave_places_for_others(engine: Engine) -> None:
    engine.worker.gate.clear()
    for number in range(5):
        await hand_over_to_many(engine, [f"d{number}-{each}.test" for each in range(1000)])
    await step()
    assert engine.worker.active == 5 * COLD_PER_MESSAGE < MAX_COLD
    assert await engine.hand_over("good.test")
    await step()
    assert engine.worker.active == 5 * COLD_PER_MESSAGE + 1
    await engine.scheduler.stop(0.01)


async def test_attempts_never_exceed_the_places_whatever_starts_them() -> None:
    engine = Engine()
    warmed = [f"w{number}.test" for number in range(120)]
    await warm(engine, *warmed)
    engine.worker.gate.clear()
    for domain in warmed:
        for _ in range(6):
            assert await engine.hand_over(domain)
    for number in range(300):
        assert await engine.hand_over(f"c{number}.test")
        await engine.store.accept(engine.message(f"q{number}.test"))
    runner = asyncio.create_task(engine.scheduler.run())
    await step()
    assert engine.worker.active == MAX_ATTEMPTS
    engine.worker.gate.set()
    await engine.wait_for(120 + 720 + 600)
    assert engine.worker.most_active == MAX_ATTEMPTS
    await engine.scheduler.stop()
    await runner


@pytest.mark.parametrize("count", [1, 3, 30])
@pytest.mark.parametrize("is_known", [False, True])
async def test_warm_destinations_that_stall_leave_places_for_others(engine: Engine, count: int, *, is_known: bool) -> None:
    stalling = [f"w{number}.test" for number in range(count)]
    await warm(engine, *stalling, *(["good.test"] if is_known else []))
    for name in stalling:  # grown
        lane = engine.scheduler._lanes.open(name)
        lane.lane = replace(lane.lane, window=float(MX_MAX))
    engine.worker.gate.clear()
    for name in stalling:
        for _ in range(MX_MAX + 10):
            assert await engine.hand_over(name)
    await step()
    assert engine.worker.active == count * MX_MAX or MAX_ATTEMPTS - LAST_PLACES <= engine.worker.active < MAX_ATTEMPTS
    assert await engine.hand_over("good.test")
    await step()
    assert "good.test" in engine.worker.seen
    engine.worker.gate.set()
    await engine.wait_for(count * (MX_MAX + 11) + 1 + is_known)
    await engine.scheduler.stop()


async def test_a_destination_whose_attempts_stall_counts_as_cold_until_one_succeeds() -> None:
    clock = ManualClock()
    engine = Engine(clock=clock)
    await warm(engine, "one.test")
    engine.worker.gate.clear()
    for _ in range(MX_START + 1):
        assert await engine.hand_over("one.test")
    await step()
    clock.advance(timedelta(seconds=STALL_TIME - 1))
    engine.scheduler.note_stalls()
    assert not engine.scheduler._places.is_cold("one.test", clock.monotonic())
    clock.advance(timedelta(seconds=2))
    engine.scheduler.note_stalls()
    assert engine.scheduler._places.is_cold("one.test", clock.monotonic())
    engine.worker.gate.set()
    await engine.wait_for(MX_START + 2)
    assert not engine.scheduler._places.is_cold("one.test", clock.monotonic())
    await engine.scheduler.stop()


async def test_an_operator_ends_the_suspension_of_a_lane(engine: Engine) -> None:
    engine.worker.signal = Signal.BAD
    for _ in range(FAILURES_TO_SUSPEND):
        assert await engine.hand_over()
    await engine.wait_for(FAILURES_TO_SUSPEND)
    assert not await engine.hand_over()
    await engine.store.accept(engine.message())
    runner = asyncio.create_task(engine.scheduler.run())
    await step()
    assert engine.worker.tried == FAILURES_TO_SUSPEND
    engine.worker.signal = Signal.GOOD
    await engine.store.retry(QueueFilter(domain="one.test"), engine.clock.now())
    async with asyncio.timeout(60):
        while len(engine.worker.delivered) <= FAILURES_TO_SUSPEND:
            await asyncio.sleep(0.01)
    assert await engine.store.list_probes() == []
    await engine.scheduler.stop()
    await runner


async def test_a_paused_destination_gets_nothing_until_it_goes_on(engine: Engine) -> None:
    engine.worker.gate.clear()
    for _ in range(3 * MX_START):
        assert await engine.hand_over()
    await step()
    under_way = engine.worker.tried
    assert under_way < 3 * MX_START
    await engine.store.pause_destination("one.test", by="Mara", now=engine.clock.now())
    runner = asyncio.create_task(engine.scheduler.run())
    await step()
    assert not await engine.hand_over()
    assert await engine.hand_over("two.test")
    await engine.store.accept(engine.message())
    engine.worker.gate.set()
    await engine.wait_for(under_way + 1)
    await step()
    assert sorted(engine.worker.delivered) == ["one.test"] * under_way + ["two.test"]
    (waiting,) = await engine.store.list_waiting_destinations(None, limit=10)
    assert (waiting.domain, waiting.queued, waiting.leased) == ("one.test", 3 * MX_START - under_way + 1, 0)
    await engine.store.resume_destination("one.test")
    async with asyncio.timeout(60):
        while len(engine.worker.delivered) < 3 * MX_START + 2:
            await asyncio.sleep(0.01)
    await engine.scheduler.stop()
    await runner


async def test_a_pause_of_all_mail_stops_every_destination_until_it_goes_on(engine: Engine) -> None:
    await engine.store.pause_destination(ANY_DOMAIN, by="Mara", now=engine.clock.now())
    runner = asyncio.create_task(engine.scheduler.run())
    await step()
    assert not await engine.hand_over()
    assert not await engine.hand_over("two.test")
    await engine.store.accept(engine.message())
    await step()
    assert engine.worker.delivered == []
    await engine.store.resume_destination(ANY_DOMAIN)
    async with asyncio.timeout(60):
        while len(engine.worker.delivered) < 1:
            await asyncio.sleep(0.01)
    assert await engine.hand_over("two.test")
    await engine.scheduler.stop()
    await runner


async def test_a_person_limits_the_sessions_with_a_destination_for_a_time() -> None:
    clock = ManualClock()
    engine = Engine(clock=clock)
    await warm(engine, "one.test")
    engine.worker.gate.clear()
    now = engine.clock.now()
    limit = LimitedDestination(domain="one.test", sessions=2, by="Mara", since=now, until=now + timedelta(minutes=1))
    await engine.store.limit_destination(limit)
    runner = asyncio.create_task(engine.scheduler.run())
    await step()
    for domain in ("one.test", "two.test"):
        for _ in range(MX_START):
            assert await engine.hand_over(domain)
    await step()
    active = engine.worker.active
    (snapshot,) = [each for each in engine.scheduler.board.take_changed() if each.next_hop == "one.test"]
    assert (snapshot.sending, snapshot.limit, snapshot.cause) == (2, 2, LimitCause.PERSON)
    clock.advance(timedelta(minutes=2))
    engine.wakeup.set()
    async with asyncio.timeout(5):
        while await engine.store.list_limited_destinations():
            await asyncio.sleep(0.01)
    assert await engine.hand_over("one.test")
    await step()
    assert engine.worker.active > active
    engine.worker.gate.set()
    await engine.scheduler.stop()
    await runner


async def test_cold_destinations_leave_half_of_the_places_to_warm_ones(engine: Engine) -> None:
    await warm(engine, "good.test")
    engine.worker.gate.clear()
    for number in range(MAX_COLD + 50):
        assert await engine.hand_over(f"c{number}.test")
    await step()
    assert engine.worker.active == MAX_COLD
    assert await engine.hand_over("good.test")
    await step()
    assert engine.worker.active == MAX_COLD + 1
    await engine.scheduler.stop(0.01)


async def test_a_look_up_holds_no_place_and_a_silent_destination_costs_one_message_one_attempt(engine: Engine) -> None:
    silent = [f"s{number}.test" for number in range(600)]
    problem = NoRoute(local_verdict(Kind.DEFERRED, Category.DNS_FAILURE, "4.4.3", "DNS gave no answer"), is_silent=True)
    engine.destinations.problems = dict.fromkeys(silent, problem)
    for domain in silent[:50]:
        for _ in range(3):
            assert await engine.hand_over(domain)
    await hand_over_to_many(engine, silent[50:])
    await warm(engine, "good.test")
    assert engine.worker.tried == 1
    assert len(engine.destinations.looked_up) == 601 - 1
    engine.destinations.gate.set()
    await engine.wait_for(601)
    async with asyncio.timeout(60):
        while (await engine.store.count_queue())[DeliveryState.LEASED]:
            await asyncio.sleep(0.001)
    assert sorted(engine.worker.unroutable) == sorted(silent)
    assert not await engine.hand_over(silent[0])
    await engine.scheduler.stop()


async def test_a_stop_does_not_wait_for_dns(engine: Engine) -> None:
    engine.destinations.unknown.add("one.test")
    assert await engine.hand_over()
    await step()
    async with asyncio.timeout(60):
        await engine.scheduler.stop()
    assert (await engine.store.count_queue())[DeliveryState.QUEUED] == 1


async def test_good_mail_behind_a_restart_with_silent_domains_is_claimed_and_sent() -> None:
    engine = Engine()
    bad = [f"b{number}.test" for number in range(100)]
    engine.destinations.unknown = {f"s{number}.test" for number in range(200)}
    for domain in [*bad, *engine.destinations.unknown]:
        for _ in range(3):
            await engine.store.accept(engine.message(domain))
    engine.worker.gate.clear()
    await engine.store.accept(engine.message("good.test"))
    runner = asyncio.create_task(engine.scheduler.run())
    async with asyncio.timeout(60):
        while "good.test" not in engine.worker.seen:
            await asyncio.sleep(0.001)
    assert engine.scheduler.statistics()["cold_attempts"] <= MAX_COLD
    await engine.scheduler.stop(0.01)
    await runner


async def test_the_mail_of_a_suspended_account_is_held_until_the_suspension_ends() -> None:
    clock = ManualClock()
    engine = Engine(clock=clock)
    engine.worker.gate.set()
    now = clock.now()
    await engine.store.suspend_account(
        SuspendedAccount(account_id=ACCOUNT, by="Mara", since=now, until=now + timedelta(hours=1), reason="spam")
    )
    runner = asyncio.create_task(engine.scheduler.run())
    await step()
    assert not await engine.hand_over()
    await engine.store.accept(engine.message())
    for _ in range(3):
        clock.advance(timedelta(seconds=2))
        engine.wakeup.set()
        await step()
    assert engine.worker.delivered == []
    (held,) = await engine.store.list_queue(QueueFilter())
    assert (held.state, held.held_by and held.held_by.by) == (DeliveryState.HELD, "Mara")
    clock.advance(timedelta(hours=1))
    async with asyncio.timeout(60):
        while not engine.worker.delivered:
            clock.advance(timedelta(seconds=2))
            engine.wakeup.set()
            await step()
    assert await engine.store.list_suspended_accounts() == []
    await engine.scheduler.stop()
    await runner
