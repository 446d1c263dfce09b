"""Webhooks are told what they are owed, whatever their endpoints are like and whenever the program ends."""

import asyncio
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from sendryd.model.webhook import NotificationState
from sendryd.notify import dispatcher, endpoint
from sendryd.notify.dispatcher import COMPARE_INTERVAL
from sendryd.notify.endpoint import START_WINDOW
from sendryd.policy.throttle import FAILURES_TO_SUSPEND
from sendryd.runtime.http import AiohttpClient
from sendryd.runtime.resolver import Resolver
from sendryd.store.base import Lease, Owner
from sendryd.store.errors import StoreUnavailable
from sendryd.testing.nameserver import NameServer
from sendryd.testing.webhookhost import Fate, Reaction, WebhookHost

from .conftest import ACCOUNT, DELAYS, SHORT, WAIT, World

pytestmark = pytest.mark.sockets


@pytest.mark.parametrize(
    ("reaction", "status", "words"),
    [
        (Reaction(status=302, headers={"Location": "http://127.0.0.1/"}), 302, "Redirects are not followed"),
        (Reaction(status=199, raw=b"HTTP/1.1 304 Not Modified\r\n\r\n"), 304, "Redirects"),
        (Fate.SILENCE, None, "No answer within 1 seconds."),
        (Fate.RESET, None, "closed the connection"),
        (Reaction(drip=0.05), None, "No answer"),
        (Reaction(raw=b"\xff\xfe garbage\r\n\r\n"), None, "not valid HTTP"),
    ],
)
async def test_hostile_endpoints(world: World, host: WebhookHost, reaction: Reaction | Fate, status: int | None, words: str) -> None:
    host.script = lambda _: reaction
    if words.startswith("No answer"):
        world.client._total_timeout = SHORT
    (owed,) = await world.owe(await world.webhook(host.url))
    world.start()
    await world.watched.wait(1)
    told = await world.get(owed)
    assert (told.state, told.status_code) == (NotificationState.PENDING, status)
    assert words in told.response
    assert len(host.received) == 1


async def test_names_that_lead_inside_are_not_connected_to(world: World, host: WebhookHost, names: NameServer) -> None:
    names.set("inside.test", "A", "127.0.0.1")
    world.client = AiohttpClient(Resolver(world.clock, (names.host, names.port)), world.clock, allow_private=False)
    for url in (f"http://inside.test:{host.port}/", host.url):
        await world.owe(await world.webhook(url))
    made = world.start()
    for outcome in await world.watched.wait(2):
        assert (outcome.state, outcome.status_code) == (NotificationState.PENDING, None)
        assert "public" in outcome.response
    assert host.connections == 0
    assert made.statistics()["refused"] == 2
    await world.client.aclose()


async def test_a_dead_endpoint_costs_little_and_holds_up_nobody(world: World, host: WebhookHost) -> None:
    async with WebhookHost(lambda _: Fate.CLOSE) as dead:
        owed = await world.owe(await world.webhook(dead.url), 100)
        made = world.start()
        await dead.wait(START_WINDOW)
        await world.owe(await world.webhook(host.url))
        world.wakeup.set()
        await host.wait(1)
        await world.watched.wait(START_WINDOW + 1)
        assert len(dead.received) == START_WINDOW >= FAILURES_TO_SUSPEND
        assert made.statistics()["suspended"] == 1
        world.advance(DELAYS[0] / 2)
        await world.owe(await world.webhook(host.url))
        world.wakeup.set()
        await host.wait(2)
        assert len(dead.received) == START_WINDOW
        for probes in (1, 2, 3):
            world.advance(endpoint.MAX_PAUSE)
            await world.watched.wait(START_WINDOW + 2 + probes)
            assert len(dead.received) == START_WINDOW + probes
        assert sum([(await world.get(each)).attempts for each in owed]) == START_WINDOW + 3
        dead.script = lambda _: Reaction()
        world.advance(endpoint.MAX_PAUSE)
        await world.watched.wait(START_WINDOW + 5 + len(owed) - 3)
        for _ in range(20):  # those that were tried before wait for their own time
            seen = len(world.watched.outcomes)
            if (due := await world.store.notification_due_at()) is not None and due > world.clock.now():
                world.advance(due - world.clock.now())
            if all([(await world.get(each)).state is NotificationState.DELIVERED for each in owed]):
                break
            await world.watched.wait(seen + 1)
        assert {(await world.get(each)).state for each in owed} == {NotificationState.DELIVERED}


async def test_a_slow_endpoint_has_its_window_and_no_more(world: World, host: WebhookHost) -> None:
    gate = asyncio.Event()
    async with WebhookHost(lambda _: Reaction(after=gate)) as slow:
        await world.owe(await world.webhook(slow.url), 50)
        world.start()
        await slow.wait(START_WINDOW)
        await world.owe(await world.webhook(host.url), 50)
        world.wakeup.set()
        await host.wait(50)
        assert len(slow.received) == START_WINDOW
        gate.set()
        await world.watched.wait(100)
        assert slow.most_active <= endpoint.MAX_WINDOW
    assert {outcome.state for outcome in world.watched.outcomes} == {NotificationState.DELIVERED}


async def test_killed_between_the_answer_and_its_record_it_is_told_again(world: World, host: WebhookHost) -> None:
    (owed,) = await world.owe(await world.webhook(host.url))
    world.watched.is_stuck = True
    world.start()
    await world.watched.stuck.wait()
    await world.kill()
    world.watched.is_stuck = False
    await world.restart()
    await world.watched.wait(1)
    assert len(host.received) == 2
    assert len({request.headers["webhook-id"] for request in host.received}) == 1
    assert ((await world.get(owed)).state, (await world.get(owed)).attempts) == (NotificationState.DELIVERED, 1)


async def test_stopping_waits_for_answers(world: World, host: WebhookHost) -> None:
    gate = asyncio.Event()
    host.script = lambda _: Reaction(after=gate)
    (owed,) = await world.owe(await world.webhook(host.url))
    made = world.start()
    await host.wait(1)
    stopping = asyncio.create_task(made.stop())
    await world.owe(await world.webhook(host.url))
    gate.set()
    await stopping
    assert (await world.get(owed)).state is NotificationState.DELIVERED
    assert len(host.received) == 1
    _, task = world.running[0]
    await asyncio.wait_for(task, WAIT)


async def test_stopping_does_not_wait_for_ever(world: World, host: WebhookHost) -> None:
    host.script = lambda request: Fate.SILENCE if request.number == 1 else Reaction()
    (owed,) = await world.owe(await world.webhook(host.url))
    made = world.start()
    await host.wait(1)
    await made.stop(timeout=0.01)
    assert (await world.get(owed)).state is NotificationState.PENDING
    world.start()
    await world.watched.wait(1)
    assert (await world.get(owed)).state is NotificationState.DELIVERED


async def test_an_outcome_that_cannot_be_stored_is_kept_and_nothing_new_is_started(world: World, host: WebhookHost) -> None:
    world.watched.faults = [StoreUnavailable("full"), StoreUnavailable("full")]
    (owed,) = await world.owe(await world.webhook(host.url))
    made = world.start()
    await world.watched.wait(1)
    assert (await world.get(owed)).state is NotificationState.DELIVERED
    assert len(host.received) == 1
    await made.stop()
    assert made.statistics()["unrecorded"] == 0


async def test_one_that_cannot_be_made_does_not_hold_up_the_others(world: World, host: WebhookHost) -> None:
    (broken,) = await world.owe(await world.webhook(host.url, secret="not ours"))
    (good,) = await world.owe(await world.webhook(host.url))
    world.start()
    await world.watched.wait(2)
    assert (await world.get(good)).state is NotificationState.DELIVERED
    assert "attempt failed here" in (await world.get(broken)).response


async def test_a_webhook_that_is_removed_meanwhile(world: World, host: WebhookHost) -> None:
    gate = asyncio.Event()
    host.script = lambda request: Reaction(after=gate) if request.number == 1 else Reaction()
    webhook = await world.webhook(host.url)
    await world.owe(webhook)
    made = world.start()
    await host.wait(1)
    await world.store.remove_webhook(ACCOUNT, webhook.id)
    gate.set()
    await world.watched.wait(1)
    await world.owe(await world.webhook(host.url))
    world.wakeup.set()
    await world.watched.wait(2)
    await made.stop()
    assert len(host.received) == 2
    assert "attempts" in repr(made)


RETRY_AFTER = [
    "-1",
    "9" * 4000,
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "soon",
    "0x10",
    "",
    "Sun, 99 Foo -1 99:99:99",
]


@pytest.mark.parametrize("value", RETRY_AFTER)
async def test_no_form_of_retry_after_breaks_the_dispatcher(world: World, host: WebhookHost, value: str) -> None:
    host.script = lambda _: Reaction(status=503, headers={"Retry-After": value})
    (owed,) = await world.owe(await world.webhook(host.url))
    world.start()
    await world.watched.wait(1)
    found = await world.get(owed)
    assert (found.state, found.attempts, found.status_code) == (NotificationState.PENDING, 1, 503)
    assert world.clock.now() < found.due_at <= world.clock.now() + timedelta(hours=1.2)


@pytest.mark.parametrize(("module", "what"), [(dispatcher, "read_answer"), (endpoint, "note_failure"), (dispatcher, "next_due")])
async def test_a_bug_after_the_answer_is_a_failed_attempt(
    world: World, host: WebhookHost, monkeypatch: pytest.MonkeyPatch, module: ModuleType, what: str
) -> None:
    true, calls = getattr(module, what), 0

    def failing_once(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise LookupError("a bug")
        return true(*args, **kwargs)

    monkeypatch.setattr(module, what, failing_once)
    host.script = lambda _: Reaction(status=503)
    (owed,) = await world.owe(await world.webhook(host.url))
    world.start()
    await world.watched.wait(1)
    found = await world.get(owed)
    assert (found.state, found.attempts) == (NotificationState.PENDING, 1)
    assert found.due_at > world.clock.now()
    assert len(host.received) == 1


async def test_an_outcome_that_the_store_refuses_is_not_retried(world: World, host: WebhookHost) -> None:
    world.watched.faults = [LookupError("a bug"), LookupError("a bug")]
    (owed,) = await world.owe(await world.webhook(host.url))
    made = world.start()
    await host.wait(1)
    for _ in range(5):
        await asyncio.sleep(0.01)
        world.advance(timedelta(minutes=1))
    assert (await world.get(owed)).state is NotificationState.LEASED
    assert len(host.received) == 1
    await made.stop()
    assert (await world.get(owed)).state is NotificationState.PENDING


async def test_a_claim_that_was_cut_off_is_returned_at_the_second_look(world: World, host: WebhookHost) -> None:
    (owed,) = await world.owe(await world.webhook(host.url))
    lease = Lease(token=1, owner=Owner(node="local", boot=1))
    await world.store.claim_notifications(now=world.clock.now(), lease=lease, limit=9, busy=frozenset(), per_webhook=9)
    world.start()
    for _ in range(4):
        await asyncio.sleep(0.02)
        world.advance(timedelta(seconds=COMPARE_INTERVAL))
    await host.wait(1)
    await world.watched.wait(1)
    assert (await world.get(owed)).state is NotificationState.DELIVERED


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_clock_that_is_set_back_stalls_no_notification(world: World, host: WebhookHost, *, is_restarted: bool) -> None:
    host.script = lambda request: Reaction(status=500 if request.number == 1 else 200)
    (owed,) = await world.owe(await world.webhook(host.url))
    made = world.start()
    await world.watched.wait(1)
    if is_restarted:
        await made.stop()
    world.clock.set_wall(world.clock.now() - timedelta(days=30))
    if is_restarted:
        await world.restart()
    world.wakeup.set()
    await world.watched.wait(2)
    assert (await world.get(owed)).state is NotificationState.DELIVERED
