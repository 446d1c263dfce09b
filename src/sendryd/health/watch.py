"""Examines the running installation now and then, and on request, and keeps what it found with its history."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from sendryd.policy.health import Check, Finding
from sendryd.policy.health.history import KEPT, advance
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import HealthStore

# They look at this machine alone, and cost next to nothing.
QUICK_CHECKS: Final = frozenset(
    [
        Check.DATA,
        Check.DATABASE,
        Check.NODES,
        Check.SERVER,
        Check.VERSIONS,
        Check.DISK,
        Check.CLOCK,
        Check.CERTIFICATE,
        Check.HTTP,
        Check.QUEUE,
    ]
)
PATIENCE: Final = 40.0  # seconds that a person who presses Run now waits: checks end by themselves before

log = get_logger("health")


class Watch:
    """One for the process."""

    def __init__(self, examine: Callable[[bool], Awaitable[Sequence[Finding]]], store: HealthStore, clock: Clock) -> None:
        """`examine` gives the findings of all checks; with True, of the quick ones alone."""
        self._examine = examine
        self._store = store
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.examined_at: datetime | None = None  # when all checks of this process were last made

    @property
    def is_running(self) -> bool:
        """Whether an examination that somebody asked for is under way."""
        return self._task is not None

    async def look(self, *, is_quick: bool) -> None:
        """Makes the checks and stores what is new. Raises `StoreUnavailable`."""
        async with self._lock:
            findings = await self._examine(is_quick)
            now = self._clock.now()
            looked_at = QUICK_CHECKS if is_quick else frozenset(Check)
            changed = advance(await self._store.list_finding_spans(), findings, looked_at, now)
            if changed:
                await self._store.save_finding_spans(changed, keep_since=now - KEPT)
            if not is_quick:
                self.examined_at = now

    async def run_now(self, *, patience: float = PATIENCE) -> None:
        """Begins an examination unless one was asked for already, and waits `patience` seconds for its end."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            await self.look(is_quick=False)
        except Exception:
            log.exception("examination_failed")
        finally:
            self._task = None
