"""The last examination of the installation. It runs in the background, at most once a minute: it dials and looks names up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.policy.health import Finding
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

MIN_AGE: Final = timedelta(minutes=1)  # of the last result when a page begins a new examination
PATIENCE: Final = 4.0  # seconds that a page waits for the first result
LONG_PATIENCE: Final = 40.0  # seconds that a person who presses Run now waits: checks end by themselves before

log = get_logger("dashboard")


@dataclass(frozen=True, slots=True)
class Examined:
    """What an examination has found, worst first, and when."""

    findings: tuple[Finding, ...]
    at: datetime


class Examination:
    """One for the process."""

    def __init__(self, examine: Callable[[], Awaitable[Sequence[Finding]]], clock: Clock) -> None:
        self._examine = examine
        self._clock = clock
        self._last: Examined | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self._task is not None

    async def latest(self, *, patience: float = PATIENCE) -> Examined | None:
        """The last result. Begins a new examination if it is older than a minute, and waits `patience` seconds only if there is none."""
        last = self._last
        if last is None:
            await self.run_now(patience=patience)
        elif self._clock.now() - last.at >= MIN_AGE:
            _ = self._begin()
        return self._last

    async def run_now(self, *, patience: float = LONG_PATIENCE) -> None:
        """Begins an examination unless one is under way, and waits `patience` seconds for its end."""
        task = self._begin()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asyncio.shield(task)

    def _begin(self) -> asyncio.Task[None]:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return self._task

    async def _run(self) -> None:
        try:
            self._last = Examined(tuple(await self._examine()), self._clock.now())
        except Exception:
            log.exception("examination_failed")
        finally:
            self._task = None
