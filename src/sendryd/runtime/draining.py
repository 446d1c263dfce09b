"""Ends tasks in an orderly way: those that do not end in time are cancelled."""

import asyncio
from collections.abc import Collection
from typing import Final

CANCEL_TIME: Final = 1.0  # seconds that cancelled tasks get to close what they hold


async def drain(tasks: Collection[asyncio.Task[None]], timeout: float) -> int:
    """Waits `timeout` seconds for tasks that were asked to end, and cancels the others. Returns how many were cancelled."""
    if not tasks:
        return 0
    _, late = await asyncio.wait(tasks, timeout=timeout)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=CANCEL_TIME)
    return len(late)
