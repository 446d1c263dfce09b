"""What one process of several does with mail of sites that others own."""

import asyncio

import pytest

from sendryd.delivery.laneboard import LanePublisher
from sendryd.delivery.shares import MAX_TURNS
from sendryd.model.delivery import DeliveryState
from sendryd.model.message import MessageClass
from sendryd.policy.routing import MailHost, NextHop
from sendryd.policy.throttle import FAILURES_TO_SUSPEND, Signal
from sendryd.store.base import LimitedDestination
from sendryd.store.memory import MemoryStore
from sendryd.testing.samples import ACCOUNT, NOW, claim_of

from .sitesworld import MxRecords, World

pytestmark = pytest.mark.virtual_time


class Others:
    """Another process owns some sites."""

    def __init__(self, *sites: str, rank: int = 0, servers: int = 2) -> None:
        self.sites = set(sites)
        self.may_begin = True
        self.moved: list[dict[str, str]] = []
        self.rank, self.servers = rank, servers

    def share(self, most: int) -> int:
        return most // self.servers + (self.rank < most % self.servers)

    def leaves_some_out(self, most: int) -> bool:
        return most < self.servers

    def owns(self, site: str) -> bool:
        return self.may_begin and site not in self.sites

    async def move(self, domains: dict[str, str]) -> None:
        self.moved.append(domains)

    def ring(self) -> None:
        """Nobody listens."""


async def test_mail_of_a_foreign_site_is_handed_over() -> None:
    others = Others("mx.theirs.test+0")
    world = World(ownership=others)
    world.dns.mx |= {"a.test": ("mx.theirs.test",), "b.test": ("mx.ours.test",)}
    for domain in ("a.test", "b.test"):
        await world.queue(domain)
    await world.run(1.3)
    assert others.moved[0] == {"a.test": "mx.theirs.test+0"}
    assert world.worker.tried == ["b.test"]
    await world.scheduler.stop()


async def test_what_is_under_way_can_be_cut_off_and_is_tried_again() -> None:
    world = World(ownership=Others())
    world.dns.mx["a.test"] = ("mx.ours.test",)
    world.worker.seconds = 100.0
    await world.queue("a.test")
    await world.run(2.0)
    assert world.scheduler.busy_sites() == {"mx.ours.test+0"}
    assert world.scheduler.shares is not None
    assert world.scheduler.shares.cut_off() == 1
    await world.run(1.0)
    assert world.scheduler.busy_sites() == frozenset()
    world.worker.seconds = 1.0
    await world.scheduler.return_lost_leases()
    await world.scheduler.return_lost_leases()
    await world.run(90.0)
    assert world.worker.tried == ["a.test"]
    await world.scheduler.stop()


async def test_a_domain_that_came_to_a_site_of_ours_is_looked_up_again_before_it_is_handed_over() -> None:
    others = Others("mx.theirs.test+0")
    world = World(ownership=others)
    world.dns.mx["a.test"] = ("mx.theirs.test",)
    await world.queue("a.test")
    await world.run(0.6)
    assert others.moved
    world.dns.mx["a.test"] = ("mx.ours.test",)
    await world.clock.sleep(world.dns.memory)
    others.moved.clear()
    await world.run(10.0)
    assert others.moved == []
    assert world.worker.tried == ["a.test"]
    await world.scheduler.stop()


async def test_mail_that_comes_back_again_and_again_is_sent() -> None:
    others = Others("mx.theirs.test+0")
    world = World(ownership=others)
    world.dns.mx["a.test"] = ("mx.theirs.test",)
    await world.queue("a.test", 3)
    await world.run(30.0)
    assert MAX_TURNS <= len(others.moved) < 3 * MAX_TURNS
    assert world.worker.tried == ["a.test"] * 3
    assert (await world.store.count_queue())[DeliveryState.QUEUED] == 0
    await world.scheduler.stop()


async def test_a_site_that_was_down_is_left_alone_by_its_next_owner_until_the_suspension_is_over() -> None:
    first, second = World(ownership=Others()), World(ownership=Others())
    for world in (first, second):
        world.dns.mx |= {f"d{number}.test": ("mx.ours.test",) for number in range(20)}
        world.worker.signal = Signal.BAD
        for number in range(20):
            await world.queue(f"d{number}.test")
    await first.run(10.0)
    assert len(first.worker.tried) >= FAILURES_TO_SUSPEND
    await LanePublisher(first.scheduler.board, second.store, first.clock).publish()
    await second.clock.sleep(first.clock.monotonic() - second.clock.monotonic())
    await LanePublisher(second.scheduler.board, second.store, second.clock).take_over(lambda _site: True)
    await second.run(40.0)
    assert second.worker.tried == []
    await second.run(30.0)
    assert len(second.worker.tried) == 1, "one message probes the site"
    for world in (first, second):
        await world.scheduler.stop()


class OneHop(MxRecords):
    """All mail goes to one smart host, but that of lanes."""

    def known(self, domain: str) -> NextHop:
        return NextHop(domain if ":" in domain else "*", (MailHost("relay.test", ("192.0.2.1",)),), 25)


@pytest.mark.parametrize(("most", "servers"), [(1, 3), (2, 5), (5, 2), (20, 3)])
async def test_processes_keep_the_limit_of_a_smart_host_together_also_if_they_are_more(most: int, servers: int) -> None:
    store = MemoryStore()
    worlds = [World(store=store, has_smart_host=True, dns=OneHop, ownership=Others(rank=each, servers=servers)) for each in range(servers)]
    counting = worlds[0].worker
    for world in worlds[1:]:  # one receiver counts
        world.scheduler._worker = counting  # type: ignore[assignment]
    await store.limit_destination(LimitedDestination(domain="*", sessions=most, by="Ann", since=NOW))
    number = max(40, 12 * most)
    for each in range(number):
        await worlds[0].queue(f"d{each}.test")
    await asyncio.gather(*(world.run(70.0) for world in worlds))
    assert len(counting.tried) == number
    assert counting.most_at_once == most
    for world in worlds:
        await world.scheduler.stop()


async def test_mail_for_a_smart_host_of_its_own_goes_over_with_its_lane_beside_one_for_all() -> None:
    own = "relay.test:587~0123456789abcdef"
    others = Others(own)
    world = World(has_smart_host=True, dns=OneHop, ownership=others)
    await world.queue("a.test", 2, lane=own)
    await world.queue("b.test", 2)
    await world.run(5.0)
    assert world.worker.tried == ["b.test"] * 2
    assert others.moved[0] == {own: own}
    others.sites.clear()
    await world.run(5.0)
    assert world.worker.tried.count(own) == 2
    await world.scheduler.stop()


async def test_a_burst_of_mail_does_not_count_as_mail_that_comes_back() -> None:
    """Each of these was accepted before the first was handed over."""
    others = Others("mx.theirs.test+0")
    world = World(ownership=others)
    world.dns.mx["a.test"], world.dns.memory = ("mx.theirs.test",), 100.0
    leases = [
        world.scheduler.reserve(["a.test"], 100, account_id=ACCOUNT, priority=MessageClass.TRANSACTIONAL) for _ in range(2 * MAX_TURNS)
    ]
    for lease in leases:
        assert lease is not None
        new = world.samples.message(["u@a.test"], created_at=world.clock.now(), lease=lease)
        await world.store.accept(new)
        world.scheduler.offer(lease, [claim_of(new, lease)], new.content)
        await world.clock.sleep(0.5)
    assert len(others.moved) == 2 * MAX_TURNS
    assert world.worker.tried == []
    await world.scheduler.stop()


async def test_a_process_that_does_not_reach_the_database_begins_no_session_however_long_that_lasts() -> None:
    others = Others()
    world = World(ownership=others)
    world.dns.mx["a.test"], world.dns.memory = ("mx.ours.test",), 100.0
    await world.queue("a.test")
    others.may_begin = False
    await world.run(30.0)
    assert world.worker.tried == []
    assert others.moved == []
    others.may_begin = True
    await world.run(30.0)
    assert world.worker.tried == ["a.test"]
    await world.scheduler.stop()
