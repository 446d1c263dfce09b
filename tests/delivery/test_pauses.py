"""Pauses of recipient domains, sites and accounts hold mail in the lanes of domains' own smart hosts."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sendryd.accounts.explanations import explain_delivery, read_surroundings
from sendryd.delivery.pauses import PUT_OFF
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId
from sendryd.policy.routing import MailHost, NextHop
from sendryd.store.base import QueueFilter, SuspendedAccount

from .sitesworld import MxRecords, World

OWN = "relay.test:587~0123456789abcdef"

pytestmark = pytest.mark.virtual_time


class WithRelay(MxRecords):
    """Knows the smart host, too."""

    def known(self, domain: str) -> NextHop | None:
        return NextHop(domain, (MailHost("relay.test", ("192.0.2.9",)),), 587) if ":" in domain else super().known(domain)


@pytest.fixture(params=[False, True], ids=["own", "beside one for all mail"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = World(dns=WithRelay, has_smart_host=request.param)
    yield made
    await made.scheduler.stop()


async def test_a_paused_recipient_domain_gets_nothing_by_a_smart_host_of_its_own(world: World) -> None:
    await world.store.pause_destination("one.test", by="Ann", now=world.clock.now(), reason="their disk is full")
    for domain in ("one.test", "two.test", "one.test"):
        await world.queue(domain, lane=OWN)
    await world.run(10.0)
    assert world.worker.tried == [OWN]
    waiting = await world.store.list_queue(QueueFilter(domain=OWN))
    assert [(each.forward_path, each.state, each.attempts) for each in waiting] == [("u@one.test", DeliveryState.QUEUED, 0)] * 2
    now = world.clock.now()
    around = await read_surroundings(world.store, [OWN], now)  # type: ignore[arg-type]  # the part of the store that it reads
    sentence = explain_delivery(waiting[0], [], now, lifetime=timedelta(days=3), around=around).sentence
    assert sentence == 'Mail to one.test is paused by Ann: "their disk is full"'
    await world.store.resume_destination("one.test")
    await world.run(5.0)
    assert world.worker.tried == [OWN] * 3


async def test_mail_that_waits_in_memory_for_a_smart_host_is_put_off_when_its_recipient_is_paused(world: World) -> None:
    world.worker.seconds = 5.0
    await world.queue("one.test", 60, lane=OWN)
    await world.run(1.0)
    await world.store.pause_destination("one.test", by="Ann", now=world.clock.now())
    await world.run(2.0)
    under_way = world.worker.at_once
    await world.run(30.0)
    assert len(world.worker.tried) == under_way < 60


async def test_a_pause_that_ends_by_itself_lets_the_mail_go_then(world: World) -> None:
    until = world.clock.now() + timedelta(seconds=100)
    await world.store.pause_destination("one.test", by="Ann", now=world.clock.now(), until=until)
    await world.queue("one.test", lane=OWN)
    await world.run(99.0)
    assert not world.worker.tried
    await world.run(5.0)
    assert world.worker.tried == [OWN]
    assert PUT_OFF > timedelta(seconds=100)


async def test_a_pause_of_a_site_holds_mail_to_a_domain_that_is_known_to_be_with_it() -> None:
    world = World(dns=WithRelay)
    world.dns.mx["one.test"] = ("mx.big.test",)
    await world.queue("one.test")
    await world.run(3.0)
    await world.store.pause_destination("big", by="Ann", now=world.clock.now())
    await world.queue("one.test", lane=OWN)
    await world.run(10.0)
    assert world.worker.tried == ["one.test"]
    await world.store.resume_destination("big")
    await world.run(5.0)
    assert world.worker.tried == ["one.test", OWN]
    await world.scheduler.stop()


async def test_mail_of_a_suspended_account_is_held_in_the_lane_of_its_smart_host(world: World) -> None:
    await world.store.suspend_account(SuspendedAccount(account_id=AccountId(2), by="Ann", since=world.clock.now()))
    await world.queue("one.test", 1, AccountId(2), lane=OWN)
    await world.queue("one.test", lane=OWN)
    await world.run(5.0)
    assert world.worker.tried == [OWN]
    assert (await world.store.count_queue())[DeliveryState.HELD] == 1
