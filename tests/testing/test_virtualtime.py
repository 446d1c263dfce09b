"""Virtual time: it jumps where all wait, stands still where they work, and is real while something outside is awaited."""

import asyncio
import time

import pytest

from sendryd.runtime.memory import memory_streams
from sendryd.testing.virtualtime import START, VirtualClock

pytestmark = pytest.mark.virtual_time
HOUR = 3600.0  # seconds


async def test_an_hour_passes_at_once() -> None:
    loop, started = asyncio.get_running_loop(), time.monotonic()
    assert loop.time() == START
    await asyncio.sleep(HOUR)
    assert loop.time() == pytest.approx(START + HOUR)
    assert time.monotonic() - started < 60


async def test_timers_run_in_order_and_at_their_time() -> None:
    loop = asyncio.get_running_loop()
    ran: dict[float, float] = {}

    def note(delay: float) -> None:
        ran[delay] = loop.time() - START

    for delay in (3.0, 1.0, 2.0):
        loop.call_later(delay, note, delay)
    await asyncio.sleep(2.5)
    assert list(ran) == [1.0, 2.0]
    assert list(ran.values()) == pytest.approx([1.0, 2.0])


async def test_a_time_out_comes_at_its_time_and_not_before_what_is_awaited() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await asyncio.Event().wait()
    assert loop.time() == pytest.approx(START + 60)
    near, far = memory_streams()
    loop.call_later(59, near.write, b"just in time")
    assert await far.read(60) == b"just in time"
    assert loop.time() == pytest.approx(START + 119)


async def test_work_takes_no_time() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert loop.time() == START


async def test_a_job_in_a_thread_is_done_before_a_time_out_that_is_far() -> None:
    answer = await asyncio.wait_for(asyncio.to_thread(lambda: sum(range(1_000_000))), HOUR)
    assert answer == 499_999_500_000
    assert asyncio.get_running_loop().time() == START


async def test_the_clock_goes_with_the_loop() -> None:
    clock = VirtualClock()
    before, settled = clock.now(), clock.settled()
    await clock.sleep(90)
    assert (clock.now() - before).total_seconds() == 90
    assert (clock.settled() - settled).total_seconds() == 90
    assert clock.unix_ms() == int(clock.now().timestamp() * 1000)


@pytest.mark.virtual_time(sockets=True)
async def test_time_jumps_beside_sockets_that_have_both_ends_in_the_test_and_never_past_what_was_written() -> None:
    loop, silent = asyncio.get_running_loop(), asyncio.Event()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"say nothing\n":
                await silent.wait()
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1")
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(100):
        writer.write(b"hello\n")
        assert await asyncio.wait_for(reader.readline(), HOUR) == b"hello\n"
    assert loop.time() == START
    writer.write(b"say nothing\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readline(), HOUR)
    assert loop.time() == pytest.approx(START + HOUR)
    silent.set()
    writer.close()
    server.close()
    await server.wait_closed()
