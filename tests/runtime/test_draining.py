"""Tasks end by themselves, or are cancelled when their time is over."""

import asyncio

from sendryd.runtime.draining import drain


async def test_only_late_tasks_are_cancelled() -> None:
    over = asyncio.Event()

    async def end() -> None:
        await over.wait()

    async def stay() -> None:
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(end()), asyncio.create_task(stay())]
    over.set()
    assert await drain(tasks, 0.05) == 1
    assert [task.cancelled() for task in tasks] == [False, True]


async def test_nothing_to_wait_for() -> None:
    assert await drain([], 60) == 0
