"""Work on contents: where it is done, and how soon others get their turn beside it."""

import asyncio
import sys
import threading
from contextlib import suppress

import pytest

from sendryd.runtime import offload


async def test_small_work_is_done_at_once_and_large_work_in_a_thread() -> None:
    assert await offload.compute(offload.LARGE, threading.get_ident) == threading.get_ident()
    assert await offload.compute(offload.LARGE + 1, threading.get_ident) != threading.get_ident()


async def test_an_error_of_the_work_is_the_caller_s() -> None:
    with pytest.raises(ZeroDivisionError):
        await offload.in_thread(lambda: 1 // 0)
    assert sys.getswitchinterval() == pytest.approx(offload.USUAL_INTERVAL)


async def test_the_switch_interval_stays_short_until_the_last_job_ends() -> None:
    begun, go_on, intervals = threading.Barrier(3), threading.Event(), list[float]()

    def work() -> None:
        begun.wait(10)
        go_on.wait(10)
        intervals.append(sys.getswitchinterval())

    tasks = [asyncio.ensure_future(offload.in_thread(work)) for _ in range(2)]
    await asyncio.to_thread(begun.wait, 10)
    assert sys.getswitchinterval() == pytest.approx(offload.SWITCH_INTERVAL)
    tasks[0].cancel()
    with suppress(asyncio.CancelledError):
        await tasks[0]
    assert sys.getswitchinterval() == pytest.approx(offload.SWITCH_INTERVAL)
    go_on.set()
    await tasks[1]
    async with asyncio.timeout(60):
        while sys.getswitchinterval() < offload.USUAL_INTERVAL / 2:  # the cancelled one ends by itself
            await asyncio.to_thread(lambda: None)
    assert intervals[0] == pytest.approx(offload.SWITCH_INTERVAL)
