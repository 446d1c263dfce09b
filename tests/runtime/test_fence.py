"""The fence: whatever a job does, it ends within its limits, holds up nobody else, and leaves no process behind."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sendryd.message.plaintext import html_to_text
from sendryd.message.template import TemplateError, check_template
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.fence import IDLE, MAX_IN_LANE, PROGRAM, Fence, FenceFault, Fences, FenceUnavailable, TooCostly
from sendryd.testing.waiting import wait_until

pytestmark = pytest.mark.sockets
STRICT = (*PROGRAM[:-3], "0.5", "5.0", str(64 * 1024 * 1024))  # seconds of processor time, seconds, octets


@pytest.fixture
async def fence() -> AsyncIterator[Fence]:
    async with opened() as made:
        yield made


@asynccontextmanager
async def opened(*, program: Sequence[str] = STRICT, idle: float = IDLE, max_in_lane: int = MAX_IN_LANE) -> AsyncIterator[Fence]:
    made = Fence("test", SystemClock(), program=program, idle=idle, max_in_lane=max_in_lane)
    yield made
    made.close()
    assert made.pid is None


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_no_process_before_the_first_job_and_one_for_many(fence: Fence) -> None:
    assert fence.pid is None
    texts = await asyncio.gather(*(fence.run(html_to_text, f"<p>{number}</p>", lane=number % 3) for number in range(30)))
    assert texts == [str(number) for number in range(30)]
    assert fence.statistics()["started_total"] == 1
    assert fence.pid != os.getpid()


async def test_a_refusal_keeps_its_sentence_and_the_process(fence: Fence) -> None:
    with pytest.raises(TemplateError, match="not closed"):
        await fence.run(check_template, "{{ a", lane=1, refusal=TemplateError)
    with pytest.raises(FenceFault, match="check_template failed: TemplateError"):
        await fence.run(check_template, "{{ a", lane=1)
    assert fence.statistics()["started_total"] == 1


async def test_octets_come_back_as_they_are(fence: Fence) -> None:
    assert await fence.run(bytes.fromhex, "00ff0d0a", lane=1) == b"\0\xff\r\n"


async def test_endless_work_is_ended_and_the_loop_goes_on(fence: Fence) -> None:
    job = asyncio.ensure_future(fence.run(pow, 7**7, 10**9, lane=1))
    turns = 0
    while not job.done():
        turns += 1
        await asyncio.wait([job], timeout=0.005)
    with pytest.raises((TooCostly, FenceUnavailable)):  # by its processor time, or on a busy machine by the clock
        job.result()
    assert turns > 20
    assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"
    assert fence.statistics()["started_total"] == 2


async def test_endless_memory_is_refused(fence: Fence) -> None:
    with pytest.raises(TooCostly):
        await fence.run(bytes, 10**9, lane=1)
    assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"


async def test_a_crash_whose_job_was_cancelled_is_not_blamed_on_the_next(fence: Fence, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def wait_long(_seconds: float) -> None:
        reached.set()
        await asyncio.Future()

    await fence.run(html_to_text, "<p>first</p>", lane=1)
    with monkeypatch.context() as patch:
        patch.setattr(fence._process, "poll", lambda: None)  # it takes its time to end
        patch.setattr(fence._clock, "sleep", wait_long)
        job = asyncio.create_task(fence.run(signal.raise_signal, signal.SIGSEGV, lane=1))
        async with asyncio.timeout(60):
            await reached.wait()
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
    assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
async def test_a_crash_of_the_parser_is_the_fault_of_its_input(fence: Fence, number: int) -> None:
    with pytest.raises(TooCostly):
        await fence.run(signal.raise_signal, number, lane=1)
    assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"


async def test_a_process_that_was_killed_is_no_fault_of_the_input(fence: Fence) -> None:
    with pytest.raises(FenceUnavailable):
        await fence.run(signal.raise_signal, signal.SIGKILL, lane=1)
    assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"


async def test_a_process_that_cannot_be_started_is_no_fault_of_the_input(tmp_path: Path) -> None:
    program = tmp_path / "program"
    async with opened(program=(str(program), *STRICT[1:])) as fence:
        with pytest.raises(FenceUnavailable):
            await fence.run(html_to_text, "<p>a</p>", lane=1)
        program.write_text(f'#!/bin/sh\nexec {STRICT[0]} "$@"\n')
        program.chmod(0o700)
        assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"


async def test_a_time_out_ends_the_job(fence: Fence) -> None:
    await fence.run(html_to_text, "", lane=1)
    first = fence.pid
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await fence.run(pow, 7**7, 10**9, lane=1)
    assert first is not None
    assert not is_running(first)
    assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"


async def test_closing_ends_what_is_under_way_and_what_waits() -> None:
    fence = Fence("test", SystemClock())
    await fence.run(html_to_text, "", lane=1)
    jobs = [asyncio.ensure_future(fence.run(pow, 7**7, 10**9, lane=lane)) for lane in range(5)]
    await asyncio.sleep(0)
    pid = fence.pid
    started = time.monotonic()
    fence.close()
    ends = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(end) for end in ends] == [FenceUnavailable] * 5
    assert time.monotonic() - started < 20  # the jobs take hours
    assert pid is not None
    assert not is_running(pid)
    with pytest.raises(FenceUnavailable):
        await fence.run(html_to_text, "", lane=1)


async def test_accounts_take_turns_and_none_fills_the_queue() -> None:
    done: list[int] = []

    async def run(fence: Fence, lane: int) -> None:
        await fence.run(html_to_text, "<p>a</p>", lane=lane)
        done.append(lane)

    async with opened(max_in_lane=4) as fence:
        jobs = [asyncio.ensure_future(run(fence, 1)) for _ in range(10)] + [asyncio.ensure_future(run(fence, 2)) for _ in range(2)]
        ends = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(end) for end in ends if end] == [FenceUnavailable] * 5  # one at work, four waiting
    assert done == [1, 1, 2, 1, 2, 1, 1]


async def test_previews_do_not_hold_up_mail() -> None:
    fences = Fences(SystemClock())
    slow = asyncio.ensure_future(fences.previews.run(pow, 7**7, 10**9, lane=1))
    async with asyncio.timeout(30):
        assert await fences.mail.run(html_to_text, "<p>a</p>", lane=1) == "a"
    assert not slow.done()
    fences.close()
    with pytest.raises(FenceUnavailable):
        await slow


async def test_previews_give_way_to_mail_and_mail_to_the_loop() -> None:
    fences = Fences(SystemClock())
    for each in (fences.mail, fences.previews):
        await each.run(html_to_text, "<p>a</p>", lane=1)
    try:
        ours, mail, previews = (os.getpriority(os.PRIO_PROCESS, pid or 0) for pid in (0, fences.mail.pid, fences.previews.pid))
        assert ours < mail < previews
    finally:
        fences.close()


async def test_the_process_ends_when_idle() -> None:
    async with opened(idle=0.05) as fence:
        await fence.run(html_to_text, "", lane=1)
        pid = fence.pid
        assert pid is not None
        assert await asyncio.to_thread(wait_until, lambda: not is_running(pid))
        assert fence.pid is None
        assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"


async def test_the_process_knows_no_settings_and_runs_nothing_of_the_working_directory(
    fence: Fence, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SENDRYD_SMARTHOST", "smtp://user:secret@relay.test")
    (tmp_path / "json.py").write_text("raise SystemExit('foreign code ran')")
    monkeypatch.chdir(tmp_path)
    kept, spare = socket.socketpair()  # a descriptor that must not be handed on
    assert await fence.run(os.getenv, "SENDRYD_SMARTHOST", lane=1) is None
    assert len(await fence.run(os.listdir, "/proc/self/fd", lane=1)) <= 5  # three, and what lists them
    kept.close()
    spare.close()


async def test_a_job_that_only_waits_is_ended_by_the_clock_of_its_own_process(fence: Fence) -> None:
    await fence.run(html_to_text, "", lane=1)
    pid = fence.pid
    assert pid is not None
    job = asyncio.ensure_future(fence.run(time.sleep, 30, lane=1))
    await asyncio.sleep(0)
    with pytest.raises(FenceUnavailable):
        async with asyncio.timeout(10):
            await job
    assert not is_running(pid)


async def test_a_process_that_has_grown_gives_its_answer_and_is_not_kept() -> None:
    async with opened(program=(*STRICT[:-1], str(1 << 30))) as fence:
        assert await fence.run(exec, "import sys; sys.kept = bytearray(b'x') * 120_000_000", lane=1) is None
        assert fence.pid is None
        assert await fence.run(html_to_text, "<p>next</p>", lane=1) == "next"
