"""Runs the daemons of a process: one that fails by a bug is logged and started again, after pauses that grow. The others go on meanwhile."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

Daemon = Callable[[], Coroutine[Any, Any, None]]

RESTART_PAUSES: Final = (1.0, 2.0, 5.0, 15.0, 60.0)  # seconds: a passing fault costs one, a lasting one a traceback a minute
STEADY: Final = 300.0  # seconds that a daemon has to run for its earlier failures to be forgotten

log = get_logger("serve")


class Daemons:
    """Keeps daemons running and counts their failures."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.failures = 0

    async def keep_running(self, daemon: Daemon) -> None:
        """Runs a daemon until it returns or is cancelled."""
        failures = 0
        while True:
            started = self._clock.monotonic()
            try:
                return await daemon()
            except Exception:
                self.failures += 1
                if self._clock.monotonic() - started >= STEADY:
                    failures = 0
                pause = RESTART_PAUSES[min(failures, len(RESTART_PAUSES) - 1)]
                failures += 1
                log.exception("daemon_failed", daemon=getattr(daemon, "__qualname__", repr(daemon)), restart_in=pause)
                await self._clock.sleep(pause)
