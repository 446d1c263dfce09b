"""An event loop whose time passes only while every task waits: tests of time-outs are exact and take no time.

Rules, after Trio's `MockClock` with `autojump_threshold`:

- Work takes no time. `loop.time()` stands still while callbacks run, however slow the machine is.
- Once nothing is ready, the loop's time jumps to the next timer: `asyncio.sleep`, `asyncio.timeout`, `call_later`.
- While a job runs in a thread of the executor, or a socket or pipe is watched, the loop waits in real time instead and does not jump.
  What a test waits for then comes from outside, and no jump can tell how long it takes.
- `@pytest.mark.virtual_time(sockets=True)` is for tests that have both ends of each socket: what one end writes to loopback is there for the
  other when the call returns, so the time jumps once all sockets have been quiet for a moment.

Streams of `runtime.memory` and `store.memory` need nothing from outside. A test asks for the loop with `@pytest.mark.virtual_time`.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sendryd.runtime.clock import SettledClock, milliseconds

Result = TypeVar("Result")

START = 1000.0  # seconds; monotonic time of a new loop: not 0, so that "0 seconds ago" and "never" differ
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)  # wall time of a clock at the start of its loop
# Real seconds for which sockets are quiet before the time jumps: the kernel may put off what it delivers on loopback while it is busy.
QUIET = 0.001


class _Selector(selectors.DefaultSelector):
    """Reports ready files; moves the time if nothing is ready and nothing outside the loop is awaited."""

    def __init__(self, *, has_both_ends: bool) -> None:
        super().__init__()
        self._has_both_ends = has_both_ends
        self.now = START
        self.jobs = 0  # in threads

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        is_watching = len(self.get_map()) > 1  # the first is the loop's own wake-up
        if timeout is None or self.jobs or (is_watching and not self._has_both_ends):
            return super().select(timeout)
        if is_watching and (ready := super().select(QUIET)):
            return ready
        self.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop. `time()` is in virtual seconds."""

    def __init__(self, *, has_both_ends: bool = False) -> None:
        """`has_both_ends`: all peers of its sockets are in this loop."""
        self._virtual = _Selector(has_both_ends=has_both_ends)
        super().__init__(self._virtual)
        self._clock_resolution = 1e-9  # of the sum below, not of the machine's clock

    def time(self) -> float:
        return self._virtual.now

    def pause(self, seconds: float) -> None:
        """Lets time pass as if the whole process were stopped: timers due meanwhile fire late."""
        self._virtual.now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Result], *args: Any
    ) -> "asyncio.Future[Result]":
        self._virtual.jobs += 1
        done = super().run_in_executor(executor, func, *args)
        done.add_done_callback(self._end_job)
        return done

    def _end_job(self, _done: "asyncio.Future[Any] | Future[Any]") -> None:
        self._virtual.jobs -= 1


class VirtualClock(SettledClock):
    """`Clock` over the running loop's time, virtual or not; wall time passes with it, from a noon in March."""

    def __init__(self, start: datetime = NOON) -> None:
        self._offset = start
        self._origin = asyncio.get_running_loop().time()
        self.begin_from(None)

    def __repr__(self) -> str:
        return f"<VirtualClock {self.now().isoformat()}>"

    def now(self) -> datetime:
        moment = self._offset + timedelta(seconds=self.monotonic() - self._origin)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def unix_ms(self) -> int:
        return milliseconds(self.now())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
