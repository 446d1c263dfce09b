"""Sites that are down or stall, other people's backlog, a store that takes no outcome, replies that say more than their code: from the door to the event."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sendryd.delivery.places import COLD_ATTEMPTS
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId
from sendryd.policy.throttle import FAILURES_TO_SUSPEND
from sendryd.store.base import Lease, Outcome, QueueFilter
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.mailhost import Script
from sendryd.testing.samples import ACCOUNT

from .engine import Engine

pytestmark = [pytest.mark.sockets, pytest.mark.virtual_time(sockets=True)]

OTHER = AccountId(2)


async def test_a_site_that_is_down_is_probed_by_one_message_while_the_others_wait_without_an_attempt(engine: Engine) -> None:
    server = await engine.host("mx.site.test", script=Script(connect=lambda _: "421 4.3.2 Down"))
    for number in range(10):
        engine.names.set(f"d{number}.test", "MX", "10 mx.site.test.")
    messages = [await engine.send(f"u{each}@d{number}.test") for each in range(3) for number in range(10)]
    await asyncio.sleep(50)
    before = server.connections
    assert FAILURES_TO_SUSPEND <= before <= 2 * FAILURES_TO_SUSPEND
    waiting = await engine.store.list_queue(QueueFilter())
    assert len(waiting) == len(messages)
    assert sum(each.attempts for each in waiting) == before
    server.script = Script()
    for message in messages:
        assert (await engine.wait_for(message)).type is EventType.DELIVERED
    assert server.connections - before < len(messages)


async def test_a_destination_whose_attempts_stall_counts_as_cold_and_leaves_its_places(engine: Engine) -> None:
    server = await engine.domain("stall.test")
    for number in range(5):
        await engine.fate(f"u{number}@stall.test")
    # The first of those that stall is lost after 100 seconds: there is room for another, were the destination a good one.
    server.script = Script(seconds_to_final=100, after_final=lambda mail: "drop" if mail.recipients == ["w0@stall.test"] else "stall")
    for number in range(40):
        await engine.send(f"w{number}@stall.test")
    await asyncio.sleep(30)
    taken = len(server.mails)
    assert taken - 5 > COLD_ATTEMPTS
    connections = server.open_connections
    await asyncio.sleep(90)
    assert (len(server.mails), server.open_connections) == (taken, connections - 1)
    await engine.domain("good.test")
    assert (await engine.first_attempt("u@good.test")).type is EventType.DELIVERED


async def test_a_message_of_another_account_passes_a_backlog_within_two_service_intervals(engine: Engine) -> None:
    service = 5.0
    await engine.verify("other.test", OTHER)
    server = await engine.domain("busy.test", Script(seconds_to_final=service))
    for number in range(80):
        await engine.send(f"u{number}@busy.test")
    await asyncio.sleep(2 * service)
    message = await engine.send("other@busy.test", account=OTHER, author="hello@other.test")
    delivered = await engine.wait_for(message, account=OTHER)
    assert delivered.type is EventType.DELIVERED
    queued = (await engine.events(message, account=OTHER))[0]
    assert delivered.created_at - queued.created_at <= timedelta(seconds=2 * service + 1)
    assert len(server.mails) < 80


class DeafStore(MemoryStore):
    """A store that takes no outcome for a while."""

    is_deaf = False

    async def record_attempt(self, lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        if self.is_deaf:
            raise StoreUnavailable("busy")
        await super().record_attempt(lease, outcomes, now)


async def test_while_the_store_takes_no_outcome_nothing_is_sent_twice_and_nothing_new_starts(tmp_path: Path) -> None:
    store = DeafStore()
    async with Engine(tmp_path, store=store) as engine:
        first, second = await engine.domain("first.test"), await engine.domain("second.test")
        store.is_deaf = True
        taken = await engine.send("u@first.test")
        await asyncio.sleep(10)
        later = await engine.send("u@second.test")
        await asyncio.sleep(120)
        assert (len(first.mails), second.connections) == (1, 0)
        assert await engine.types(taken) == await engine.types(later) == ["queued"]
        store.is_deaf = False
        for message in (taken, later):
            assert (await engine.wait_for(message)).type is EventType.DELIVERED
        assert (len(first.mails), len(second.mails)) == (1, 1)


async def test_a_reply_that_no_pattern_knows_counts_by_its_code_and_is_listed(engine: Engine) -> None:
    await engine.domain("moon.test", Script(rcpt=lambda address: f"550 The moon is wrong for <{address}>"))
    await engine.domain("sun.test", Script(rcpt=lambda address: f"450 The sun is wrong for <{address}>"))
    for name in ("ann", "bob"):
        assert (await engine.first_attempt(f"{name}@moon.test")).type is EventType.BOUNCED
        assert (await engine.first_attempt(f"{name}@sun.test")).type is EventType.DEFERRED
    await asyncio.sleep(15)
    found = {each.shape: (each.number, each.host) for each in await engine.store.list_unknown_replies(limit=9)}
    assert found["550 The moon is wrong for ADDRESS"] == (2, "mx.moon.test")
    assert found["450 The sun is wrong for ADDRESS"][0] >= 2


BLAMELESS = [
    "550 5.1.1 <{}>: rejected by policy",
    "550 5.1.1 Recipient address rejected: message looks like spam",
    "550 5.7.1 <{}>: Recipient address rejected: blocked by content filter",
    "550 5.1.1 Too many invalid recipients: directory harvest attack",
    "550 5.1.1 You have exceeded your rate limit",
    "554 5.1.1 Access denied, your host is listed in a blocklist",
    "550 5.1.0 <{}>: your message contains a virus",
    "553 5.1.1 Relaying denied by local policy",
]


async def test_words_of_policy_and_limits_in_a_refusal_suppress_no_address(engine: Engine) -> None:
    for number, reply in enumerate(BLAMELESS):
        await engine.domain(f"d{number}.test", Script(rcpt=reply.format))
    for number, reply in enumerate(BLAMELESS):
        found = await engine.first_attempt(f"u@d{number}.test")
        assert found.type is EventType.BOUNCED, reply
        assert not await engine.store.find_suppressed(ACCOUNT, [f"u@d{number}.test"]), reply
    await engine.domain("gone.test", Script(rcpt=lambda _: "550 5.1.1 No such user"))
    await engine.fate("u@gone.test")
    assert await engine.store.find_suppressed(ACCOUNT, ["u@gone.test"])
