"""Sites: domains with the same mail servers count as one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import cast

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.scheduler import Scheduler
from sendryd.delivery.sites import MAX_DOMAINS, Sites
from sendryd.delivery.worker import Worker
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import DeliveryId
from sendryd.model.message import MessageClass
from sendryd.policy.replies.verdict import Category, Kind, local_verdict
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import MailHost, NextHop
from sendryd.policy.shaping.rules import read_rules
from sendryd.policy.throttle import FAILURES_TO_SUSPEND, Signal
from sendryd.runtime.budget import Share
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import Claim, LimitedDestination, MailStore, Outcome
from sendryd.store.memory import MemoryStore
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples, claim_of
from sendryd.testing.virtualtime import VirtualClock

RULES = read_rules('[provider.big]\nmx = ["big.test"]\nconnections = 4\nmessages_per_connection = 20\ntls = "required"')
SILENT = NoRoute(local_verdict(Kind.DEFERRED, Category.DNS_FAILURE, "4.4.3", "DNS gave no answer"), is_silent=True)

pytestmark = pytest.mark.virtual_time


class CountingWorker:
    """Delivers each message in a second, and counts how many at once."""

    def __init__(self, store: MailStore, clock: VirtualClock) -> None:
        self._store, self._clock = store, clock
        self.unrecorded = self.damaged = 0
        self.signal = Signal.GOOD
        self.tried: list[str] = []
        self.unroutable: list[str] = []
        self.at_once = self.most_at_once = 0

    async def attempt(self, claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        if isinstance(route, NoRoute):
            self.unroutable.append(claim.domain)
            return Attempt(claim, AttemptNotes(NOW, lambda: 0.0), Signal.NEUTRAL)
        assert route.domain == claim.domain
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self._clock.sleep(1.0)
        self.at_once -= 1
        self.tried.append(claim.domain)
        return Attempt(claim, AttemptNotes(NOW, lambda: 0.0), self.signal)

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        claim, is_good = attempt.claim, attempt.signal is Signal.GOOD
        state = DeliveryState.DELIVERED if is_good else DeliveryState.QUEUED
        due_at = None if is_good else self._clock.now() + timedelta(hours=1)
        outcomes = [Outcome(delivery_id=each.id, state=state, due_at=due_at, reply="", events=()) for each in claim.deliveries]
        await self._store.record_attempt(claim.lease, outcomes, self._clock.now())
        return frozenset()


class MxRecords:
    """Finds the servers of domains after a moment; forgets them after five seconds."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._found: dict[str, float] = {}
        self.mx: dict[str, tuple[str, ...]] = {}
        self.looked_up: list[str] = []

    def known(self, domain: str) -> NextHop | None:
        is_known = domain in self.mx and self._found.get(domain, 0.0) > self._clock.monotonic()
        return self._route(domain) if is_known else None

    async def find(self, domain: str) -> NextHop | NoRoute:
        self.looked_up.append(domain)
        await self._clock.sleep(0.1)
        if domain not in self.mx:
            return SILENT
        self._found[domain] = self._clock.monotonic() + 5.0
        return self._route(domain)

    def _route(self, domain: str) -> NextHop:
        mx = self.mx[domain]
        return NextHop(domain, tuple(MailHost(name, ("192.0.2.1",)) for name in mx), 25, mx=mx)


class World:
    """A scheduler with sites."""

    def __init__(self) -> None:
        self.clock, self.store, self.wakeup = VirtualClock(), MemoryStore(), Wakeup()
        self.samples = Samples(self.clock.now())
        self.worker, self.dns = CountingWorker(self.store, self.clock), MxRecords(self.clock)
        self.scheduler = Scheduler(
            self.store,
            cast("Worker", self.worker),
            cast("Destinations", self.dns),
            plan=RetryPlan((timedelta(minutes=1),), timedelta(hours=72)),
            owner=OWNER,
            clock=self.clock,
            rand=SeededRand(1),
            wakeup=self.wakeup,
            has_smart_host=False,
            memory=Share(1 << 20),
            sites=Sites(RULES),
        )

    async def queue(self, domain: str, number: int = 1) -> None:
        for _ in range(number):
            await self.store.accept(self.samples.message([f"u@{domain}"], created_at=self.clock.now()))
        self.wakeup.set()

    async def hand_over(self, domain: str) -> bool:
        lease = self.scheduler.reserve([domain], 100, account_id=ACCOUNT, priority=MessageClass.TRANSACTIONAL)
        if lease is None:
            return False
        new = self.samples.message([f"u@{domain}"], created_at=self.clock.now(), lease=lease)
        await self.store.accept(new)
        self.scheduler.offer(lease, [claim_of(new, lease)], new.content)
        return True

    async def run(self, seconds: float) -> None:
        running = asyncio.ensure_future(self.scheduler.run())
        await self.clock.sleep(seconds)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.scheduler.stop()


async def test_domains_with_the_same_servers_share_the_connections_of_their_site(world: World) -> None:
    for number in range(10):
        world.dns.mx[f"d{number}.test"] = ("mx1.big.test", "mx2.big.test")
        await world.queue(f"d{number}.test", 20)
    await world.run(100.0)
    assert world.worker.most_at_once == 4
    assert len(world.worker.tried) == 200
    assert len({*world.worker.tried}) == 10


async def test_each_mail_goes_by_the_route_of_its_own_domain_though_it_waits_longer_than_routes_are_known(world: World) -> None:
    for domain in ("one.test", "two.test"):
        world.dns.mx[domain] = ("mx.big.test",)
    await world.queue("one.test", 100)
    await world.run(10.0)
    await world.queue("two.test", 50)
    await world.run(60.0)
    assert (world.worker.tried.count("one.test"), world.worker.tried.count("two.test")) == (100, 50)
    assert world.dns.looked_up.count("two.test") > 1


async def test_a_domain_without_an_answer_keeps_no_other_one_of_its_site_waiting(world: World) -> None:
    for _ in range(60):
        for domain in ("one.test", "two.test"):
            world.dns.mx[domain] = ("mx.big.test",)
            await world.queue(domain)
    await world.run(20.0)
    del world.dns.mx["two.test"]
    await world.run(60.0)
    assert world.worker.tried.count("one.test") == 60
    assert 0 < world.worker.tried.count("two.test") < 60
    assert len(world.worker.unroutable) >= 1
    counted = await world.store.count_queue()
    assert counted[DeliveryState.LEASED] == 0
    world.dns.mx["two.test"] = ("mx.big.test",)
    await world.run(7300.0)
    assert world.worker.tried.count("two.test") == 60


async def test_a_site_that_is_down_is_left_alone_for_all_its_domains(world: World) -> None:
    for number in range(10):
        world.dns.mx[f"d{number}.test"] = ("mx.small.test",)
    world.worker.signal = Signal.BAD
    for number in range(10):
        await world.queue(f"d{number}.test", 3)
    await world.run(50.0)
    failed = len(world.worker.tried)
    assert FAILURES_TO_SUSPEND <= failed <= 2 * FAILURES_TO_SUSPEND
    assert all([not await world.hand_over(f"d{number}.test") for number in range(10) if f"d{number}.test" in world.worker.tried])
    queue = await world.store.count_queue()
    assert queue[DeliveryState.QUEUED] == 30
    snapshots = {each.next_hop: each for each in world.scheduler.board.take_changed()}
    suspended = [each for each in snapshots.values() if each.suspended_until is not None]
    assert {each.site for each in suspended} == {"mx.small.test"}


async def test_a_person_pauses_a_site_by_its_name_and_a_domain_by_its_own(world: World) -> None:
    for domain in ("one.test", "two.test"):
        world.dns.mx[domain] = ("mx.big.test",)
        await world.queue(domain, 1)
    await world.run(5.0)
    await world.store.pause_destination("big", by="Ann", now=world.clock.now())
    await world.run(2.0)
    await world.queue("one.test", 5)
    assert not await world.hand_over("two.test")
    await world.run(20.0)
    assert len(world.worker.tried) == 2
    await world.store.resume_destination("big")
    await world.store.pause_destination("two.test", by="Ann", now=world.clock.now())
    await world.queue("two.test", 5)
    await world.run(20.0)
    assert (world.worker.tried.count("one.test"), world.worker.tried.count("two.test")) == (6, 1)


@pytest.mark.parametrize("name", ["big", "one.test"])
async def test_a_limit_of_a_person_holds_for_the_site(world: World, name: str) -> None:
    for domain in ("one.test", "two.test"):
        world.dns.mx[domain] = ("mx.big.test",)
        await world.queue(domain, 2)
    await world.run(5.0)
    await world.store.limit_destination(LimitedDestination(domain=name, sessions=1, by="Ann", since=world.clock.now()))
    await world.run(2.0)
    world.worker.most_at_once = 0
    for domain in ("one.test", "two.test"):
        await world.queue(domain, 5)
    await world.run(20.0)
    assert world.worker.most_at_once == 1
    assert len(world.worker.tried) == 14


async def test_a_stop_gives_back_what_waits_for_look_ups(world: World) -> None:
    world.dns.mx["one.test"] = ("mx.big.test",)
    await world.queue("one.test", 60)
    await world.run(5.15)
    await world.scheduler.stop()
    counted = await world.store.count_queue()
    assert counted[DeliveryState.LEASED] == 0
    claims = await world.store.claim_deliveries(
        now=world.clock.now(), lease=world.samples.lease(), limit=99, busy=frozenset(), per_domain=99
    )
    assert not any(delivery.is_in_doubt for claim in claims for delivery in claim.deliveries)


async def test_a_domain_that_moves_takes_its_mail_to_its_new_site(world: World) -> None:
    world.dns.mx["one.test"] = ("mx.big.test",)
    await world.queue("one.test", 60)
    await world.run(3.0)
    world.dns.mx["one.test"] = ("mx.one.test",)
    await world.run(60.0)
    assert world.worker.tried.count("one.test") == 60
    assert world.scheduler.sites.site_of("one.test") == "mx.one.test"


def test_the_sites_of_so_many_domains_are_remembered() -> None:
    sites = Sites(RULES)
    for number in range(MAX_DOMAINS + 10):
        sites.note(f"d{number}.test", NextHop("d.test", (), 25, mx=("mx.big.test",)))
    assert sites.site_of("d0.test") is None
    assert sites.site_of(f"d{MAX_DOMAINS}.test") == "big"
    assert sites.limits_of(f"d{MAX_DOMAINS}.test").is_tls_required
