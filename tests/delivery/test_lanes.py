"""Lanes beside each other: what one next hop does stops no other one."""

from collections.abc import AsyncIterator

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import NoRoute
from sendryd.policy.routing import ANY_DOMAIN, MailHost, NextHop
from sendryd.policy.smarthost import lane_of
from sendryd.policy.throttle import Signal
from sendryd.store.base import Claim

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
