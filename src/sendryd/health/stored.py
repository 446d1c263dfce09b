"""What is observed of the database: contents, waiting mail, sending domains."""

import asyncio
from collections.abc import Awaitable, Callable, Container
from datetime import datetime
from typing import Final, Protocol

from sendryd.accounts.domains import Verification
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.model.ids import ORGANIZATION_PREFIX, format_id
from sendryd.policy.health import Finding
from sendryd.policy.health.mail import OLD_MAIL, judge_domain, judge_no_domain, judge_queue, judge_spool
from sendryd.policy.health.network import NamedSmartHost, judge_pools
from sendryd.policy.routing import Security
from sendryd.policy.smarthost import parse_smart_host
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

    async def smart_hosts(self) -> list[NamedSmartHost]:
        """The smart hosts that domains and accounts name, each once."""
        found: dict[tuple[str, int, bool], NamedSmartHost] = {}

        def add(url: str, *, may_be_private: bool, domain: str = "", account: str = "") -> None:
            smart_host = parse_smart_host(url)
            if smart_host is None:
                return
            is_encrypted = smart_host.security is Security.IMPLICIT_TLS
            key = (smart_host.host, smart_host.port, is_encrypted)
            known = found.get(key)
            found[key] = NamedSmartHost(
                host=smart_host.host,
                port=smart_host.port,
                is_encrypted=is_encrypted,
                may_be_private=may_be_private and (known is None or known.may_be_private),
                domains=(*(known.domains if known else ()), *([domain] if domain else [])),
                accounts=(*(known.accounts if known else ()), *([account] if account else [])),
            )

        for each in await self._store.list_domains():
            add(each.settings.smarthost, may_be_private=each.settings.smarthost_may_be_private, domain=each.name)
        for account in await self._store.list_accounts():
            named = account.settings.smarthost
            add(named.url, may_be_private=named.may_be_private, account=format_id(ORGANIZATION_PREFIX, account.id))
        return list(found.values())

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
