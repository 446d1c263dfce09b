"""Computes on contents: small ones at once, large ones in a thread, so that the event loop serves others meanwhile."""

import asyncio
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

# Octets. Work on more takes milliseconds; the way to a thread and back takes about 100 µs.
LARGE: Final = 256 * 1024
# Seconds after which a computing thread yields to the others. The event loop waits for its turn after each system call and each piece that
# TLS reads or writes, and the writer of the store after each step of SQLite: some hundred turns for one transaction. With the 5 ms of Python
# the work on one large content would make every transaction beside it wait half a second. While no thread computes, the long interval is better:
# the writer and the loop then interrupt one another less, and more messages share a commit.
SWITCH_INTERVAL: Final = 0.0001
USUAL_INTERVAL: Final = 0.005  # Python's own

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class _Computing:
    """Counts the computing threads of this process."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Computes in this thread; its waiter may have been cancelled."""
        self._add(1)
        try:
            return work()
        finally:
            self._add(-1)

    def _add(self, change: int) -> None:
        with self._lock:
            before, self._count = self._count, self._count + change
            if not before or not self._count:
                sys.setswitchinterval(SWITCH_INTERVAL if self._count else USUAL_INTERVAL)


_COMPUTING: Final = _Computing()


async def in_thread(work: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
    """Runs `work` with these arguments in a thread and returns its result."""
    return await asyncio.to_thread(_COMPUTING.run, partial(work, *args, **kwargs))


async def compute(size: int, work: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
    """Runs `work` in a thread if `size`, the octets that it works on, is large; else at once."""
    return await in_thread(work, *args, **kwargs) if size > LARGE else work(*args, **kwargs)
