"""Idle connections: which is handed out, which is closed, and that none is ever lost or in two hands."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.delivery.pool import ConnectionPool, IdleConnections, PoolLimits
from sendryd.testing.clock import ManualClock
from sendryd.testing.examples import examples
from sendryd.testing.virtualtime import VirtualClock


class Line:
    """A connection that knows what was done to it."""

    def __init__(self) -> None:
        self.is_usable = True
        self.messages_sent = 0
        self.ends: list[str] = []
        self.may_quit = asyncio.Event()
        self.may_quit.set()

    @property
    def is_used_up(self) -> bool:
        return self.messages_sent >= 100

    async def quit(self) -> None:
        await self.may_quit.wait()
        self.ends.append("quit")
        self.is_usable = False

    def abort(self) -> None:
        self.ends.append("abort")
        self.is_usable = False


def idle(limits: PoolLimits | None = None) -> IdleConnections[Line]:
    return IdleConnections(limits or PoolLimits())


def test_the_connection_used_last_is_handed_out_first() -> None:
    lines, shelf = [Line(), Line(), Line()], idle()
    for number, line in enumerate(lines):
        assert shelf.put("mx", line, opened_at=0, now=number) == []
    assert [shelf.take("mx", 3)[0] for _ in range(4)] == [*reversed(lines), None]
    assert len(shelf) == 0


def test_each_target_has_its_own() -> None:
    line, shelf = Line(), idle()
    shelf.put(("mx", 25), line, opened_at=0, now=0)
    assert shelf.take(("mx", 2525), 0) == (None, [])
    assert shelf.take(("mx", 25), 0) == (line, [])


def test_the_dead_and_the_old_are_met_on_the_way_and_closed() -> None:
    old, good, dead, shelf = Line(), Line(), Line(), idle()
    shelf.put("mx", old, opened_at=0, now=0)
    shelf.put("mx", good, opened_at=0, now=9)
    shelf.put("mx", dead, opened_at=0, now=9)
    dead.is_usable = False
    assert shelf.take("mx", 10) == (good, [dead])
    assert shelf.take("mx", 10) == (None, [old])
    assert len(shelf) == 0


@pytest.mark.parametrize(("idle_time", "is_kept"), [(9.9, True), (10.0, False)])
def test_what_idles_too_long_is_not_handed_out(idle_time: float, *, is_kept: bool) -> None:
    line, shelf = Line(), idle()
    shelf.put("mx", line, opened_at=0, now=0)
    assert shelf.take("mx", idle_time) == ((line, []) if is_kept else (None, [line]))


def test_what_is_not_worth_keeping_is_returned_at_once() -> None:
    used_up, dead, aged, fresh = Line(), Line(), Line(), Line()
    used_up.messages_sent = 100
    dead.is_usable = False
    shelf = idle()
    assert shelf.put("mx", used_up, opened_at=0, now=0) == [used_up]
    assert shelf.put("mx", dead, opened_at=0, now=0) == [dead]
    assert shelf.put("mx", aged, opened_at=0, now=300) == [aged]
    assert idle(PoolLimits(idle_per_key=0)).put("mx", fresh, opened_at=0, now=0) == [fresh]
    assert len(shelf) == 0


def test_the_oldest_makes_room() -> None:
    shelf = idle(PoolLimits(idle_per_key=2, idle_total=3))
    a, b, c, d, e = (Line() for _ in range(5))
    assert shelf.put("one", a, opened_at=0, now=0) == []
    assert shelf.put("one", b, opened_at=0, now=1) == []
    assert shelf.put("one", c, opened_at=0, now=2) == [a]  # of its own target
    assert shelf.put("two", d, opened_at=0, now=3) == []
    assert shelf.put("three", e, opened_at=0, now=4) == [b]  # of the target that was used least lately
    assert len(shelf) == 3


def test_all_that_is_old_or_dead_is_found() -> None:
    shelf = idle()
    old, dead, good = Line(), Line(), Line()
    for key, line, now in (("one", old, 0), ("one", good, 5), ("two", dead, 5)):
        shelf.put(key, line, opened_at=0, now=now)
    dead.is_usable = False
    assert sorted(map(id, shelf.expire(10))) == sorted(map(id, [old, dead]))
    assert len(shelf) == 1
    assert shelf.clear() == [good]
    assert shelf.clear() == []
    assert len(shelf) == 0


STEPS = st.lists(st.tuples(st.sampled_from(["take", "new", "back", "die", "expire"]), st.integers(0, 2), st.floats(0, 4)), max_size=60)


@settings(max_examples=examples(150), deadline=None)
@given(STEPS)
def test_no_connection_is_lost_or_in_two_hands(steps: list[tuple[str, int, float]]) -> None:
    limits = PoolLimits(idle_per_key=2, idle_total=4, idle_time=10, max_age=30)
    shelf, now = idle(limits), 0.0
    in_use: list[tuple[int, Line]] = []
    closed: list[Line] = []
    made: list[Line] = []
    for action, key, delay in steps:
        now += delay
        if action == "new":
            made.append(Line())
            in_use.append((key, made[-1]))
        elif action == "take":
            found, closing = shelf.take(key, now)
            closed += closing
            if found is not None:
                assert found.is_usable
                in_use.append((key, found))
        elif action == "back" and in_use:
            where, line = in_use.pop(key % len(in_use))
            closed += shelf.put(where, line, opened_at=now - 5, now=now)
        elif action == "die" and made:
            made[key % len(made)].is_usable = False
        elif action == "expire":
            closed += shelf.expire(now)
        assert len(shelf) <= limits.idle_total
        assert len(shelf) + len(in_use) + len(closed) == len(made)
    everything = Counter(map(id, [*(line for _, line in in_use), *closed, *shelf.clear()]))
    assert everything == Counter(map(id, made))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_what_is_given_back_is_used_again(clock: ManualClock) -> None:
    pool: ConnectionPool[Line] = ConnectionPool(clock)
    line = Line()
    assert pool.take("mx") is None
    pool.give_back("mx", line)
    assert pool.statistics() == {"idle": 1, "reused": 0, "missed": 1, "closed": 0}
    assert pool.take("mx") is line
    assert repr(pool) == "<ConnectionPool idle=0 reused=1 missed=1 closing=0>"
    assert line.ends == []


async def test_a_dead_one_is_dropped_and_a_good_one_says_goodbye(clock: ManualClock) -> None:
    pool: ConnectionPool[Line] = ConnectionPool(clock)
    dead, used_up = Line(), Line()
    dead.is_usable, used_up.messages_sent = False, 100
    pool.give_back("mx", dead)
    assert dead.ends == ["abort"]
    pool.give_back("mx", used_up)
    assert used_up.ends == []  # giving back waits for nobody
    task = asyncio.create_task(pool.run())
    async with asyncio.timeout(60):
        while not used_up.ends:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert used_up.ends[0] == "quit"
    assert pool.statistics()["closed"] == 2


@pytest.mark.virtual_time
async def test_what_grows_old_is_closed_without_being_asked_for() -> None:
    pool: ConnectionPool[Line] = ConnectionPool(VirtualClock())
    line = Line()
    pool.give_back("mx", line)
    task = asyncio.create_task(pool.run())
    await asyncio.sleep(PoolLimits().idle_time - 1)
    assert not line.ends
    await asyncio.sleep(2)
    assert line.ends[0] == "quit"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_age_counts_from_the_first_use_however_often_it_is_used(clock: ManualClock) -> None:
    pool: ConnectionPool[Line] = ConnectionPool(clock)
    line = Line()
    pool.give_back("mx", line)
    uses = 0
    while pool.take("mx") is not None:
        uses += 1
        clock.advance(timedelta(seconds=9))
        pool.give_back("mx", line)
    assert uses == 34  # of 9 seconds each: in the last it is 300 seconds old
    assert pool.statistics()["closed"] == 1


async def test_a_connection_counts_until_its_goodbye_is_over(clock: ManualClock) -> None:
    pool: ConnectionPool[Line] = ConnectionPool(clock)
    line, other = Line(), Line()
    line.may_quit.clear()
    pool.give_back("mx", line)
    pool.give_back("other", other)

    def kept() -> int:
        return pool.count_kept(lambda each: each is line)

    assert kept() == 1
    pool.close_idle()
    assert kept() == 1
    task = asyncio.create_task(pool.run())
    async with asyncio.timeout(60):
        while not other.ends:
            await asyncio.sleep(0)
        assert (line.ends, kept()) == ([], 1)
        line.may_quit.set()
        while kept():
            await asyncio.sleep(0)
    assert "abort" in line.ends
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_goodbye_that_is_cancelled_leaves_nothing_open(clock: ManualClock) -> None:
    pool: ConnectionPool[Line] = ConnectionPool(clock)
    lines = [Line(), Line()]
    for line in lines:
        line.messages_sent = 100
        line.may_quit.clear()
        pool.give_back("mx", line)
    task = asyncio.create_task(pool.run())
    while pool._closing:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [line.ends for line in lines] == [["abort"], ["abort"]]


async def test_a_pool_that_is_closed_keeps_nothing(clock: ManualClock) -> None:
    pool: ConnectionPool[Line] = ConnectionPool(clock)
    idling, late = Line(), Line()
    pool.give_back("mx", idling)
    await pool.aclose()
    assert idling.ends == ["abort"]
    pool.give_back("mx", late)
    assert late.ends == ["abort"]
    assert pool.take("mx") is None


async def test_a_server_that_is_slow_to_say_goodbye_keeps_no_other_connection_open(clock: ManualClock) -> None:
    pool: ConnectionPool[Line] = ConnectionPool(clock)
    slow, other = Line(), Line()
    slow.may_quit.clear()
    task = asyncio.create_task(pool.run())
    for line in (slow, other):
        line.messages_sent = 100
        pool.give_back("mx", line)
        for _ in range(10):
            await asyncio.sleep(0)
    assert (slow.ends, other.ends[0]) == ([], "quit")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert slow.ends == ["abort"]
