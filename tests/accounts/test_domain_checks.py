"""Checks of domains for people who look at them."""

import asyncio
import itertools
from datetime import timedelta

from sendryd.accounts.domain_checks import DomainChecks
from sendryd.accounts.domains import Domains
from sendryd.model.domain import RecordPurpose
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


async def wait_for_checks(checks: DomainChecks) -> None:
    await asyncio.gather(*checks.running)


async def test_a_domain_that_is_looked_at_is_checked_every_15_seconds_for_10_minutes_then_each_minute(
    store: Store, clock: ManualClock
) -> None:
    zone = Zone()
    domains = make_domains(store, zone, clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    began, times = clock.now(), []
    while clock.now() - began < timedelta(minutes=14):
        last = await store.list_domain_checks(domain.id, limit=1)
        checks.watch(domain, last[0].at if last else None, is_complete=False)
        await wait_for_checks(checks)
        if await store.list_domain_checks(domain.id, limit=1) != last:
            times.append((clock.now() - began).total_seconds())
        clock.advance(timedelta(seconds=1))
    gaps = [round(later - earlier) for earlier, later in itertools.pairwise(times)]
    assert times[0] == 0
    assert set(gaps) == {14, 60}
    assert gaps == sorted(gaps)
    assert gaps.count(60) in {3, 4}


async def test_a_domain_whose_records_are_right_is_checked_each_10_minutes(store: Store, clock: ManualClock) -> None:
    domains = make_domains(store, Zone(), clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    for minutes, expected in ((9, 0), (10, 1)):
        checks.watch(domain, clock.now() - timedelta(minutes=minutes), is_complete=True)
        await wait_for_checks(checks)
        assert len(await store.list_domain_checks(domain.id)) == expected


async def test_ten_who_look_at_once_ask_dns_once(store: Store, clock: ManualClock) -> None:
    zone = Zone()
    domains = make_domains(store, zone, clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    assert await asyncio.gather(*(checks.look(domain, patience=PATIENCE) for _ in range(10))) == [True] * 10
    assert zone.asked.count("_dmarc.example.test") == 1


async def test_a_check_of_a_removed_domain_fails_quietly(store: Store, clock: ManualClock) -> None:
    domains = make_domains(store, Zone(), clock)
    checks, domain = DomainChecks(domains, clock), await domains.add(ACCOUNT, "example.test")
    await domains.remove(domain)
    assert await checks.look(domain, patience=PATIENCE)
    assert await store.list_domain_checks(domain.id) == []


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
    assert not await checks.look(domain, patience=0.01)
    zone.go.set()
    assert await checks.look(domain, patience=PATIENCE)
    assert zone.asked.count("_dmarc.example.test") == 1
    (kept,) = await store.list_domain_checks(domain.id)
    assert kept.found(RecordPurpose.SPF) == ()
