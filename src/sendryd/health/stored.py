"""What is observed of the database: contents, waiting mail, sending domains."""

import asyncio
from collections.abc import Awaitable, Callable, Container
from datetime import datetime
from typing import Final, Protocol

from sendryd.accounts.domains import Verification
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.policy.health import Finding
from sendryd.policy.health.mail import OLD_MAIL, judge_domain, judge_no_domain, judge_queue, judge_spool
from sendryd.policy.health.network import judge_pools
from sendryd.runtime.clock import Clock
from sendryd.runtime.publicsuffix import organisational_domain
from sendryd.store.base import AccountStore, QueueFilter, QueueStore, UpkeepStore

LOOKED_AT: Final = 200  # deliveries older than the limit, of which the oldest is named: some of them may be scheduled for later


class ExaminedStore(AccountStore, QueueStore, UpkeepStore, Protocol):
    """What is looked at of the store."""


class StoredState:
    """Looks at an opened store."""

    def __init__(self, store: ExaminedStore, verify: Callable[[SendingDomain], Awaitable[Verification]], clock: Clock) -> None:
        """`verify` looks at a domain's records past the cache, and stores what it found."""
        self._store = store
        self._verify = verify
        self._clock = clock

    async def last_noted(self) -> datetime | None:
        """The latest time at which the program is known to have run."""
        return await self._store.read_clock()

    async def spool(self) -> list[Finding]:
        """Whether the contents of messages are all there."""
        report = await self._store.compare_spool()
        lost = len(report.missing) + len(report.foreign) + len(report.short)
        return [judge_spool(report.messages, lost, report.affected, len(report.unknown))]

    async def queue(self) -> list[Finding]:
        """Whether mail leaves."""
        counts = await self._store.count_queue()
        waiting = counts.get(DeliveryState.QUEUED, 0) + counts.get(DeliveryState.LEASED, 0)
        now = self._clock.now()
        old = QueueFilter(states=frozenset({DeliveryState.QUEUED}), created_before=now - OLD_MAIL)
        since = [each.message.waits_since for each in await self._store.list_queue(old, limit=LOOKED_AT)]
        oldest = max((now - each for each in since), default=None)
        return [judge_queue(waiting, oldest, counts.get(DeliveryState.HELD, 0))]

    async def pools(self, configured: Container[str]) -> list[Finding]:
        """Whether the address pool of each sending domain is configured; nothing if no domain names one."""
        named = [(each.name, each.settings.pool) for each in await self._store.list_domains() if each.settings.pool]
        return [judge_pools([each for each in named if each[1] not in configured])] if named else []

    async def other_domain(self, bounce_domain: str) -> str:
        """A verified domain of another organisation than the bounce domain's, whose DMARC reports need an agreement; empty if there is none."""
        verified = [each.name for each in await self._store.list_domains() if each.status is DomainStatus.VERIFIED]
        organisation = await asyncio.to_thread(organisational_domain, bounce_domain)  # the first call reads a long list
        return next((name for name in verified if organisational_domain(name) != organisation), "")

    async def domains(self) -> list[Finding]:
        """Whether the DNS of each sending domain is right."""
        domains = await self._store.list_domains()
        if not domains:
            return [judge_no_domain()]
        verified = [await self._verify(domain) for domain in domains]
        return [finding for each in verified for finding in judge_domain(each.domain, each.found)]
