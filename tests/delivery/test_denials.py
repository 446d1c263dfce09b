"""A domain that DNS denies: asked again before its mail bounces, and believed only while DNS does not deny everything."""

from datetime import timedelta

import pytest

from sendryd.delivery.denials import CONFIRM_DELAY, MIN_DENIED, WINDOW, Denials
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.model.ids import DeliveryId
from sendryd.policy.replies.verdict import Kind, Verdict
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import MxRecord, NullMx
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import ClaimedDelivery
from sendryd.testing.clock import ManualClock

PLAN = RetryPlan((timedelta(minutes=1), timedelta(hours=8)), timedelta(hours=72))


class Zone:
    """A resolver that denies every name but those that it knows."""

    def __init__(self, denials: Denials) -> None:
        self.denials = denials
        self.hosts: dict[str, tuple[MxRecord, ...] | NullMx] = {}
        self.without_records: set[str] = set()

    async def mx(self, domain: str) -> tuple[MxRecord, ...] | NullMx:
        if domain in self.without_records:
            return ()
        if domain not in self.hosts:
            raise LookupFailed(f"the name {domain} does not exist", is_temporary=False)
        self.denials.note_answered(domain)
        return self.hosts[domain]

    async def addresses(self, host: str) -> tuple[str, ...]:
        return () if host in self.without_records else ("192.0.2.1",)

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        raise AssertionError(f"routing asks for no TXT records, but for those of {name}")


class Life:
    """What one life of the program knows of DNS."""

    def __init__(self, clock: ManualClock) -> None:
        self.denials = Denials(clock)
        self.zone = Zone(self.denials)
        self.destinations = Destinations(
            self.zone, self.denials, hostname="relay.test", mx_port=25, smart_host=None, plan=PLAN, clock=clock, rand=SeededRand(1)
        )

    async def send(self, domain: str, last_reply: str = "") -> Verdict | None:
        """What an attempt comes to; None if there is a route."""
        found = await self.destinations.find(domain)
        if not isinstance(found, NoRoute):
            return None
        delivery = ClaimedDelivery(
            id=DeliveryId(1),
            forward_path=f"u@{domain}",
            domain=domain,
            attempts=1,
            is_in_doubt=False,
            notify=None,
            orcpt=None,
            last_reply=last_reply,
        )
        return self.destinations.judge(found, domain, delivery)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def life(clock: ManualClock) -> Life:
    return Life(clock)


async def kind(life: Life, domain: str, last_reply: str = "") -> Kind:
    verdict = await life.send(domain, last_reply)
    assert verdict is not None
    return verdict.kind


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("was_known", [True, False])
async def test_a_denial_bounces_when_it_is_confirmed_some_minutes_later(
    life: Life, clock: ManualClock, *, is_there: bool, was_known: bool
) -> None:
    clock.advance(timedelta(hours=1))
    if was_known:
        life.zone.hosts["gone.test"] = (MxRecord(10, "mx.gone.test"),)
        assert await life.send("gone.test") is None
        del life.zone.hosts["gone.test"]
    if is_there:  # it has neither MX nor address
        life.zone.without_records.add("gone.test")
    first = await life.send("gone.test")
    assert first is not None
    assert (first.kind, first.enhanced, first.retry_in) == (Kind.DEFERRED, "4.1.2", CONFIRM_DELAY)
    clock.advance(CONFIRM_DELAY / 2)
    assert await kind(life, "gone.test", first.sentence) is Kind.DEFERRED  # an operator asked for it at once
    clock.advance(CONFIRM_DELAY / 2)
    assert await kind(life, "gone.test", first.sentence) is Kind.BOUNCED
    assert await kind(life, "gone.test") is Kind.BOUNCED  # the domain is known to be gone


async def test_a_restart_does_not_forget_the_first_denial(life: Life, clock: ManualClock) -> None:
    first = await life.send("gone.test")
    assert first is not None
    clock.advance(CONFIRM_DELAY)
    again = Life(clock)
    assert await kind(again, "gone.test", "450 4.2.1 Busy") is Kind.DEFERRED
    assert await kind(Life(clock), "gone.test", first.sentence) is Kind.BOUNCED


async def test_a_domain_that_comes_back_begins_again(life: Life, clock: ManualClock) -> None:
    clock.advance(timedelta(hours=1))
    assert await kind(life, "slip.test") is Kind.DEFERRED
    life.zone.hosts["slip.test"] = (MxRecord(10, "mx.slip.test"),)
    assert await life.send("slip.test") is None
    del life.zone.hosts["slip.test"]
    clock.advance(CONFIRM_DELAY)
    assert await kind(life, "slip.test") is Kind.DEFERRED


async def test_a_null_mx_bounces_at_once(life: Life) -> None:
    life.zone.hosts["nomail.test"] = NullMx()
    assert await kind(life, "nomail.test") is Kind.BOUNCED


async def test_while_dns_denies_most_domains_nothing_bounces(life: Life, clock: ManualClock) -> None:
    domains = [f"d{number}.test" for number in range(MIN_DENIED * 3)]
    for domain in domains:
        life.zone.hosts[domain] = (MxRecord(10, f"mx.{domain}"),)
        assert await life.send(domain) is None
    clock.advance(timedelta(hours=1))
    kept, life.zone.hosts = life.zone.hosts, {}
    for _ in range(3):  # the resolver lies for a long time
        for domain in domains:
            assert await kind(life, domain) is Kind.DEFERRED
        clock.advance(timedelta(hours=1))
    assert life.denials.statistics()["is_denial_suspicious"]
    life.zone.hosts = kept
    for domain in domains[:-1]:
        assert await life.send(domain) is None
    assert not life.denials.is_suspicious
    del life.zone.hosts[domains[-1]]
    assert await kind(life, domains[-1]) is Kind.BOUNCED


async def test_a_list_with_some_old_addresses_is_no_jump(life: Life, clock: ManualClock) -> None:
    for number in range(MIN_DENIED * 2):
        life.zone.hosts[f"good{number}.test"] = (MxRecord(10, "mx.test"),)
        assert await life.send(f"good{number}.test") is None
        if number % 2:
            assert await kind(life, f"gone{number}.test") is Kind.DEFERRED
    clock.advance(timedelta(seconds=WINDOW - 1))
    assert not life.denials.is_suspicious
    assert await kind(life, "gone1.test") is Kind.BOUNCED
