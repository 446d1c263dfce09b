"""Domains with a smart host of their own: the login, the lane, what may be reached, and changes while mail waits."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import DomainId, EventId
from sendryd.policy.egress import Source
from sendryd.policy.smarthost import parse_smart_host, smart_host_lane, write_smart_host
from sendryd.policy.throttle import Signal
from sendryd.store.base import EgressKind, EgressSuspension, EventMaker, NewEvent, QueueFilter
from sendryd.testing.mailhost import DEFAULT_EXTENSIONS, Script
from sendryd.testing.post import Post
from sendryd.testing.samples import ACCOUNT

pytestmark = pytest.mark.sockets


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    made = Post(check_interval=0.0)
    await made.open()
    made.second.extensions = (*DEFAULT_EXTENSIONS, "AUTH PLAIN")
    made.second.script = Script(command=lambda verb, _line: "235 2.7.0 Welcome" if verb == "AUTH" else None)
    yield made
    await made.aclose()


async def name_smart_host(post: Post, url: str, *, may_be_private: bool = True, pool: str = "") -> None:
    domain = await post.store.get_domain(DomainId(1))
    assert domain is not None
    smart_host = parse_smart_host(url)
    shown = write_smart_host(smart_host) if smart_host is not None else ""
    password = smart_host.credentials[1] if smart_host is not None and smart_host.credentials is not None else ""
    settings = replace(domain.settings, smarthost=shown, smarthost_may_be_private=may_be_private, pool=pool)
    await post.store.set_domain_settings(domain, settings, None, smarthost_password=password)


def url_of(post: Post) -> str:
    return f"smtp+notls://user:s3cret@{post.second.host}:{post.second.port}"


async def accept(post: Post, *recipients: str) -> None:
    await post.store.accept(post.samples.message(recipients, created_at=post.clock.now()))


async def test_a_domains_mail_goes_to_its_smart_host_with_a_login(post: Post) -> None:
    await name_smart_host(post, url_of(post))
    await accept(post, "a@one.test", "b@two.test")
    await post.store.reroute(DomainId(1), smart_host_lane(url_of(post), ACCOUNT))
    (claim,) = await post.claim_due()
    assert await post.deliver(claim, None) is Signal.GOOD
    (mail,) = post.second.mails
    assert sorted(mail.recipients) == ["a@one.test", "b@two.test"]
    assert "AUTH PLAIN AHVzZXIAczNjcmV0" in post.second.lines
    assert not post.first.connections


async def test_a_login_that_is_refused_defers_and_names_no_password(post: Post) -> None:
    post.second.script = Script(command=lambda verb, _line: "535 5.7.8 Wrong" if verb == "AUTH" else None)
    await name_smart_host(post, url_of(post))
    await accept(post, "a@two.test")
    await post.store.reroute(DomainId(1), smart_host_lane(url_of(post), ACCOUNT))
    (claim,) = await post.claim_due()
    await post.deliver(claim, None)
    event = await post.last_event()
    assert (event["type"], event["category"]) == ("deferred", "auth_failed")
    (dialogue,) = (await post.dialogues.read_dialogues({str(event["dialogue"])})).values()
    said = [line.text for line in dialogue.sessions[0].lines]
    assert "AUTH PLAIN ***" in said
    assert not [line for line in said if "s3cret" in line or "AHVzZXIA" in line]


async def test_a_new_password_is_used_at_once(post: Post) -> None:
    for url in (url_of(post), url_of(post).replace("s3cret", "n3w")):
        await name_smart_host(post, url)
        await accept(post, "a@two.test")
        await post.store.reroute(DomainId(1), smart_host_lane(url, ACCOUNT))
        for claim in await post.claim_due():
            await post.deliver(claim, None)
    assert len([line for line in post.second.lines if line.startswith("AUTH")]) == 2  # no session is kept for another login


async def test_mail_in_another_lane_than_the_setting_says_is_moved_there(post: Post) -> None:
    await accept(post, "a@two.test")
    await name_smart_host(post, url_of(post))
    for lane in (smart_host_lane(url_of(post), ACCOUNT), "two.test"):
        await post.store.retry(QueueFilter(), post.clock.now())
        (claim,) = await post.claim_due()
        assert await post.deliver(claim, None) is Signal.NEUTRAL
        (waiting,) = await post.store.list_queue(QueueFilter())
        assert (waiting.domain, waiting.attempts, waiting.state) == (lane, 0, DeliveryState.QUEUED)
        await name_smart_host(post, "")
    assert post.taken == (0, 0)


async def test_a_tenants_smart_host_is_not_reached_inside_the_network() -> None:
    post = Post(check_interval=0.0, allow_private=False)
    await post.open()
    try:
        for may_be_private, connections in ((False, 0), (True, 1)):
            await name_smart_host(post, url_of(post), may_be_private=may_be_private)
            await accept(post, "a@two.test")
            await post.store.reroute(DomainId(1), smart_host_lane(url_of(post), ACCOUNT))
            (claim,) = await post.claim_due()
            await post.deliver(claim, None)
            assert post.second.connections == connections
            if not may_be_private:
                assert "which only an operator may set" in str((await post.last_event())["reason"])
                await post.store.cancel(QueueFilter(), post.clock.now(), cancelled(post))
    finally:
        await post.aclose()


def cancelled(post: Post) -> EventMaker:
    return lambda word, metadata: NewEvent(id=EventId(post.samples.number()), type=word, metadata=metadata)


async def test_a_suspended_pool_of_the_domain_holds_mail_for_its_smart_host(post: Post) -> None:
    pooled = Post(pools={"bulk": (Source("192.0.2.77", "mx.example.test"),)}, check_interval=0.0)
    await pooled.open()
    pooled.second.script = post.second.script
    await name_smart_host(pooled, url_of(pooled).replace("user:s3cret@", ""), pool="bulk")
    await pooled.store.suspend_egress(
        EgressSuspension(kind=EgressKind.POOL, name="bulk", until=None, by="Ann", since=pooled.clock.now(), reason="listed")
    )
    await pooled.egress.load()
    await accept(pooled, "a@two.test")
    await pooled.store.reroute(DomainId(1), smart_host_lane(url_of(pooled).replace("user:s3cret@", ""), ACCOUNT))
    (claim,) = await pooled.claim_due()
    await pooled.deliver(claim, None)
    (waiting,) = await pooled.store.list_queue(QueueFilter())
    assert (waiting.last_reply, waiting.attempts) == ("The address pool bulk is suspended (listed)", 0)
    assert not pooled.second.connections
    await pooled.aclose()
