"""The address that mail leaves from, over real sockets on loopback, and what happens when it cannot be used."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.delivery.egress import ANY_ADDRESS, Egress
from sendryd.delivery.target import Target
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import SendingDomain
from sendryd.model.ids import DomainId
from sendryd.policy.egress import Pools, Source, rank
from sendryd.policy.replies.verdict import Verdict
from sendryd.policy.routing import MailHost, NextHop
from sendryd.policy.throttle import Signal
from sendryd.policy.tls import OPPORTUNISTIC
from sendryd.runtime.clock import SystemClock
from sendryd.store.base import QueueFilter
from sendryd.testing.mailhost import Script
from sendryd.testing.post import Post

pytestmark = pytest.mark.sockets

A, B, GONE = Source("127.0.0.5", "a.test"), Source("127.0.0.6", "b.test"), Source("192.0.2.7", "gone.test", weight=1000)
V6 = Source("::1", "six.test")


@asynccontextmanager
async def opened(pools: Pools, *, domain_pool: str = "") -> AsyncIterator[Post]:
    post = Post(pools=pools, check_interval=0.0)
    await post.open()
    try:
        if domain_pool:
            await name_pool(post, domain_pool)
        yield post
    finally:
        await post.aclose()


async def name_pool(post: Post, pool: str) -> None:
    domain: SendingDomain | None = await post.store.get_domain(DomainId(1))
    assert domain is not None
    await post.store.set_domain_settings(domain, replace(domain.settings, pool=pool), None)


async def test_the_receiver_sees_the_address_and_its_name() -> None:
    async with opened({"default": (A,)}) as post:
        await post.send()
        (mail,) = post.first.mails
        assert (mail.source, mail.helo) == (A.address, "a.test")
        event = await post.last_event()
        assert (event["type"], event["source"]) == ("delivered", A.address)


async def test_without_a_default_pool_the_system_chooses() -> None:
    async with opened({"bulk": (A,)}) as post:
        await post.send()
        assert (post.first.mails[0].source, post.first.mails[0].helo) == ("127.0.0.1", "relay.test")
        assert "source" not in await post.last_event()


async def test_a_domain_leaves_from_the_pool_that_it_names() -> None:
    async with opened({"default": (A,), "bulk": (B,)}, domain_pool="bulk") as post:
        await post.send()
        assert post.first.mails[0].source == B.address


async def test_a_dialogue_names_the_address() -> None:
    async with opened({"default": (A,)}) as post:
        post.first.script = Script(rcpt=lambda _: "450 4.2.0 Later")
        await post.send()
        place = (await post.last_event())["dialogue"]
        (dialogue,) = (await post.dialogues.read_dialogues({str(place)})).values()
        assert dialogue.sessions[0].lines[0].text == "from 127.0.0.5, as a.test"


async def test_a_message_that_is_tried_again_keeps_its_address() -> None:
    async with opened({"default": (A, B)}) as post:
        seen: dict[str, set[str]] = {}
        greylisted: set[str] = set()

        def once(recipient: str) -> str | None:
            is_new = recipient not in greylisted
            greylisted.add(recipient)
            return "450 4.2.0 Greylisted, try again later" if is_new else None

        post.first.script = Script(rcpt=once)
        for number in range(24):
            await post.send(f"u{number}@two.test")
            event = await post.last_event()
            seen[f"u{number}@two.test"] = {str(event["source"])}
        await post.store.retry(QueueFilter(), post.clock.now())
        for claim in await post.claim_due():
            await post.deliver(claim, None)
        for mail in post.first.mails:
            seen[mail.recipients[0]].add(mail.source)
        assert len(post.first.mails) == 24
        assert all(len(sources) == 1 for sources in seen.values())
        assert set.union(*seen.values()) == {A.address, B.address}


async def test_sessions_are_kept_apart_by_address() -> None:
    async with opened({"default": (A, B)}) as post:
        for _ in range(24):
            await post.send()
        by_connection: dict[int, set[str]] = {}
        for mail in post.first.mails:
            by_connection.setdefault(mail.connection, set()).add(mail.source)
        assert sorted(map(sorted, by_connection.values())) == [[A.address], [B.address]]


async def test_an_address_that_is_not_on_the_machine_is_stepped_over() -> None:
    async with opened({"default": (GONE, A)}) as post:
        for _ in range(6):
            assert await post.send() is Signal.GOOD
        assert {mail.source for mail in post.first.mails} == {A.address}
        assert post.egress.is_unbound(GONE)


async def test_with_no_address_that_can_be_used_mail_waits_and_no_attempt_is_counted() -> None:
    async with opened({"default": (GONE,)}) as post:
        assert await post.send() is Signal.NEUTRAL  # the receiver is not to blame
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert (waiting.state, waiting.attempts) == (DeliveryState.QUEUED, 0)
        assert "192.0.2.7 cannot be used on this machine" in waiting.last_reply
        event = await post.last_event()
        assert (event["type"], event["waits"]) == ("deferred", True)
        assert post.first.connections == post.second.connections == 0


async def test_a_reason_that_stays_is_one_event() -> None:
    async with opened({"default": (GONE,)}) as post:
        await post.send()
        first = await post.last_event()
        await post.store.retry(QueueFilter(), post.clock.now())
        for claim in await post.claim_due():
            await post.deliver(claim, None)
        assert await post.last_event() == first
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert waiting.due_at > post.clock.now() + timedelta(minutes=1)


async def test_a_pool_that_is_not_configured_any_more_holds_its_mail_back_until_it_is_again() -> None:
    async with opened({"default": (A,)}, domain_pool="gone") as post:
        assert await post.send() is Signal.NEUTRAL
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert "The address pool gone is not configured any more" in waiting.last_reply
        assert post.taken == (0, 0)
        await name_pool(post, "")
        await post.store.retry(QueueFilter(), post.clock.now())
        for claim in await post.claim_due():
            await post.deliver(claim, None)
        assert [mail.source for mail in post.first.mails] == [A.address]


async def test_a_receiver_that_refuses_connections_says_nothing_of_the_address() -> None:
    async with opened({"default": (A, B)}) as post:
        await post.first.aclose()
        assert await post.send() is Signal.GOOD
        assert len(post.second.mails) == 1
        assert not (post.egress.is_unbound(A) or post.egress.is_unbound(B))


def hop(*addresses: str) -> NextHop:
    return NextHop("x.test", (MailHost("mx.x.test", addresses),), 25)


def departure(post_pools: Pools) -> tuple[Egress, Post]:
    return Egress(post_pools, SystemClock()), Post()


def test_an_address_dials_its_own_family_alone() -> None:
    egress, post = departure({"default": (A, V6)})
    out = egress.departure("", post.samples.message().message)
    assert out.reachable(hop("192.0.2.1", "2001:db8::1")) == hop("192.0.2.1", "2001:db8::1")
    for address, source in (("192.0.2.1", A), ("2001:db8::1", V6)):
        target = out.leave(Target(host="mx.x.test", address=address, port=25, tls=OPPORTUNISTIC))
        assert target is not None
        assert target.source == source


def test_a_pool_of_one_family_leaves_out_the_addresses_of_the_other() -> None:
    egress, post = departure({"default": (A,)})
    out = egress.departure("", post.samples.message().message)
    assert out.reachable(hop("2001:db8::1", "192.0.2.1")) == hop("192.0.2.1")
    nothing = out.reachable(hop("2001:db8::1"))
    assert isinstance(nothing, Verdict)
    assert nothing.waits
    assert "only IPv4 addresses, and the mail servers of x.test have only IPv6 ones" in nothing.sentence


def test_without_pools_nothing_changes() -> None:
    egress, post = departure({})
    assert egress.departure("", post.samples.message().message) is ANY_ADDRESS
    target = Target(host="mx.x.test", address="192.0.2.1", port=25, tls=OPPORTUNISTIC)
    assert ANY_ADDRESS.leave(target) is target


def test_an_address_that_could_not_be_bound_is_tried_last_for_a_while() -> None:
    egress, post = departure({"default": (A, B)})
    message = post.samples.message().message
    first, second = rank((A, B), message=message.id, account=message.account_id)
    egress.note_unbound(first, "no such address")
    target = egress.departure("", message).leave(Target(host="mx.x.test", address="192.0.2.1", port=25, tls=OPPORTUNISTIC))
    assert target is not None
    assert target.source == second
