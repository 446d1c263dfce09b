"""Verifies sending domains periodically.

Does: verifies pending domains often at first, then less often; verified ones twice a day, to notice removed records; failing ones every hour;
those with a pending DKIM key each minute.
Reads: sending domains, DNS. Writes: results of the checks, and webhook notifications of changed status.
Limits: `PARALLEL` domains at a time. A domain that cannot be checked does not delay the others.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final, Protocol

from sendryd.accounts.domains import Domains
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.model.ids import DomainId
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import AccountStore, DkimKeyStore
from sendryd.store.errors import NotFound, StoreError
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 15.0  # seconds between rounds: a quarter of the shortest time between two checks of a domain
PARALLEL: Final = 4  # domains at a time: three look-ups each, and more for SPF
NEW_FOR: Final = timedelta(hours=1)
NEW_EVERY: Final = timedelta(minutes=1)
PENDING_EVERY: Final = timedelta(minutes=10)
PENDING_FOR: Final = timedelta(days=14)  # a domain without records by then is not urgent
OLD_EVERY: Final = timedelta(hours=1)
FAILING_EVERY: Final = timedelta(hours=1)
VERIFIED_EVERY: Final = timedelta(hours=12)
SPREAD: Final = 0.1  # of the time between checks, so that domains added together do not stay synchronised

log = get_logger("upkeep")


class Store(AccountStore, DkimKeyStore, Protocol):
    """Domains and their keys."""


class DomainKeeper:
    """One round four times a minute."""

    def __init__(self, store: Store, domains: Domains, *, clock: Clock, rand: Rand) -> None:
        self._store = store
        self._domains = domains
        self._clock = clock
        self._rand = rand
        self._rotating: set[DomainId] = set()  # domains with a pending DKIM key
        self._tried: dict[DomainId, tuple[datetime, float]] = {}  # time of the last try, also a failed one, and the jitter of the next

    async def run(self, interval: float = INTERVAL) -> None:
        """Until cancelled."""
        await run_rounds(
            self.run_once, self._clock, interval=interval, failure="domains_not_checked", rand=self._rand, does_pause_first=True
        )

    async def run_once(self) -> None:
        """Verifies the due domains. Raises `StoreUnavailable` if they cannot be listed."""
        domains = await self._store.list_domains()
        self._rotating = {key.domain_id for key in await self._store.list_pending_dkim_keys()}
        self._tried = {domain.id: self._tried[domain.id] for domain in domains if domain.id in self._tried}
        due = iter([domain for domain in domains if self._is_due(domain)])

        async def work() -> None:
            for domain in due:  # shared: each worker takes the next one
                await self._verify(domain)

        await asyncio.gather(*(work() for _ in range(PARALLEL)))

    def _is_due(self, domain: SendingDomain) -> bool:
        tried, jitter = self._tried.get(domain.id, (None, 0.0))
        times = [moment for moment in (tried, domain.checked_at) if moment is not None]
        if domain.id in self._rotating and (tried is None or self._clock.now() - tried >= NEW_EVERY):
            return True
        return is_due(domain, self._clock.now(), last=max(times, default=None), jitter=jitter)

    async def _verify(self, domain: SendingDomain) -> None:
        self._tried[domain.id] = (self._clock.now(), self._rand.jitter())
        try:
            after = (await self._domains.verify(domain)).domain
        except NotFound:
            return  # removed in the meantime
        except StoreError as error:
            log.error("domain_not_checked", domain=domain.name, error=repr(error))
            return
        except Exception:  # a stranger's DNS record must not end the upkeep of all domains
            log.exception("domain_not_checked", domain=domain.name)
            return
        if after.status is not domain.status:
            log.warning("domain_status", domain=domain.name, before=domain.status.value, after=after.status.value)


def is_due(domain: SendingDomain, now: datetime, *, last: datetime | None, jitter: float = 0.0) -> bool:
    """Whether a domain last checked at that time is due for a check. `jitter` is in [-1, 1)."""
    return last is None or last > now or now - last >= interval(domain, now) * (1 + SPREAD * jitter)


def interval(domain: SendingDomain, now: datetime) -> timedelta:
    """The time between two checks of a domain."""
    age = now - domain.created_at
    match domain.status:
        case DomainStatus.PENDING:
            return NEW_EVERY if age < NEW_FOR else PENDING_EVERY if age < PENDING_FOR else OLD_EVERY
        case DomainStatus.FAILED:
            return FAILING_EVERY
        case DomainStatus.VERIFIED:
            return FAILING_EVERY if domain.failures else VERIFIED_EVERY
