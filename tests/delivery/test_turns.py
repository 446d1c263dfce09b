"""Turns of accounts and classes in a lane, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from typing import cast

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.places import RECENT
from sendryd.delivery.scheduler import Scheduler
from sendryd.delivery.worker import Worker
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, DeliveryId
from sendryd.model.message import MessageClass
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import MailHost, NextHop
from sendryd.policy.throttle import MX_MAX, Signal
from sendryd.runtime.budget import Share
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import Claim, MailStore, NewMessage, Outcome
from sendryd.store.memory import MemoryStore
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples, claim_of
from sendryd.testing.virtualtime import VirtualClock

from .sitesworld import MxRecords, World

OTHER = AccountId(2)
SERVICE = 2.0  # seconds that each delivery takes
TRANSACTIONAL, BULK, OTP = MessageClass.TRANSACTIONAL, MessageClass.BULK, MessageClass.OTP

pytestmark = pytest.mark.virtual_time


class SteadyWorker:
    """Delivers each message in the same time, and notes when."""

    def __init__(self, store: MailStore, clock: VirtualClock) -> None:
        self._store, self._clock = store, clock
        self.unrecorded = self.damaged = 0
        self.delivered: list[tuple[float, AccountId, MessageClass]] = []

    async def attempt(self, claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        await self._clock.sleep(SERVICE)
        return Attempt(claim, AttemptNotes(NOW, lambda: 0.0), Signal.GOOD)

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        claim = attempt.claim
        outcomes = [
            Outcome(delivery_id=each.id, state=DeliveryState.DELIVERED, due_at=None, reply="", events=()) for each in claim.deliveries
        ]
        await self._store.record_attempt(claim.lease, outcomes, self._clock.now())
        self.delivered.append((self._clock.monotonic(), claim.message.account_id, claim.priority))
        return frozenset()


class AnyDestination:
    """Knows every destination."""

    def known(self, domain: str) -> NextHop:
        return NextHop(domain, (MailHost(f"mx.{domain}", ("192.0.2.1",)),), 25)


class Site:
    """A scheduler with one destination that takes 20 messages at once."""

    def __init__(self) -> None:
        self.clock, self.store, self.wakeup = VirtualClock(), MemoryStore(), Wakeup()
        self.samples = Samples(self.clock.now())
        self.worker = SteadyWorker(self.store, self.clock)
        self.scheduler = Scheduler(
            self.store,
            cast("Worker", self.worker),
            cast("Destinations", AnyDestination()),
            plan=RetryPlan((timedelta(minutes=1),), timedelta(hours=72)),
            owner=OWNER,
            clock=self.clock,
            rand=SeededRand(1),
            wakeup=self.wakeup,
            has_smart_host=False,
            memory=Share(1 << 20),
        )

    def new(self, account: AccountId, priority: MessageClass) -> NewMessage:
        return self.samples.message(["u@one.test"], account_id=account, priority=priority, created_at=self.clock.now())

    async def queue(self, account: AccountId, number: int, priority: MessageClass = TRANSACTIONAL) -> None:
        for _ in range(number):
            await self.store.accept(self.new(account, priority))
        self.wakeup.set()

    async def hand_over(self, account: AccountId, priority: MessageClass = TRANSACTIONAL) -> bool:
        """As the door does it; False if there was no room."""
        lease = self.scheduler.reserve(["one.test"], 100, account_id=account, priority=priority)
        if lease is None:
            return False
        new = self.samples.message(["u@one.test"], account_id=account, priority=priority, created_at=self.clock.now(), lease=lease)
        await self.store.accept(new)
        self.scheduler.offer(lease, [claim_of(new, lease)], new.content)
        return True

    async def run(self, seconds: float) -> None:
        running = asyncio.ensure_future(self.scheduler.run())
        await self.clock.sleep(seconds)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    def when(self, wanted: Callable[[AccountId, MessageClass], bool]) -> list[float]:
        return [moment for moment, account, priority in self.worker.delivered if wanted(account, priority)]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.scheduler.stop()


async def test_a_message_behind_another_accounts_backlog_is_delivered_within_two_service_intervals(site: Site) -> None:
    await site.queue(ACCOUNT, 3000)
    await site.run(60.0)
    before = len(site.worker.delivered)
    came = site.clock.monotonic()
    await site.queue(OTHER, 1)
    await site.run(60.0)
    (delivered,) = site.when(lambda account, _: account == OTHER)
    assert delivered - came <= 2 * SERVICE
    assert RECENT > site.clock.monotonic() - came  # the lane has stayed warm
    assert len(site.worker.delivered) - before >= 60 / SERVICE * MX_MAX - 1 - MX_MAX


async def test_what_the_door_hands_over_has_its_turn_in_a_lane_that_another_account_fills(site: Site) -> None:
    await site.queue(ACCOUNT, 3000)
    await site.run(60.0)
    while await site.hand_over(ACCOUNT):
        pass
    came = site.clock.monotonic()
    assert await site.hand_over(OTHER)
    await site.run(2 * SERVICE)
    (delivered,) = site.when(lambda account, _: account == OTHER)
    assert delivered - came <= 2 * SERVICE


async def test_a_one_time_password_passes_the_bulk_mail_of_its_account(site: Site) -> None:
    await site.queue(ACCOUNT, 3000, BULK)
    await site.run(60.0)
    came = site.clock.monotonic()
    assert await site.hand_over(ACCOUNT, OTP)
    await site.queue(ACCOUNT, 1, TRANSACTIONAL)
    await site.run(3 * SERVICE)
    (otp,) = site.when(lambda _, priority: priority is OTP)
    (other,) = site.when(lambda _, priority: priority is TRANSACTIONAL)
    assert otp - came <= 2 * SERVICE
    assert other - came <= 2 * SERVICE


async def test_two_accounts_with_backlogs_share_a_lane(site: Site) -> None:
    await site.queue(ACCOUNT, 3000)
    await site.queue(OTHER, 3000)
    await site.run(100.0)
    first, second = (len(site.when(lambda account, _, of=of: account == of)) for of in (ACCOUNT, OTHER))  # type: ignore[misc]
    assert abs(first - second) <= 60
    assert first + second > 600


async def test_a_one_time_password_from_the_store_passes_another_accounts_backlog_to_many_domains_of_its_site() -> None:
    world = World()
    for number in range(300):
        world.dns.mx[f"d{number}.test"] = ("mx.big.test",)
        await world.queue(f"d{number}.test", 3)
    await world.run(60.0)
    came = world.clock.monotonic()
    await world.queue("d250.test", 1, OTHER, priority=OTP)
    await world.queue("d251.test", 1, OTHER, priority=BULK)
    await world.run(10.0)
    times = {priority: moment - came for moment, account, priority in world.worker.delivered if account == OTHER}
    assert times[OTP] <= 3.0  # a look at the queue, a look-up, and two messages of a second each
    assert times[BULK] <= 6.0
    await world.scheduler.stop()


async def test_two_accounts_with_mail_for_many_domains_of_a_site_share_it() -> None:
    world = World()
    world.dns.memory = 1000.0
    for number in range(150):
        world.dns.mx[f"d{number}.test"] = ("mx.big.test",)
        await world.queue(f"d{number}.test", 8)
    await world.run(30.0)
    for number in range(100, 150):
        await world.queue(f"d{number}.test", 8, OTHER)
    before = len(world.worker.delivered)
    await world.run(100.0)
    accounts = [account for _, account, _ in world.worker.delivered[before:]]
    assert len(accounts) > 380
    assert abs(accounts.count(ACCOUNT) - accounts.count(OTHER)) <= 40
    await world.scheduler.stop()


class OneHop(MxRecords):
    """All mail goes to one smart host, but that of lanes."""

    def known(self, domain: str) -> NextHop:
        return NextHop(domain if ":" in domain else "*", (MailHost("relay.test", ("192.0.2.1",)),), 25)


async def test_a_full_or_dead_smart_host_of_all_mail_keeps_no_other_smart_host_waiting() -> None:
    world = World(has_smart_host=True, dns=OneHop)
    own, world.worker.seconds = "relay.test:587~0123456789abcdef", 60.0
    for number in range(60):
        await world.queue(f"d{number}.test", 20)
    await world.run(3.0)
    assert world.scheduler.statistics()["waiting"] > 100
    await world.queue("d1.test", 2, lane=own)
    await world.run(62.0)
    assert world.worker.tried.count(own) == 2
    world.worker.signal = Signal.BAD
    await world.run(100.0)
    assert any(line.suspended_until for line in world.scheduler.board.take_changed())
    world.worker.signal, world.worker.seconds = Signal.GOOD, 1.0
    await world.queue("d2.test", 1, lane=own)
    await world.run(5.0)
    assert world.worker.tried.count(own) == 3
    await world.scheduler.stop()
