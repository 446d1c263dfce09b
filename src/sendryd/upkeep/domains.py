"""Looks at sending domains again in the background.

Does: verifies pending domains often at first, then less; verified ones twice a day, so that a record that was removed is noticed; those that
fail every hour.
Reads: sending domains, DNS. Writes: what the checks found.
Limits: one domain after the other.
"""

from datetime import datetime, timedelta
from typing import Final

from sendryd.intake.domains import DomainOffice
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import AccountStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 30.0  # seconds between rounds
NEW_FOR: Final = timedelta(hours=1)
NEW_EVERY: Final = timedelta(minutes=1)
PENDING_EVERY: Final = timedelta(minutes=10)
FAILING_EVERY: Final = timedelta(hours=1)
VERIFIED_EVERY: Final = timedelta(hours=12)
PENDING_UNTIL: Final = timedelta(days=14)  # nobody waits longer; `domains verify` still works

log = get_logger("upkeep")


class DomainKeeper:
    """One round every half minute."""

    def __init__(self, store: AccountStore, office: DomainOffice, *, clock: Clock, rand: Rand) -> None:
        self._store = store
        self._office = office
        self._clock = clock
        self._rand = rand

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL * (1 + self._rand.jitter() / 10))
            try:
                await self.run_once()
            except StoreError as error:
                log.error("domains_not_checked", error=repr(error))

    async def run_once(self) -> None:
        """Verifies those that are due."""
        for domain in await self._store.list_domains():
            if is_due(domain, self._clock.now()):
                after = await self._office.verify(domain)
                if after.status is not domain.status:
                    log.warning("domain_status", domain=domain.name, before=domain.status.value, after=after.status.value)


def is_due(domain: SendingDomain, now: datetime) -> bool:
    """Whether a domain should be looked at again."""
    age = now - domain.created_at
    if domain.status is DomainStatus.PENDING:
        if age > PENDING_UNTIL:
            return False
        every = NEW_EVERY if age < NEW_FOR else PENDING_EVERY
    elif domain.failures or domain.status is DomainStatus.FAILED:
        every = FAILING_EVERY
    else:
        every = VERIFIED_EVERY
    return domain.checked_at is None or now - domain.checked_at >= every
