"""Checks of domains for people who look at them."""

import asyncio
from datetime import timedelta

from sendryd.accounts.domain_checks import RECHECK, DomainChecks
from sendryd.accounts.domains import Domains
from sendryd.model.domain import DomainStatus, RecordPurpose
from sendryd.model.ids import AccountId
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.keys import take_key

from .test_domains import Zone

ACCOUNT = AccountId(1)
PATIENCE = 30.0


def make_domains(store: Store, zone: Zone, clock: ManualClock) -> Domains:
    ids = IdSource(clock, SeededRand(7))
    return Domains(store, zone, RecordSettings("relay.test"), selector="sendry", clock=clock, ids=ids, make_key=take_key)


async def test_a_finding_is_kept_until_it_is_too_old(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make_domains(store, zone, clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    assert checks.latest(domain.id) is None
    first = await checks.look(domain, max_age=RECHECK, patience=PATIENCE)
    assert first is not None
    assert first.verification.found[RecordPurpose.SPF] == ()
    zone.publish(domain)
    clock.advance(timedelta(seconds=RECHECK))
    assert await checks.look(domain, max_age=RECHECK, patience=PATIENCE) is first
    clock.advance(timedelta(seconds=1))
    second = await checks.look(domain, max_age=RECHECK, patience=PATIENCE)
    assert second is not None
    assert (second.verification.domain.status, second.at) == (DomainStatus.VERIFIED, clock.now())


async def test_ten_who_look_at_once_ask_dns_once(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make_domains(store, zone, clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    found = await asyncio.gather(*(checks.look(domain, max_age=RECHECK, patience=PATIENCE) for _ in range(10)))
    assert len({id(each) for each in found}) == 1
    assert zone.asked.count("_dmarc.example.test") == 1


async def test_a_removed_domain_has_no_new_finding(store: Store, clock: ManualClock) -> None:
    domains = make_domains(store, Zone(), clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    await domains.remove(domain)
    assert await checks.look(domain, max_age=RECHECK, patience=PATIENCE) is None


class SlowZone(Zone):
    """Answers when `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        await self.go.wait()
        return await super().txt(name, fresh=fresh)


async def test_a_slow_check_goes_on_without_who_looks(store: Store, clock: ManualClock) -> None:
    zone = SlowZone()
    domains = make_domains(store, zone, clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    assert await checks.look(domain, max_age=RECHECK, patience=0.01) is None
    zone.go.set()
    assert await checks.look(domain, max_age=RECHECK, patience=PATIENCE) is not None
    assert zone.asked.count("_dmarc.example.test") == 1
