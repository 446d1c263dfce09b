"""The follower: figures and hits appear soon after the facts, and accepting mail goes first."""

from datetime import datetime, timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.upkeep.follower import BATCH, BUSY_BATCH, BUSY_SHARE, DAY, LAG, MINUTE, WINDOW, Follower

STEP = 0.04  # seconds that a step takes


class Steps(MemoryStore):
    """Counts steps, which take time, and remembers comparisons."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.left = 0
        self.operations = 0
        self.limits: list[int] = []
        self.compared: list[datetime] = []
        self.pruned = 0

    async def follow(self, *, until: datetime, limit: int) -> bool:
        self.limits.append(limit)
        self.clock.advance(timedelta(seconds=STEP))
        self.left -= limit
        return self.left > 0

    async def repair_derived(self, *, start: datetime, end: datetime) -> int:
        assert end - start in {MINUTE, WINDOW}
        self.compared.append(start)
        return 1

    async def prune_derived(self, now: datetime) -> None:
        self.pruned += 1

    def statistics(self) -> dict[str, int | float]:
        return {"operations": self.operations}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_mail_is_counted_once_its_identifier_is_old_enough(clock: ManualClock) -> None:
    store, now = MemoryStore(), clock.now()
    await store.accept(Samples(now).message(created_at=now))

    async def accepted() -> int:
        return sum(each.accepted for each in await store.list_minutes(ACCOUNT, KeyMode.LIVE, start=now - timedelta(hours=1), end=now + LAG))

    follower = Follower(store, clock=clock)
    await follower.run_once()
    assert await accepted() == 0
    clock.advance(LAG + timedelta(seconds=1))
    await follower.run_once()
    assert await accepted() == 1


async def test_a_backlog_is_worked_off_in_half_of_the_time(clock: ManualClock) -> None:
    store, began = Steps(clock), clock.monotonic()
    store.left = 10 * BATCH
    await Follower(store, clock=clock).run_once()
    assert store.limits == [BATCH] * 10
    assert clock.monotonic() - began == pytest.approx(20 * STEP)


async def test_accepting_goes_first_while_it_is_busy(clock: ManualClock) -> None:
    store = Steps(clock)
    follower = Follower(store, clock=clock)
    store.left, store.operations = 3 * BUSY_BATCH, 10_000
    clock.advance(timedelta(seconds=1))
    before = clock.monotonic()
    store.operations = 20_000
    await follower.run_once()
    assert store.limits[0] == BUSY_BATCH
    assert clock.monotonic() - before >= STEP / BUSY_SHARE
    assert store.compared == []


async def test_yesterday_is_compared_each_night_and_each_minute_when_it_has_settled(clock: ManualClock) -> None:
    store = Steps(clock)
    follower = Follower(store, clock=clock)
    midnight = clock.now().replace(hour=0, minute=0, second=0)
    for _ in range(DAY // WINDOW + 5):
        await follower.run_once()
    assert set(store.compared) >= {midnight - DAY + number * WINDOW for number in range(DAY // WINDOW)}
    assert store.pruned == 1
    store.compared.clear()
    clock.advance(3 * MINUTE)
    await follower.run_once()
    assert store.compared == [clock.now().replace(second=0, microsecond=0) - 2 * MINUTE]
    clock.advance(DAY)
    await follower.run_once()
    assert store.pruned == 2
