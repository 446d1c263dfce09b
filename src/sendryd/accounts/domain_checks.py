"""Checks of domains on behalf of people who look at them: one check of a domain at a time, none more often than asked for.

Keeps the last finding of each domain in memory, because the store keeps verdicts but not what DNS answered.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.accounts.domains import Domains, Verification
from sendryd.model.domain import SendingDomain
from sendryd.model.ids import DomainId
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

MAX_KEPT: Final = 1_000  # findings: under 2 MB
RECHECK: Final = 14.0  # seconds: pages of incomplete domains ask every 15
REFRESH: Final = 600.0  # seconds between checks of a domain whose records were right

log = get_logger("domains")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found, and when."""

    verification: Verification
    at: datetime


class DomainChecks:
    """The latest findings of domains."""

    def __init__(self, domains: Domains, clock: Clock) -> None:
        self._domains = domains
        self._clock = clock
        self._found: OrderedDict[DomainId, tuple[float, Finding]] = OrderedDict()
        self._running: dict[DomainId, asyncio.Task[None]] = {}

    def latest(self, domain_id: DomainId) -> Finding | None:
        """The last finding of this process."""
        kept = self._found.get(domain_id)
        return kept[1] if kept else None

    async def look(self, domain: SendingDomain, *, max_age: float, patience: float) -> Finding | None:
        """The last finding if it is at most `max_age` seconds old, else that of a new check, past the cache.

        A check that takes longer than `patience` seconds goes on without the caller, who gets the last finding; None: there is none yet.
        """
        kept = self._found.get(domain.id)
        if kept is None or self._clock.monotonic() - kept[0] > max_age:
            await asyncio.wait({self._start(domain)}, timeout=patience)
        return self.latest(domain.id)

    def _start(self, domain: SendingDomain) -> asyncio.Task[None]:
        task = self._running.get(domain.id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._check(domain))
            self._running[domain.id] = task
        return task

    async def _check(self, domain: SendingDomain) -> None:
        try:
            finding = Finding(verification=await self._domains.verify(domain), at=self._clock.now())
        except Exception as error:  # the page shows the last finding
            log.warning("domain_check_failed", domain=domain.name, reason=str(error))
        else:
            self._found[domain.id] = (self._clock.monotonic(), finding)
            self._found.move_to_end(domain.id)
            while len(self._found) > MAX_KEPT:
                self._found.popitem(last=False)
        finally:
            del self._running[domain.id]
