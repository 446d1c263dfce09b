"""Time-outs and pauses of the process."""

import asyncio
from typing import cast

import pytest

from sendryd.runtime.patience import LATE, MOMENT, patient_timeout
from sendryd.testing.virtualtime import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time
PAUSE = LATE + 0.2  # seconds


def pause() -> None:
    """All of the process is stopped."""
    cast("VirtualTimeLoop", asyncio.get_running_loop()).pause(PAUSE)


async def test_a_time_that_is_over_is_a_time_out() -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with patient_timeout(10):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() - started == pytest.approx(10)


async def test_what_was_there_when_the_process_went_on_is_taken() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with patient_timeout(0.01):
        pause()
        # As data that had arrived: it takes the loop some rounds to hand it on.
        asyncio.get_running_loop().call_later(MOMENT / 2, answer.set_result, "200")
        assert await answer == "200"


async def test_a_pause_is_no_excuse_for_ever() -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with patient_timeout(0.01):
            pause()
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() - started == pytest.approx(PAUSE + MOMENT)


async def test_a_time_out_that_is_lifted() -> None:
    async with patient_timeout(10) as deadline:
        deadline.lift()
        await asyncio.sleep(20)
