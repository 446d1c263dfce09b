"""Sessions with a site: open, idle and closing ones count."""

import asyncio

import pytest

from sendryd.delivery.sessions import PATIENCE, OpenSessions
from sendryd.testing.virtualtime import VirtualClock

pytestmark = pytest.mark.virtual_time


class Idle:
    """Takes a second to say goodbye."""

    def __init__(self, sessions: OpenSessions, clock: VirtualClock) -> None:
        self._sessions, self._clock = sessions, clock

    async def quit(self) -> None:
        await self._clock.sleep(1.0)
        self._sessions.close("site")


async def test_a_new_session_takes_the_place_of_an_idle_one() -> None:
    sessions, clock = OpenSessions(), VirtualClock()
    idle: list[Idle] = []
    for _ in range(2):
        await sessions.open("site", 2, lambda: None)
    idle.append(Idle(sessions, clock))
    began = clock.monotonic()
    await sessions.open("site", 2, lambda: idle.pop() if idle else None)
    assert (sessions.count("site"), clock.monotonic() - began) == (2, 1.0)


async def test_a_new_session_waits_until_one_is_closed() -> None:
    sessions, clock = OpenSessions(), VirtualClock()
    await sessions.open("site", 1, lambda: None)
    waiting = [asyncio.ensure_future(sessions.open("site", 1, lambda: None)) for _ in range(2)]
    await clock.sleep(5.0)
    assert not any(each.done() for each in waiting)
    sessions.close("site")
    await clock.sleep(0.0)
    await clock.sleep(0.0)
    assert sum(each.done() for each in waiting) == 1
    sessions.close("site")
    await asyncio.gather(*waiting)
    assert sessions.count("site") == 1


async def test_nobody_waits_for_ever_and_other_sites_not_at_all() -> None:
    sessions, clock = OpenSessions(), VirtualClock()
    await sessions.open("site", 1, lambda: None)
    await sessions.open("other", 1, lambda: None)
    await sessions.open("other", None, lambda: None)
    began = clock.monotonic()
    await sessions.open("site", 1, lambda: None)
    assert clock.monotonic() - began == PATIENCE
    assert repr(sessions) == "<OpenSessions with 2 sites>"
