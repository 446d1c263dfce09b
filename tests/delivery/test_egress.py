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
from sendryd.store.base import EgressKind, EgressSuspension, QueueFilter
from sendryd.testing.mailhost import Script
from sendryd.testing.post import Post
from sendryd.testing.samples import ACCOUNT

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
    post = Post(pools=post_pools)
    return post.egress, post


def test_an_address_dials_its_own_family_alone() -> None:
    egress, post = departure({"default": (A, V6)})
    out = egress.departure("", post.samples.message().message)
    assert out.reachable(hop("192.0.2.1", "2001:db8::1")) == hop("192.0.2.1", "2001:db8::1")
    for address, source in (("192.0.2.1", A), ("2001:db8::1", V6)):
        target = out.leave(Target(host="mx.x.test", address=address, port=25, tls=OPPORTUNISTIC), 1)
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
    assert ANY_ADDRESS.leave(target, 1) is target


def test_an_address_that_could_not_be_bound_is_tried_last_for_a_while() -> None:
    egress, post = departure({"default": (A, B)})
    message = post.samples.message().message
    first, second = rank((A, B), message=message.id, account=message.account_id)
    egress.note_unbound(first, "no such address")
    target = egress.departure("", message).leave(Target(host="mx.x.test", address="192.0.2.1", port=25, tls=OPPORTUNISTIC), 1)
    assert target is not None
    assert target.source == second


def suspension(kind: EgressKind, name: str, *, length: timedelta | None = None, reason: str = "") -> EgressSuspension:
    now = SystemClock().now()
    return EgressSuspension(
        kind=kind, name=name, by="operator", since=now, until=now + length if length is not None else None, reason=reason
    )


async def test_a_suspended_address_is_passed_over() -> None:
    async with opened({"default": (A, B)}) as post:
        await post.store.suspend_egress(suspension(EgressKind.ADDRESS, A.address))
        await post.egress.load()
        for _ in range(6):
            await post.send()
        assert {mail.source for mail in post.first.mails} == {B.address}
        await post.store.resume_egress(EgressKind.ADDRESS, A.address)
        await post.egress.load()
        for _ in range(24):
            await post.send()
        assert {mail.source for mail in post.first.mails} == {A.address, B.address}


async def test_with_all_addresses_suspended_mail_waits_until_the_first_of_them_may_send() -> None:
    async with opened({"default": (A, B)}) as post:
        await post.store.suspend_egress(suspension(EgressKind.ADDRESS, A.address, length=timedelta(hours=2), reason="listed"))
        await post.store.suspend_egress(suspension(EgressKind.ADDRESS, B.address, length=timedelta(minutes=10)))
        await post.egress.load()
        assert await post.send() is Signal.NEUTRAL
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert waiting.last_reply.startswith(f"The address pool default cannot send this mail now: {A.address} is suspended until ")
        assert "UTC (listed); 127.0.0.6 is suspended until" in waiting.last_reply
        assert timedelta(minutes=9) < waiting.due_at - post.clock.now() < timedelta(minutes=11)
        assert (waiting.attempts, post.taken) == (0, (0, 0))


@pytest.mark.parametrize(("kind", "name"), [(EgressKind.ADDRESS, A.address), (EgressKind.POOL, "default")])
async def test_mail_put_off_after_its_address_was_resumed_is_due_once_the_engine_has_read_that(kind: EgressKind, name: str) -> None:
    async with opened({"default": (A,)}) as post:
        await post.store.suspend_egress(suspension(kind, name, length=timedelta(hours=3)))
        await post.egress.load()
        await post.store.resume_egress(kind, name)
        await post.send()
        assert not await post.claim_due()
        await post.egress.load()
        for claim in await post.claim_due():
            await post.deliver(claim, None)
        assert [mail.source for mail in post.first.mails] == [A.address]


async def test_an_attempt_under_way_while_the_engine_reads_of_a_resumption_does_not_hold_its_mail_for_the_old_time() -> None:
    async with opened({"default": (A,)}) as post:
        looks = Egress({"default": (A,)}, post.store, post.clock)
        await post.store.suspend_egress(suspension(EgressKind.ADDRESS, A.address))
        await post.egress.load()
        await looks.load()
        await post.store.resume_egress(EgressKind.ADDRESS, A.address)
        await looks.load()
        await post.send()  # by what held before
        assert not await post.claim_due()
        await looks.load()
        assert await post.claim_due()


async def test_a_suspended_pool_sends_nothing_and_other_pools_do() -> None:
    async with opened({"default": (A,), "bulk": (A,)}) as post:
        await post.store.suspend_egress(suspension(EgressKind.POOL, "default"))
        await post.egress.load()
        await post.send()
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert waiting.last_reply == "The address pool default is suspended"
        await name_pool(post, "bulk")
        await post.send("other@two.test")
        assert [mail.source for mail in post.first.mails] == [A.address]


async def test_a_suspension_ends_by_itself_and_is_forgotten() -> None:
    async with opened({"default": (A,)}) as post:
        await post.store.suspend_egress(suspension(EgressKind.ADDRESS, A.address, length=-timedelta(seconds=1)))
        await post.egress.load()
        await post.send()
        assert len(post.first.mails) == 1
        assert await post.store.list_egress_suspensions() == []


async def test_above_the_cap_of_the_day_mail_leaves_from_another_address_or_waits() -> None:
    new = replace(A, warmup_from=SystemClock().now().date(), weight=1000)
    async with opened({"default": (new, B), "alone": (new,)}) as post:
        post.egress.warm_up.take(new, "two.test", 49)
        await post.send("u1@two.test")
        await post.send("u2@two.test")
        assert [mail.source for mail in post.first.mails] == [A.address, B.address]
        await name_pool(post, "alone")
        await post.send("u3@two.test")
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert waiting.last_reply.endswith("warming up address 127.0.0.5: 50 of 50 today to two.test")
        assert waiting.attempts == 0


async def test_what_a_receiver_does_not_take_is_not_counted() -> None:
    new = replace(A, warmup_from=SystemClock().now().date())
    async with opened({"default": (new,)}) as post:
        post.first.script = Script(rcpt=lambda path: "450 4.2.0 Later" if path.startswith("not") else None)
        await post.send("not1@two.test", "yes@two.test", "not2@two.test")
        await post.egress.warm_up.store()
        assert list((await post.store.list_egress_counts(SystemClock().now().date())).values()) == [1]


LISTED = "554 5.7.1 Service unavailable; client host blocked using zen.spamhaus.org"


def refuses(source: Source, reply: str = LISTED) -> Script:
    """This reply to RCPT from one address: the script knows addresses by the name of EHLO."""
    current = ""

    def command(verb: str, line: str) -> str | None:
        nonlocal current
        if verb == "EHLO":
            current = line.partition(" ")[2].strip()
        return reply if verb == "RCPT" and current == source.hello_name else None

    return Script(command=command)


async def test_a_refusal_of_our_address_is_tried_once_from_another_one() -> None:
    async with opened({"default": (replace(A, weight=1000), B)}) as post:
        post.first.script = refuses(A)
        await post.send()
        assert [mail.source for mail in post.first.mails] == [B.address]
        event = await post.last_event()
        assert (event["type"], event["source"]) == ("delivered", B.address)


async def test_refused_from_a_second_address_it_is_put_off_and_nobody_suppressed() -> None:
    third = Source("127.0.0.7", "c.test")
    async with opened({"default": (A, B, third)}) as post:
        post.first.script = Script(rcpt=lambda _: LISTED)
        await post.send("u@two.test")
        event = await post.last_event()
        assert (event["type"], event["category"], str(event["enhanced_code"])[0]) == ("deferred", "ip_reputation", "4")
        assert post.first.connections == 2
        assert not await post.store.find_suppressed(ACCOUNT, ["u@two.test"])
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert waiting.attempts == 1


async def test_a_refusal_of_our_address_in_the_greeting_is_tried_from_another_one_too() -> None:
    async with opened({"default": (A, B)}) as post:
        post.first.script = Script(connect=lambda number: LISTED if number == 1 else None)
        await post.send()
        assert (post.first.connections, len(post.first.mails)) == (2, 1)


async def test_without_pools_a_refusal_of_our_address_bounces_as_before() -> None:
    async with opened({}) as post:
        post.first.script = Script(rcpt=lambda _: LISTED)
        await post.send()
        assert (await post.last_event())["type"] == "bounced"
