"""Sites: domains with the same mail servers count as one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sendryd.delivery.destinations import NoRoute
from sendryd.delivery.housekeeping import keep_house
from sendryd.delivery.lanes import WAITING_FACTOR
from sendryd.delivery.sites import APART_TIME, MAX_DOMAINS, Sites
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId
from sendryd.policy.replies.verdict import Category, Kind, local_verdict
from sendryd.policy.routing import NextHop
from sendryd.policy.shaping.rules import read_rules
from sendryd.policy.throttle import FAILURES_TO_SUSPEND, Signal
from sendryd.store.base import Claim, LimitedDestination

from .sitesworld import RULES, SILENT, World

OTHER = AccountId(2)

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.scheduler.stop()


async def test_domains_with_the_same_servers_share_the_connections_of_their_site(world: World) -> None:
    for number in range(10):
        world.dns.mx[f"d{number}.test"] = ("mx1.big.test", "mx2.big.test")
        await world.queue(f"d{number}.test", 20)
    await world.run(100.0)
    assert world.worker.most_at_once == 4
    assert len(world.worker.tried) == 200
    assert len({*world.worker.tried}) == 10


async def test_each_mail_goes_by_the_route_of_its_own_domain_though_it_waits_longer_than_routes_are_known(world: World) -> None:
    for domain in ("one.test", "two.test"):
        world.dns.mx[domain] = ("mx.big.test",)
    await world.queue("one.test", 100)
    await world.run(10.0)
    await world.queue("two.test", 50)
    await world.run(60.0)
    assert (world.worker.tried.count("one.test"), world.worker.tried.count("two.test")) == (100, 50)
    assert world.dns.looked_up.count("two.test") > 1


async def test_a_domain_without_an_answer_keeps_no_other_one_of_its_site_waiting(world: World) -> None:
    for _ in range(60):
        for domain in ("one.test", "two.test"):
            world.dns.mx[domain] = ("mx.big.test",)
            await world.queue(domain)
    await world.run(20.0)
    del world.dns.mx["two.test"]
    await world.run(60.0)
    assert world.worker.tried.count("one.test") == 60
    assert 0 < world.worker.tried.count("two.test") < 60
    assert len(world.worker.unroutable) >= 1
    counted = await world.store.count_queue()
    assert counted[DeliveryState.LEASED] == 0
    world.dns.mx["two.test"] = ("mx.big.test",)
    await world.run(7300.0)
    assert world.worker.tried.count("two.test") == 60


async def test_a_site_that_is_down_is_left_alone_for_all_its_domains(world: World) -> None:
    for number in range(10):
        world.dns.mx[f"d{number}.test"] = ("mx.small.test",)
    world.worker.signal = Signal.BAD
    for number in range(10):
        await world.queue(f"d{number}.test", 3)
    await world.run(50.0)
    failed = len(world.worker.tried)
    assert FAILURES_TO_SUSPEND <= failed <= 2 * FAILURES_TO_SUSPEND
    assert all([not await world.hand_over(f"d{number}.test") for number in range(10) if f"d{number}.test" in world.worker.tried])
    queue = await world.store.count_queue()
    assert queue[DeliveryState.QUEUED] == 30
    snapshots = {each.next_hop: each for each in world.scheduler.board.take_changed()}
    suspended = [each for each in snapshots.values() if each.suspended_until is not None]
    assert {each.site for each in suspended} == {"mx.small.test+0"}


async def test_a_domain_that_names_a_silent_server_of_a_provider_fails_alone(world: World) -> None:
    world.dns.mx["good.test"], world.dns.mx["evil.test"] = ("mx.big.test",), ("www.big.test",)
    world.worker.failing.add("evil.test")
    await world.queue("good.test", 10)
    await world.run(10.0)
    await world.queue("evil.test", 50)
    for _ in range(60):
        await world.queue("good.test", 1)
        await world.run(5.0)
    assert world.worker.tried.count("good.test") == 70
    assert world.worker.tried.count("evil.test") <= 2 * FAILURES_TO_SUSPEND
    assert world.shaper.sites.site_of("evil.test") == "evil.test@big"
    assert world.shaper.limits("evil.test@big") == world.shaper.limits("big")
    await world.clock.sleep(APART_TIME)
    world.worker.failing.clear()
    await world.queue("evil.test", 1)
    await world.run(10.0)
    assert world.shaper.sites.site_of("evil.test") == "big"


async def test_a_provider_is_left_alone_when_servers_fail_that_have_worked(world: World) -> None:
    for domain in ("one.test", "two.test"):
        world.dns.mx[domain] = ("mx.big.test",)
        await world.queue(domain, 5)
    await world.run(20.0)
    before = len(world.worker.tried)
    world.worker.failing |= {"one.test", "two.test"}
    for domain in ("one.test", "two.test"):
        await world.queue(domain, 20)
    await world.run(50.0)
    assert FAILURES_TO_SUSPEND <= len(world.worker.tried) - before <= 2 * FAILURES_TO_SUSPEND
    assert world.shaper.sites.site_of("one.test") == "big"


async def test_many_domains_that_join_a_site_fill_its_lane_no_further(world: World) -> None:
    for number in range(600):
        world.dns.mx[f"d{number}.test"] = ("mx.big.test",)
        await world.queue(f"d{number}.test")
    for _ in range(10):
        await world.run(1.0)
        await world.clock.sleep(0.5)
        assert world.scheduler.statistics()["waiting"] <= 2 * WAITING_FACTOR * 4
    came = world.clock.monotonic()
    assert await world.hand_over("d0.test", OTHER)
    before = world.worker.tried.count("d0.test")
    await world.run(3.0)
    assert world.worker.tried.count("d0.test") == before + 1, came
    await world.run(300.0)
    assert len(world.worker.tried) == 601


async def test_a_suspended_site_of_very_many_domains_is_stepped_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1000):
        world.dns.mx[f"d{number}.test"] = ("mx.big.test",)
        await world.queue(f"d{number}.test")
    world.dns.mx["other.test"] = ("mx.other.test",)
    world.worker.signal = Signal.BAD
    await world.run(20.0)
    world.worker.signal = Signal.GOOD
    await world.queue("other.test")
    leased: list[int] = []
    claim = world.store.claim_deliveries

    async def count(**how: Any) -> list[Claim]:
        claims = await claim(**how)
        leased.append(len(claims))
        return claims

    monkeypatch.setattr(world.store, "claim_deliveries", count)
    house = asyncio.ensure_future(keep_house(world.scheduler, world.clock))
    await world.run(30.0)
    house.cancel()
    assert world.worker.tried.count("other.test") == 1
    assert sum(leased) <= 1000


async def test_slow_look_ups_of_some_domains_keep_no_other_one_waiting(world: World) -> None:
    world.dns.mx["good.test"] = ("mx.big.test",)
    for number in range(50):
        world.dns.mx[f"d{number}.test"] = ("mx.big.test",)
        await world.queue(f"d{number}.test")
    await world.run(30.0)
    for number in range(50):
        world.dns.problems[f"d{number}.test"] = SILENT
        world.dns.slow[f"d{number}.test"] = 9.5
        await world.queue(f"d{number}.test", 2)
    for _ in range(8):
        await world.queue("good.test")
        await world.run(1.0)
    assert world.worker.tried.count("good.test") >= 6


async def test_mail_of_another_account_waits_behind_no_backlog_to_many_domains(world: World) -> None:
    world.worker.seconds, world.dns.memory = 30.0, 1000.0
    for number in range(900):
        world.dns.mx[f"d{number}.test"] = (f"mx.d{number}.test",)
        await world.queue(f"d{number}.test")
        if not number % 15:
            await world.run(1.0)
    world.dns.mx["new.test"] = ("mx.new.test",)
    await world.queue("new.test", 1, OTHER)
    await world.run(40.0)
    assert "new.test" in world.worker.tried
    assert len(world.worker.tried) < 750


async def test_a_person_pauses_a_site_by_its_name_and_a_domain_by_its_own(world: World) -> None:
    for domain in ("one.test", "two.test"):
        world.dns.mx[domain] = ("mx.big.test",)
        await world.queue(domain, 1)
    await world.run(5.0)
    await world.store.pause_destination("big", by="Ann", now=world.clock.now())
    await world.run(2.0)
    await world.queue("one.test", 5)
    assert not await world.hand_over("two.test")
    await world.run(20.0)
    assert len(world.worker.tried) == 2
    await world.store.resume_destination("big")
    await world.store.pause_destination("two.test", by="Ann", now=world.clock.now())
    await world.queue("two.test", 5)
    await world.run(20.0)
    assert (world.worker.tried.count("one.test"), world.worker.tried.count("two.test")) == (6, 1)


@pytest.mark.parametrize("name", ["big", "one.test"])
async def test_a_limit_of_a_person_holds_for_the_site(world: World, name: str) -> None:
    for domain in ("one.test", "two.test"):
        world.dns.mx[domain] = ("mx.big.test",)
        await world.queue(domain, 2)
    await world.run(5.0)
    await world.store.limit_destination(LimitedDestination(domain=name, sessions=1, by="Ann", since=world.clock.now()))
    await world.run(2.0)
    world.worker.most_at_once = 0
    for domain in ("one.test", "two.test"):
        await world.queue(domain, 5)
    await world.run(20.0)
    assert world.worker.most_at_once == 1
    assert len(world.worker.tried) == 14


async def test_a_stop_gives_back_what_waits_for_look_ups(world: World) -> None:
    world.dns.mx["one.test"] = ("mx.big.test",)
    await world.queue("one.test", 60)
    await world.run(5.15)
    await world.scheduler.stop()
    counted = await world.store.count_queue()
    assert counted[DeliveryState.LEASED] == 0
    claims = await world.store.claim_deliveries(
        now=world.clock.now(), lease=world.samples.lease(), limit=99, busy=frozenset(), per_domain=99
    )
    assert not any(delivery.is_in_doubt for claim in claims for delivery in claim.deliveries)


NULL_MX = NoRoute(local_verdict(Kind.BOUNCED, Category.BAD_DOMAIN, "5.1.10", "The domain takes no mail"))


@pytest.mark.parametrize("problem", [NULL_MX, SILENT])
async def test_mail_to_the_name_of_a_mail_server_is_no_concern_of_its_domains(world: World, problem: NoRoute) -> None:
    world.dns.mx["customer.test"] = ("mx.host.test",)
    world.dns.problems["mx.host.test"] = problem
    await world.queue("customer.test", 60)
    await world.run(4.2)
    await world.queue("mx.host.test", 1)
    await world.queue("customer.test", 60)
    await world.run(60.0)
    assert world.worker.tried.count("customer.test") == 120
    assert world.worker.unroutable == ["mx.host.test"]


@pytest.mark.parametrize("problem", [NULL_MX, SILENT])
async def test_other_rules_move_what_waits_to_its_new_site(world: World, problem: NoRoute) -> None:
    world.dns.mx["one.test"] = ("mx.host.test",)
    world.dns.problems["mx.host.test"] = world.dns.problems["mx.host.test+0"] = problem
    await world.queue("one.test", 100)
    await world.run(3.5)
    world.scheduler.use_rules(read_rules('[provider.host]\nmx = ["host.test"]\nconnections = 2'))
    await world.clock.sleep(1.0)
    world.worker.most_at_once = 0
    await world.run(100.0)
    assert world.worker.tried.count("one.test") == 100
    assert world.worker.unroutable == []
    assert world.worker.most_at_once == 2
    assert world.dns.looked_up.count("mx.host.test+0") == 0


async def test_a_domain_whose_site_was_forgotten_goes_by_its_own_route(world: World) -> None:
    world.dns.mx["one.test"] = ("mx.host.test",)
    world.dns.problems["mx.host.test+0"] = NULL_MX
    await world.queue("one.test", 100)
    await world.run(3.5)
    world.shaper.sites.forget("one.test")
    await world.run(100.0)
    assert world.worker.tried.count("one.test") == 100
    assert world.worker.unroutable == []


async def test_a_domain_that_moves_takes_its_mail_to_its_new_site(world: World) -> None:
    world.dns.mx["one.test"] = ("mx.big.test",)
    await world.queue("one.test", 60)
    await world.run(3.0)
    world.dns.mx["one.test"] = ("mx.one.test",)
    await world.run(60.0)
    assert world.worker.tried.count("one.test") == 60
    assert world.shaper.sites.site_of("one.test") == "mx.one.test+0"


def test_the_sites_of_so_many_domains_are_remembered() -> None:
    sites = Sites(RULES)
    for number in range(MAX_DOMAINS + 10):
        sites.note(f"d{number}.test", NextHop("d.test", (), 25, mx=("mx.big.test",)))
    assert sites.site_of("d0.test") is None
    assert sites.site_of(f"d{MAX_DOMAINS}.test") == "big"
    assert sites.limits_of(f"d{MAX_DOMAINS}.test").is_tls_required


def test_other_rules_make_other_sites() -> None:
    sites = Sites(RULES)
    sites.note("one.test", NextHop("one.test", (), 25, mx=("mx.big.test",)))
    sites.note("two.test", NextHop("two.test", (), 25, mx=("mx.big.test",)))
    assert sites.site_of("one.test") == sites.site_of("two.test") == "big"
    sites.use(read_rules('[provider.club]\ndomains = ["one.test"]'))
    assert (sites.site_of("one.test"), sites.site_of("two.test")) == ("club", "mx.big.test+0")


async def test_all_domains_of_a_silent_site_together_have_two_sessions(world: World) -> None:
    for number in range(100):
        world.dns.mx[f"d{number}.test"] = ("mx.small.test",)
        await world.queue(f"d{number}.test")
    world.worker.signal = Signal.BAD
    await world.run(3.0)
    assert world.worker.most_at_once <= 2


def test_long_mx_records_are_not_kept_and_their_limits_hold_after_other_rules() -> None:
    sites, mx = Sites(RULES), tuple(f"mx{number}.{'x' * 50}.big.test" for number in range(20))
    assert sites.note("one.test", NextHop("one.test", (), 25, mx=mx)) == "big"
    sites.use(RULES)
    assert sites.site_of("one.test") == "big"
    sites.use(read_rules("", over=RULES))
    assert sites.site_of("one.test") is None
    assert sites.limits_of("one.test", mx).is_tls_required
