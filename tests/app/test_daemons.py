"""Daemons that fail are started again, after pauses that grow."""

from datetime import timedelta
from itertools import pairwise

import pytest

from sendryd.app.daemons import RESTART_PAUSES, STEADY, Daemons
from sendryd.testing.clock import ManualClock


async def test_the_pauses_grow_and_begin_again_after_a_steady_time() -> None:
    clock, starts = ManualClock(), list[float]()
    daemons = Daemons(clock)

    async def fail() -> None:
        starts.append(clock.monotonic())
        if len(starts) == 8:
            clock.advance(timedelta(seconds=STEADY))
        if len(starts) < 10:
            raise LookupError("a bug")

    await daemons.keep_running(fail)
    pauses = [after - before for before, after in pairwise(starts)]
    assert pauses == [*RESTART_PAUSES, 60.0, 60.0, STEADY + RESTART_PAUSES[0], RESTART_PAUSES[1]]
    assert daemons.failures == 9


async def test_a_daemon_that_is_cancelled_or_returns_stays_ended() -> None:
    daemons, runs = Daemons(ManualClock()), 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    await daemons.keep_running(run)
    assert runs == 1
    with pytest.raises(KeyboardInterrupt):
        await daemons.keep_running(interrupted)


async def interrupted() -> None:
    raise KeyboardInterrupt
