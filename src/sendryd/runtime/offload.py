"""Computing on contents: small ones at once, large ones in a thread, so that the loop answers others meanwhile."""

import asyncio
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

# Octets. Work on more takes milliseconds, beside which the way to a thread and back (about 100 µs) does not count.
LARGE: Final = 256 * 1024
# Seconds after which a thread that computes lets the others go on. The event loop waits for its turn after each system call and each piece that
# TLS reads or writes, and the writer of the store after each step of SQLite: some hundred turns for one transaction. With the 5 ms of Python
# the work on one large content would make every transaction beside it wait half a second. While nobody computes, the long interval is better:
# the writer and the loop then interrupt one another less, and more messages share a commit.
SWITCH_INTERVAL: Final = 0.0001
USUAL_INTERVAL: Final = 0.005  # Python's own

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class _Computing:
    """The threads of this process that compute."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Computes in this thread, which whoever waited for it may have given up."""
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
    """What `work` gives for these arguments, computed in a thread."""
    return await asyncio.to_thread(_COMPUTING.run, partial(work, *args, **kwargs))


async def compute(size: int, work: Callable[_Params, _Result], *args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
    """The same in a thread or at once. `size`: octets that it works on."""
    return await in_thread(work, *args, **kwargs) if size > LARGE else work(*args, **kwargs)
