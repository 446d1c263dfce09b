"""Time-outs and pauses of the process."""

import asyncio
import time

import pytest

from sendryd.runtime.patience import LATE, patient_timeout

PAUSE = LATE + 0.2  # seconds


async def test_a_time_that_is_over_is_a_time_out() -> None:
    with pytest.raises(TimeoutError):
        async with patient_timeout(0.01):
            await asyncio.Event().wait()


async def test_what_was_there_when_the_process_went_on_is_taken() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with patient_timeout(0.01):
        time.sleep(PAUSE)  # all of the process is stopped
        # As data that had arrived: it takes the loop some rounds to hand it on.
        asyncio.get_running_loop().call_later(0.05, answer.set_result, "200")
        assert await answer == "200"


async def test_a_pause_is_no_excuse_for_ever() -> None:
    with pytest.raises(TimeoutError):
        async with patient_timeout(0.01):
            time.sleep(PAUSE)
            await asyncio.Event().wait()


async def test_a_time_out_that_is_lifted() -> None:
    async with patient_timeout(0.01) as deadline:
        deadline.lift()
        await asyncio.sleep(0.05)
