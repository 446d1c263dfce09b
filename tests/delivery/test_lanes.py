"""Lanes beside each other: what one next hop does stops no other one."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import NoRoute
from sendryd.delivery.lanes import MAX_LANE_DOMAINS, Lanes
from sendryd.delivery.places import Places
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.sites import Sites
from sendryd.policy.routing import ANY_DOMAIN, MailHost, NextHop
from sendryd.policy.shaping.effects import make_effect
from sendryd.policy.shaping.rules import read_rules
from sendryd.policy.smarthost import lane_of
from sendryd.policy.throttle import FAILURES_TO_SUSPEND, Signal
from sendryd.store.base import Claim
from sendryd.testing.samples import Samples, claim_of
from sendryd.testing.virtualtime import VirtualClock

from .sitesworld import CountingWorker, MxRecords, World

pytestmark = pytest.mark.virtual_time

OWN_LANE = "relay.tenant.test:587"


class SmartHosts(MxRecords):
    """One for all mail, and those of sending domains."""

    def known(self, domain: str) -> NextHop:
        return NextHop(lane_of(domain) or ANY_DOMAIN, (MailHost("relay.test", ("192.0.2.1",)),), 25)

    async def find(self, domain: str) -> NextHop:
        return self.known(domain)


class DeadRelay(CountingWorker):
    """Every attempt at the tenant's own smart host fails."""

    async def attempt(self, claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        assert isinstance(route, NextHop)
        assert route.domain == (lane_of(claim.domain) or ANY_DOMAIN)
        attempt = await super().attempt(claim, content, NextHop(claim.domain, route.hosts, route.port))
        attempt.signal = Signal.BAD if lane_of(claim.domain) else Signal.GOOD
        return attempt


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(has_smart_host=True, dns=SmartHosts, worker=DeadRelay)
    yield made
    await made.scheduler.stop()


async def test_a_dead_smart_host_of_one_domain_stops_no_mail_for_the_smart_host_of_all(world: World) -> None:
    await world.queue(OWN_LANE, 60)
    await world.run(60.0)
    assert world.worker.tried.count(OWN_LANE) >= 2
    for _ in range(20):
        await world.queue("gmail.test")
        await world.run(3.0)
    assert world.worker.tried.count("gmail.test") == 20
    suspended = {lane.next_hop: lane.suspended_until is not None for lane in world.scheduler.board.take_changed()}
    assert suspended == {OWN_LANE: True, ANY_DOMAIN: False}


async def test_all_domains_of_a_suspended_site_are_stepped_over() -> None:
    clock, sites = VirtualClock(), Sites(read_rules('[provider.big]\nmx = ["big.test"]'))
    lanes = Lanes(Places(), clock, Shaper(sites, clock), delays=(60.0,), has_smart_host=False)
    state, samples = lanes.open("big"), Samples(clock.now())
    for _ in range(FAILURES_TO_SUSPEND):
        lanes.note(state, Signal.BAD)
    new = samples.message(["u@d.test"])
    claim = claim_of(new, samples.lease())
    domains = [f"d{number}.test" for number in range(MAX_LANE_DOMAINS + 10)]
    for domain in domains:
        sites.note(domain, NextHop(domain, (), 25, mx=("mx.big.test",)))
        assert not lanes.has_room(replace(claim, domain=domain))
    assert lanes.full(clock.monotonic()).issuperset(domains)
    lanes.forget_idle()
    assert lanes.full(clock.monotonic()).issuperset(domains)
    await clock.sleep(60.0)
    assert lanes.has_room(replace(claim, domain="d0.test"))


async def test_a_site_that_its_replies_suspend_is_not_forgotten() -> None:
    clock = VirtualClock()
    rules = read_rules('[provider.big]\nmx = ["big.test"]\n[[provider.big.reply]]\nmatch = "slow"\nsuspend = true\nfor = "2h"')
    shaper = Shaper(Sites(rules), clock)
    lanes = Lanes(Places(), clock, shaper, delays=(60.0,), has_smart_host=False)
    shaper.load([make_effect("big", rules.replies_of("big")[0], "slow", clock.settled())])
    lanes.open("big")
    lanes.forget_idle()
    assert lanes.find("big") is not None
