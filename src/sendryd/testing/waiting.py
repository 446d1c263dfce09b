"""Polling for states of another process or thread that reports nothing: the one place of tests that polls."""

import time
from collections.abc import Callable

from sendryd.runtime.clock import SystemClock

INTERVAL = 0.02  # seconds between two looks: a hundredth of the shortest start of a process
TIMEOUT = 60.0  # seconds; a machine that runs tests is busy

_clock = SystemClock()


def wait_until(is_done: Callable[[], bool], timeout: float = TIMEOUT) -> bool:
    """Polls until the condition holds. False after the timeout; `assert` it."""
    deadline = _clock.monotonic() + timeout
    while not is_done():
        if _clock.monotonic() > deadline:
            return False
        pause(INTERVAL)
    return True


def pause(seconds: float) -> None:
    """Lets real seconds pass, where no event reports progress."""
    time.sleep(seconds)
