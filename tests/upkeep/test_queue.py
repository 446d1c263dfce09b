"""Mail that is too old, and a clock that is set."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.message import MessageClass
from sendryd.policy.retry import RetryPlan
from sendryd.policy.settledtime import HOLD
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.runtime.wakeup import Wakeup
from sendryd.store.base import Claim, EventFilter, MailStore, Outcome
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.stores import open_new_store
from sendryd.upkeep.queue import INTERVAL, QueueKeeper

PLAN = RetryPlan((timedelta(minutes=1), timedelta(hours=8)), timedelta(hours=72))
LEAPS = [timedelta(days=1), timedelta(days=-1), timedelta(days=-3650), timedelta(days=3650)]


class House:
    """A keeper, its store and its clock."""

    def __init__(self, store: MailStore) -> None:
        self.store, self.clock, self.wakeup = store, ManualClock(), Wakeup()
        self.samples = Samples(self.clock.now())
        self.keeper = self.new_keeper()

    def new_keeper(self) -> QueueKeeper:
        """As after a start."""
        return QueueKeeper(self.store, plan=PLAN, clock=self.clock, ids=IdSource(self.clock, SeededRand(1)), wakeup=self.wakeup)

    async def accept(self, count: int = 1) -> None:
        for _ in range(count):
            await self.store.accept(self.samples.message(created_at=self.clock.now()))

    async def claim(self) -> list[Claim]:
        lease = self.samples.lease()
        return await self.store.claim_deliveries(now=self.clock.now(), lease=lease, limit=100, busy=frozenset(), per_domain=100)

    async def defer(self, claims: list[Claim], due_at: datetime) -> None:
        for claim in claims:
            outcomes = [
                Outcome(delivery_id=each.id, state=DeliveryState.QUEUED, due_at=due_at, reply="r", events=()) for each in claim.deliveries
            ]
            await self.store.record_attempt(claim.lease, outcomes, self.clock.now())

    async def counts(self) -> tuple[int, int]:
        """Queued, leased."""
        counted = await self.store.count_queue()
        return counted.get(DeliveryState.QUEUED, 0), counted.get(DeliveryState.LEASED, 0)

    async def round(self) -> None:
        """The next one, half a minute later."""
        self.clock.advance(timedelta(seconds=INTERVAL))
        await self.keeper.run_once()


@pytest.fixture(params=["memory", "sqlite"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return House(MemoryStore() if request.param == "memory" else open_new_store(tmp_path))


async def test_what_is_too_old_expires(house: House) -> None:
    await house.accept(3)
    house.clock.advance(timedelta(hours=71))
    await house.accept(2)
    await house.keeper.run_once()
    assert await house.counts() == (5, 0)
    house.clock.advance(timedelta(hours=2))
    await house.keeper.run_once()
    assert await house.counts() == (2, 0)
    await house.store.aclose()


async def test_one_time_passwords_expire_after_half_an_hour(house: House) -> None:
    for priority in MessageClass:
        await house.store.accept(house.samples.message(created_at=house.clock.now(), priority=priority))
    house.clock.advance(timedelta(minutes=29))
    await house.keeper.run_once()
    assert await house.counts() == (3, 0)
    house.clock.advance(timedelta(minutes=2))
    await house.keeper.run_once()
    assert await house.counts() == (2, 0)
    await house.store.aclose()


@pytest.mark.parametrize("leap", LEAPS)
async def test_a_clock_that_is_set_takes_no_lease_from_those_who_work(house: House, leap: timedelta) -> None:
    await house.accept()
    await house.keeper.run_once()
    (claim,) = await house.claim()
    house.clock.set_wall(house.clock.now() + leap)
    for _ in range(100):
        await house.round()
    assert await house.counts() == (0, 1)
    await house.defer([claim], house.clock.now())
    assert await house.counts() == (1, 0)
    await house.store.aclose()


@pytest.mark.parametrize("leap", LEAPS[:3])
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_clock_that_is_set_loses_no_retry_and_expires_nothing(house: House, leap: timedelta, *, is_restarted: bool) -> None:
    await house.accept(2)
    await house.keeper.run_once()
    claims = await house.claim()
    await house.defer(claims, house.clock.now() + timedelta(hours=8))
    await house.accept()
    house.clock.set_wall(house.clock.now() + leap)
    if is_restarted:
        house.keeper = house.new_keeper()
    for _ in range(3):
        await house.round()
    house.clock.advance(PLAN.longest_delay)
    assert sum(len(claim.deliveries) for claim in await house.claim()) == 3
    assert await house.counts() == (0, 3)
    await house.store.aclose()


async def test_what_is_too_old_expires_however_much_it_is(house: House) -> None:
    await house.accept(5)
    house.clock.advance(timedelta(hours=73))
    await house.keeper.run_once(batch=2)
    assert await house.counts() == (0, 0)
    page = await house.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, type=EventType.FAILED), limit=9)
    assert [event.metadata["reason"] for event in page.items] == ["expired"] * 5
    await house.store.aclose()


async def test_a_store_that_fails_is_asked_again_half_a_minute_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    expire, rounds = house.store.expire_deliveries, list[datetime]()

    async def failing_once(*, now: datetime, is_otp: bool, **others: Any) -> int:
        if is_otp:
            return 0
        rounds.append(now)
        if len(rounds) == 1:
            raise StoreUnavailable("locked")
        if len(rounds) == 3:
            raise asyncio.CancelledError
        return await expire(now=now, **others)

    monkeypatch.setattr(house.store, "expire_deliveries", failing_once)
    await house.accept()
    house.clock.advance(timedelta(hours=73))
    with pytest.raises(asyncio.CancelledError):
        await house.keeper.run()
    assert await house.counts() == (0, 0)
    assert rounds[1] - rounds[0] == rounds[2] - rounds[1] == timedelta(seconds=INTERVAL)
    await house.store.aclose()


async def test_a_clock_that_is_set_forward_expires_nothing_until_that_has_held(house: House) -> None:
    await house.accept()
    house.clock.advance(PLAN.longest_delay)
    await house.keeper.run_once()
    house.clock.set_wall(house.clock.now() + timedelta(days=5))
    end = house.clock.monotonic() + (HOLD + PLAN.longest_delay).total_seconds() - 60
    while house.clock.monotonic() < end:
        await house.round()
        assert await house.counts() == (1, 0)
    for _ in range(10):
        await house.round()
    assert await house.counts() == (0, 0)
    await house.store.aclose()


async def test_a_start_after_days_expires_nothing_before_it_could_be_tried(house: House) -> None:
    await house.accept()
    seen = house.clock.settled()
    house.clock.advance(timedelta(days=5))
    house.clock.begin_from(seen)
    house.keeper = house.new_keeper()
    for _ in range(60):
        await house.round()
    assert await house.counts() == (1, 0)
    assert len(await house.claim()) == 1
    await house.store.aclose()
