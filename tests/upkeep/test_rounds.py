"""The loop of all upkeep."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from sendryd.runtime.rand import SeededRand
from sendryd.store.errors import StoreUnavailable
from sendryd.testing.virtualtime import VirtualClock
from sendryd.upkeep.rounds import run_rounds

pytestmark = pytest.mark.virtual_time


async def rounds_in(seconds: float, run_once: Callable[[], Awaitable[None]], **options: object) -> None:
    """Rounds ten seconds apart, for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await run_rounds(run_once, VirtualClock(), interval=10.0, failure="not_done", **options)  # type: ignore[arg-type]


class Diary:
    """Notes when each round was."""

    def __init__(self) -> None:
        self.start = asyncio.get_running_loop().time()
        self.times: list[float] = []

    async def run_once(self) -> None:
        self.times.append(asyncio.get_running_loop().time() - self.start)


async def test_rounds_run_at_the_start_and_after_each_pause() -> None:
    diary = Diary()
    await rounds_in(35.0, diary.run_once)
    assert diary.times == pytest.approx([0.0, 10.0, 20.0, 30.0])


async def test_a_pause_can_come_first() -> None:
    diary = Diary()
    await rounds_in(25.0, diary.run_once, does_pause_first=True)
    assert diary.times == pytest.approx([10.0, 20.0])


async def test_chance_changes_a_pause_by_a_tenth_at_most() -> None:
    diary = Diary()
    await rounds_in(1000.0, diary.run_once, rand=SeededRand(1))
    pauses = [after - before for before, after in zip(diary.times, diary.times[1:], strict=False)]
    assert len(set(pauses)) > 50
    assert all(9.0 <= pause <= 11.0 for pause in pauses)


async def test_a_round_that_the_store_fails_is_logged_and_the_next_one_comes() -> None:
    count = 0

    async def fail() -> None:
        nonlocal count
        count += 1
        raise StoreUnavailable("locked")

    with capture_logs() as lines:
        await rounds_in(25.0, fail)
    assert count == 3
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["not_done"] * 3


async def test_another_fault_ends_the_loop() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await rounds_in(25.0, fail)
