"""What the rules do to a site: rates, and what its replies bring. In virtual time."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.destinations import NoRoute
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.shapingkeeper import ShapingKeeper
from sendryd.delivery.sites import Sites
from sendryd.model.delivery import DeliveryState
from sendryd.model.lane import LimitCause
from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import Category, Kind, Relay, Verdict, local_verdict
from sendryd.policy.routing import NextHop
from sendryd.policy.shaping.limits import Rate
from sendryd.policy.shaping.rules import Rules, read_rules
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step
from sendryd.store.base import Claim, QueueFilter
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.virtualtime import VirtualClock

from .sitesworld import World

pytestmark = pytest.mark.virtual_time

RELAY = Relay(host="mx.big.test", address="192.0.2.1", port=25)
BIG = '[provider.big]\nmx = ["big.test"]\n'


def rules(text: str) -> Rules:
    return read_rules(BIG + text)


def most_in(moments: list[float], seconds: float) -> int:
    return max(sum(first <= each < first + seconds for each in moments) for first in moments)


@pytest.fixture
async def worlds() -> AsyncIterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        await world.scheduler.stop()


def new_world(worlds: list[World], text: str, store: MemoryStore | None = None) -> World:
    world = World(rules(text), store)
    worlds.append(world)
    for number in range(4):
        world.dns.mx[f"d{number}.test"] = ("mx.big.test",)
    return world


async def test_a_site_gets_no_more_messages_in_a_time_than_the_rule_says(worlds: list[World]) -> None:
    world = new_world(worlds, 'message_rate = "5/1s"')
    for number in range(4):
        await world.queue(f"d{number}.test", 50)
    await world.run(60.0)
    assert len(world.worker.began) == 200
    assert most_in(world.worker.began, 1.0) <= 5
    assert world.worker.began[-1] - world.worker.began[0] <= 200 / 5 / 0.85


async def test_a_site_gets_no_more_sessions_in_a_time_than_the_rule_says() -> None:
    clock = VirtualClock()
    shaper = Shaper(Sites(rules('connection_rate = "30/1m"')), clock)
    for number in range(3):
        shaper.sites.note(f"d{number}.test", NextHop("d.test", (), 25, mx=("mx.big.test",)))
    moments: list[float] = []

    async def connect(domain: str) -> None:
        await shaper.connect(domain)
        moments.append(clock.monotonic())

    await asyncio.gather(*(connect(f"d{number % 3}.test") for number in range(100)))
    assert most_in(moments, 60.0) <= 30
    assert moments[-1] - moments[0] < 300.0
    began = clock.monotonic()
    await asyncio.gather(*(shaper.connect("elsewhere.test") for _ in range(100)))
    assert clock.monotonic() == began


async def test_no_attempt_begins_before_it_may_have_a_session(worlds: list[World]) -> None:
    world, slept = new_world(worlds, 'connection_rate = "4/1m"'), [0.0]
    deliver = world.worker.attempt

    async def attempt(claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        began = world.clock.monotonic()
        await world.shaper.connect(claim.domain)
        slept[0] += world.clock.monotonic() - began
        return await deliver(claim, content, route)

    world.worker.attempt = attempt  # type: ignore[method-assign]
    await world.queue("d0.test", 20)
    await world.run(200.0)
    assert slept == [0.0]
    assert 10 <= len(world.worker.tried) <= 16
    assert most_in(world.worker.began, 60.0) <= 4


async def test_a_message_that_finds_an_idle_session_waits_for_no_new_one() -> None:
    shaper = Shaper(Sites(rules('connection_rate = "4/1m"')), VirtualClock())
    await shaper.sessions.open("big", None, lambda: None)
    assert [shaper.wait("big", 0.0, busy=busy) > 0 for busy in (0, 1, 2)] == [False, False, True]
    await shaper.connect("other.test")
    shaper.sites.note("d0.test", NextHop("d0.test", (), 25, mx=("mx.big.test",)))
    await shaper.connect("d0.test")
    assert [shaper.wait("big", 0.0, busy=busy) > 0 for busy in (0, 1, 2)] == [False, True, True]


def refuse(text: str, code: int = 451) -> Verdict:
    return classify(Reply(code, (text,)), step=Step.FINAL_DOT, relay=RELAY)


async def test_replies_suspend_a_site_for_a_time_and_what_waits_keeps_its_attempts(worlds: list[World]) -> None:
    world = new_world(worlds, '[[provider.big.reply]]\nmatch = "TSS04"\nmatches = 1\nsuspend = true\nfor = "2h"\n')
    world.worker.verdict = refuse("4.7.0 [TSS04] Messages from 192.0.2.9 temporarily deferred")
    await world.queue("d0.test", 1)
    await world.run(10.0)
    world.worker.verdict = None
    tried = len(world.worker.tried)
    await world.queue("d1.test", 5)
    await world.run(3600.0)
    assert len(world.worker.tried) == tried
    assert not await world.hand_over("d1.test")
    assert {each.attempts for each in await world.store.list_queue(QueueFilter(domain="d1.test"))} == {0}
    (snapshot,) = [each for each in world.scheduler.board.take_changed() if each.next_hop == "d0.test"]
    assert (snapshot.rule, snapshot.rule_reply[:3]) == ("big/1", "451")
    await world.run(3700.0)
    assert world.worker.tried.count("d1.test") == 5


async def test_a_success_that_was_under_way_ends_no_suspension_by_a_rule(worlds: list[World]) -> None:
    world = new_world(worlds, '[[provider.big.reply]]\nmatch = "TSS04"\nmatches = 1\nsuspend = true\nfor = "2h"\n')
    await world.queue("d0.test", 10)
    await world.run(10.0)
    world.worker.verdict = refuse("4.7.0 [TSS04] deferred")
    await world.queue("d1.test", 1)
    running = asyncio.ensure_future(world.scheduler.run())
    while "d1.test" not in world.worker.tried:
        await world.clock.sleep(0.25)
        if world.worker.at_once:
            await world.hand_over("d0.test")
    world.worker.verdict = None
    running.cancel()
    tried = len(world.worker.tried)
    await world.queue("d2.test", 50)
    await world.run(600.0)
    assert len(world.worker.tried) - tried <= 10
    assert "d2.test" not in world.worker.tried


async def test_a_person_who_wants_a_suspended_site_tried_gets_a_probe(worlds: list[World]) -> None:
    world = new_world(worlds, '[[provider.big.reply]]\nmatch = "TSS04"\nmatches = 1\nsuspend = true\nfor = "2h"\n')
    world.worker.verdict = refuse("4.7.0 [TSS04] deferred")
    await world.queue("d0.test", 1)
    await world.run(10.0)
    world.worker.verdict = None
    await world.queue("d1.test", 5)
    await world.run(10.0)
    assert "d1.test" not in world.worker.tried
    for tried in (1, 2):
        await world.store.retry(QueueFilter(domain="d1.test"), world.clock.now())
        await world.run(60.0)
        assert world.worker.tried.count("d1.test") == tried
    assert world.shaper.suspension("big") > 3600.0
    await world.run(7200.0)
    assert world.worker.tried.count("d1.test") == 5


async def test_as_many_matches_in_an_hour_as_the_rule_says_bring_a_limit_that_goes_back(worlds: list[World]) -> None:
    world = new_world(worlds, 'connections = 10\n[[provider.big.reply]]\nmatch = "slow"\nmatches = 3\nconnections = 1\nfor = "10m"\n')
    world.worker.verdict = refuse("4.7.1 slow down")
    await world.queue("d0.test", 2)
    await world.run(10.0)
    assert world.shaper.effects_of("big") == []
    await world.queue("d1.test", 1)
    await world.run(10.0)
    assert [each.rule for each in world.shaper.effects_of("big")] == ["big/1"]
    world.worker.verdict, world.worker.most_at_once = None, 0
    await world.queue("d2.test", 50)
    await world.run(100.0)
    assert world.worker.most_at_once == 1
    assert world.shaper.limits("big").connections == 1
    (snapshot,) = [each for each in world.scheduler.board.take_changed() if each.next_hop == "d2.test"]
    assert (snapshot.limit, snapshot.cause) == (1, LimitCause.RULE)
    await world.clock.sleep(800.0)
    assert 1 < (world.shaper.limits("big").connections or 0) < 10
    await world.clock.sleep(400.0)
    assert world.shaper.limits("big").connections == 10
    assert world.shaper.all_effects() == []


async def test_what_strangers_write_steers_no_rule(worlds: list[World]) -> None:
    world = new_world(worlds, '[[provider.big.reply]]\nmatch = "TSS04"\nmatches = 1\nsuspend = true\nfor = "2h"\n')
    names = ["tss04", '"[TSS04]"', "tss04+x"]
    for step, name in itertools.product((Step.RCPT, Step.MAIL, Step.FINAL_DOT), names):
        for code in (421, 451, 550):
            bare = name.strip('"')
            reply = Reply(code, (f"4.7.0 {name}@d0.test ({bare}) is not taken now",))
            world.worker.verdict = classify(reply, step=step, relay=RELAY)
            await world.store.accept(world.samples.message([f"{name}@d0.test"], created_at=world.clock.now()))
            world.wakeup.set()
            await world.run(2.0)
    assert len(world.worker.tried) == 27
    world.worker.verdict = classify(Reply(451, ("4.7.0 a list says TSS04 of the mailbox",)), step=Step.RCPT, relay=RELAY)
    await world.queue("d0.test")
    await world.run(2.0)
    assert world.shaper.all_effects() == []


async def test_one_domain_alone_has_no_site_limited_unless_the_rule_names_it(worlds: list[World]) -> None:
    text = '[[provider.big.reply]]\nmatch = "slow"\nmessage_rate = "10/1m"\nfor = "1h"\n'
    for given, brings in ((text, False), (f'domains = ["d0.test"]\n{text}', True)):
        world = new_world(worlds, given)
        world.worker.verdict = refuse("4.7.1 slow down")
        await world.queue("d0.test", 4)
        await world.run(10.0)
        assert bool(world.shaper.all_effects()) is brings
        await world.queue("d1.test", 1)
        await world.run(60.0)
        assert world.shaper.all_effects() != []


async def test_what_this_server_says_itself_counts_for_no_rule(worlds: list[World]) -> None:
    world = new_world(worlds, '[[provider.big.reply]]\nmatch = "slow"\nmatches = 1\nsuspend = true\nfor = "2h"\n')
    world.worker.verdict = local_verdict(Kind.DEFERRED, Category.RATE_LIMITED, "4.7.1", "slow down, we say")
    await world.queue("d0.test", 3)
    await world.run(10.0)
    assert world.shaper.all_effects() == []


async def test_effects_outlast_a_restart(worlds: list[World]) -> None:
    text = '[[provider.big.reply]]\nmatch = "TSS04"\nmatches = 1\nsuspend = true\nfor = "2h"\n[[provider.big.reply]]\nmatch = "slow"\nmatches = 1\n'
    text += 'message_rate = "10/1m"\nfor = "1h"\n'
    world = new_world(worlds, text)
    world.worker.verdict = refuse("4.7.0 slow, [TSS04] deferred")
    await world.queue("d0.test", 1)
    await world.run(10.0)
    await ShapingKeeper(world.store, world.shaper, world.clock).store()
    after = new_world(worlds, text, world.store)
    await ShapingKeeper(after.store, after.shaper, after.clock).load()
    assert after.shaper.limits("big").message_rate == Rate(10, 60.0)
    await after.queue("d1.test", 2)
    await after.run(600.0)
    assert after.worker.tried == []
    counted = await after.store.count_queue()
    assert counted[DeliveryState.LEASED] == 0
    await after.clock.sleep(8000.0)
    assert after.shaper.all_effects() == []
    await ShapingKeeper(after.store, after.shaper, after.clock).store()
    assert await after.store.list_shaping_effects() == []


async def test_what_replies_brought_ends_by_hand_and_mail_flows(worlds: list[World]) -> None:
    text = '[[provider.big.reply]]\nmatch = "TSS04"\nmatches = 1\nsuspend = true\nfor = "2h"\n'
    text += '[[provider.big.reply]]\nmatch = "slow"\nmatches = 1\nmessage_rate = "1/1h"\nfor = "1h"\n'
    world = new_world(worlds, text)
    keeper = ShapingKeeper(world.store, world.shaper, world.clock, world.scheduler.relax)
    world.worker.verdict = refuse("4.7.0 slow, [TSS04] deferred")
    await world.queue("d0.test", 1)
    await world.run(10.0)
    world.worker.verdict = None
    await keeper.store()
    await world.queue("d1.test", 3)
    await world.run(60.0)
    assert world.worker.tried == ["d0.test"]
    for rule in ("big/1", "big/2"):
        assert await world.store.end_shaping_effect("big", rule, world.clock.now())
    await keeper.end()
    await keeper.store()
    await world.run(10.0)
    assert world.worker.tried == ["d0.test", *["d1.test"] * 3]
    assert world.shaper.limits("big").message_rate is None
    assert await world.store.list_shaping_effects() == []


async def test_an_effect_that_began_after_an_end_by_hand_stays(worlds: list[World]) -> None:
    world = new_world(worlds, '[[provider.big.reply]]\nmatch = "slow"\nmatches = 1\nsuspend = true\nfor = "2h"\n')
    keeper = ShapingKeeper(world.store, world.shaper, world.clock, world.scheduler.relax)
    world.shaper.note_replies("big", "d0.test", ["450 slow"])
    await keeper.store()
    (stored,) = await world.store.list_shaping_effects()
    assert await world.store.end_shaping_effect("big", "big/1", world.clock.now())
    await world.store.put_shaping_effects([stored])  # a round that was under way stores it once more
    after = new_world(worlds, "", world.store)
    await ShapingKeeper(after.store, after.shaper, after.clock).load()
    assert after.shaper.all_effects() == []
    await world.clock.sleep(5.0)
    world.shaper.note_replies("big", "d0.test", ["450 slow"])
    await keeper.end()
    assert [each.rule for each in world.shaper.all_effects()] == ["big/1"]


async def test_what_cannot_be_stored_is_stored_later(worlds: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = new_world(worlds, '[[provider.big.reply]]\nmatch = "slow"\nmatches = 1\nsuspend = true\nfor = "2h"\n')
    world.shaper.note_replies("big", "d0.test", ["450 slow"])
    keeper, put = ShapingKeeper(world.store, world.shaper, world.clock), world.store.put_shaping_effects

    async def fail(*_: object) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(world.store, "put_shaping_effects", fail)
    await keeper.store()
    monkeypatch.setattr(world.store, "put_shaping_effects", put)
    await keeper.store()
    assert [each.rule for each in await world.store.list_shaping_effects()] == ["big/1"]


async def test_processes_know_the_effects_of_one_another(worlds: list[World]) -> None:
    text = '[[provider.big.reply]]\nmatch = "slow"\nmatches = 1\nsuspend = true\nfor = "2h"\n'
    text += '[[provider.other.reply]]\nmatch = "slow"\nmatches = 1\nsuspend = true\nfor = "2h"\n'
    text = '[provider.other]\nmx = ["other.test"]\n' + text
    first = new_world(worlds, text)
    second = new_world(worlds, text, first.store)
    keepers = [ShapingKeeper(each.store, each.shaper, each.clock, each.scheduler.relax) for each in (first, second)]

    async def turn() -> None:
        for keeper in keepers:
            await keeper.share()
            await keeper.end()
            await keeper.store()

    first.shaper.note_replies("big", "d0.test", ["450 slow"])
    second.shaper.note_replies("other", "d0.test", ["450 slow"])
    for keeper in keepers:
        await keeper.store()  # at the same time, neither knows of the other
    for _ in range(2):
        await turn()
    for each in (first, second):
        assert {effect.site for effect in each.shaper.all_effects()} == {"big", "other"}
        assert not each.shaper.has_news
    assert {effect.site for effect in await first.store.list_shaping_effects()} == {"big", "other"}
    assert await first.store.end_shaping_effect("big", "big/1", first.clock.now())
    for _ in range(2):
        await turn()
    for each in (first, second):
        assert [effect.site for effect in each.shaper.all_effects()] == ["other"]
    assert [effect.site for effect in await first.store.list_shaping_effects()] == ["other"]


async def test_other_rules_hold_at_once(worlds: list[World]) -> None:
    world = new_world(worlds, "connections = 4")
    for number in range(4):
        await world.queue(f"d{number}.test", 40)
    await world.run(10.0)
    world.scheduler.use_rules(rules("connections = 1"))
    await world.clock.sleep(2.0)
    world.worker.most_at_once = 0
    await world.run(10.0)
    assert world.worker.most_at_once == 1
