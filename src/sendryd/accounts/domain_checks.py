"""Checks of domains on behalf of people who look at them: one check of a domain at a time, none more often than it is worth."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.accounts.domains import Domains
from sendryd.model.domain import SendingDomain
from sendryd.model.ids import DomainId
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

RECHECK: Final = timedelta(seconds=14)  # between checks of an incomplete domain while somebody looks: with the check itself, every 15 s
KEEN: Final = 600.0  # seconds of looking without a break for which that goes on: who publishes a record does it at once
PATIENT: Final = timedelta(minutes=1)  # from then on
REFRESH: Final = timedelta(minutes=10)  # between checks of a domain whose records are right
BREAK: Final = 60.0  # seconds: who comes back after that begins a new time of looking
PARALLEL: Final = 8  # checks at once: each asks DNS a dozen times
MAX_WATCHED: Final = 1_000  # domains

log = get_logger("domains")


@dataclass(slots=True)
class _Watch:
    began: float  # monotonic seconds
    seen: float
    tried: float = float("-inf")  # also a check that failed


class DomainChecks:
    """Starts checks of domains that somebody looks at."""

    def __init__(self, domains: Domains, clock: Clock) -> None:
        self._domains = domains
        self._clock = clock
        self._watched: OrderedDict[DomainId, _Watch] = OrderedDict()
        self._running: dict[DomainId, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(PARALLEL)

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """The checks under way."""
        return list(self._running.values())

    def watch(self, domain: SendingDomain, last: datetime | None, *, is_complete: bool) -> timedelta:
        """Somebody looks at a domain that was checked last at that time: starts a check if one is due. Gives the time between checks."""
        watch = self._find(domain.id)
        every = REFRESH if is_complete else RECHECK if self._clock.monotonic() - watch.began < KEEN else PATIENT
        is_due = last is None or not timedelta(0) <= self._clock.now() - last < every
        if is_due and self._clock.monotonic() - watch.tried >= every.total_seconds():
            self.begin(domain)
        return every

    def begin(self, domain: SendingDomain) -> None:
        """Check a domain now, without waiting."""
        _ = self._start(domain)

    async def look(self, domain: SendingDomain, *, patience: float) -> bool:
        """Check a domain now. False if that takes longer than `patience` seconds: the check goes on without the caller."""
        done, _ = await asyncio.wait({self._start(domain)}, timeout=patience)
        return bool(done)

    def _find(self, domain_id: DomainId) -> _Watch:
        now = self._clock.monotonic()
        watch = self._watched.get(domain_id)
        if watch is None or now - watch.seen > BREAK:
            watch = _Watch(began=now, seen=now)
            self._watched[domain_id] = watch
        watch.seen = now
        self._watched.move_to_end(domain_id)
        while len(self._watched) > MAX_WATCHED:
            self._watched.popitem(last=False)
        return watch

    def _start(self, domain: SendingDomain) -> asyncio.Task[None]:
        task = self._running.get(domain.id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._check(domain))
            self._running[domain.id] = task
        return task

    async def _check(self, domain: SendingDomain) -> None:
        self._find(domain.id).tried = self._clock.monotonic()
        try:
            async with self._places:
                await self._domains.verify(domain)
        except Exception as error:  # the page shows the last check
            log.warning("domain_check_failed", domain=domain.name, reason=str(error))
        finally:
            del self._running[domain.id]
