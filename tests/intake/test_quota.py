"""Quotas, whatever is done to the clock."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.intake.quota import Quota, Quotas
from sendryd.store.base import NewMessage
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import Samples

COUNT, PERIOD = 3, timedelta(hours=24)
DAY = timedelta(days=1)


class Door:
    """Accepts as long as the quota lets it."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryStore(), ManualClock()
        self.samples = Samples(self.clock.now())
        self.start()

    def start(self) -> None:
        self.quotas = Quotas(self.store, self.clock, of_key=None, of_account=Quota(COUNT, PERIOD))

    def new(self) -> NewMessage:
        return self.samples.message(created_at=self.clock.now())

    async def accept(self) -> int | None:
        """None, or the seconds to wait."""
        new = self.new()
        refusal = await self.quotas.take([new.message])
        if refusal is None:
            await self.store.accept(new)
            return None
        return self.quotas.retry_after(refusal)

    async def fill(self) -> int:
        """How many more are accepted just now."""
        for count in range(10 * COUNT):
            if await self.accept() is not None:
                return count
        raise AssertionError("there is no quota")


async def test_a_clock_that_is_set_back_blocks_nobody_for_days_and_doubles_nothing() -> None:
    door = Door()
    for _ in range(3):  # a history that the clock comes through again
        await door.fill()
        door.clock.advance(DAY)
    assert await door.fill() == COUNT
    door.clock.set_wall(door.clock.now() - 3 * DAY)
    assert await door.fill() == 0
    for _ in range(4):
        door.clock.advance(DAY)
        assert await door.fill() == COUNT


async def test_a_start_with_a_clock_that_was_set_back_blocks_for_one_stretch_at_most() -> None:
    door = Door()
    for _ in range(4):
        await door.fill()
        door.clock.advance(DAY)
    door.clock.set_wall(door.clock.now() - 3 * DAY)
    door.start()
    await door.fill()
    for _ in range(4):
        door.clock.advance(DAY)
        assert await door.fill() == COUNT


async def test_what_was_accepted_before_a_start_counts() -> None:
    door = Door()
    assert await door.accept() is None
    door.start()
    assert await door.fill() == COUNT - 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["set", "wait"]), st.integers(-96, 96)), max_size=12))
def test_clock_jumps_neither_extend_a_quota_period_nor_multiply_the_quota(steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        door = Door()
        jumps, accepted, began = 0, 0, door.clock.monotonic()
        for what, hours in steps:
            if what == "set":
                jumps += 1
                door.clock.set_wall(door.clock.now() + timedelta(hours=hours))
            else:
                door.clock.advance(timedelta(hours=abs(hours)))
            accepted += await door.fill()
        periods = (door.clock.monotonic() - began) / PERIOD.total_seconds()
        assert accepted <= COUNT * (periods + 2 + 2 * jumps)
        await door.fill()
        wait = await door.accept()
        assert wait is not None
        assert wait <= PERIOD.total_seconds()
        door.clock.advance(timedelta(seconds=wait))
        assert await door.fill() == COUNT

    asyncio.run(run())


async def test_what_the_system_sends_counts_once_and_for_the_account_alone() -> None:
    store, clock = MemoryStore(), ManualClock()
    quotas = Quotas(store, clock, of_key=Quota(1, PERIOD), of_account=Quota(3, PERIOD))
    message = replace(Samples(clock.now()).message().message, api_key_id=None)
    for _ in range(3):
        assert await quotas.take([message]) is None
    refusal = await quotas.take([message])
    assert refusal is not None
    assert refusal.detail == "this account"
    quotas.give_back([message])
    assert await quotas.take([message]) is None
    assert await quotas.take([message]) is not None
