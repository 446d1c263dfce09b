"""What is not attempted: held until it is repaired, or ended because the address gets no mail any more."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import dkim
import pytest

from sendryd.delivery.withholding import CONTENT_DAMAGED, SIGNING_KEY_DAMAGED
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import DomainId, MessageId
from sendryd.store.base import DomainCheck, QueueFilter
from sendryd.store.errors import ContentDamaged, LeaseLost, NotFound, RowUnreadable
from sendryd.testing.post import Post, signing_key
from sendryd.testing.samples import ACCOUNT

from .conftest import opened

pytestmark = pytest.mark.sockets


def verifies(content: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda _name, **_: f"v=DKIM1; k=rsa; p={signing_key()[1]}".encode()))


async def test_nothing_is_sent_under_a_lease_that_is_lost_while_addresses_are_skipped(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: Any) -> None:
        raise LeaseLost("it is another's")

    claims = await post.claim("kept@two.test", "out@two.test")

    async def suppressed(_account: int, emails: Sequence[str]) -> frozenset[str]:
        return frozenset(email for email in emails if email.startswith("out@"))

    monkeypatch.setattr(post.store, "find_suppressed", suppressed)
    monkeypatch.setattr(post.store, "record_attempt", lost)
    await post.deliver(claims[0], None)
    assert post.taken == (0, 0)


@pytest.mark.parametrize("fault", [ContentDamaged("0000000001.seg is missing"), NotFound("no such message")])
async def test_a_message_whose_content_is_damaged_is_held_and_goes_out_once_it_is_whole_again(
    post: Post, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def damaged(_: MessageId) -> bytes:
        raise fault

    (claim,) = await post.claim("u@two.test")
    with monkeypatch.context() as patch:
        patch.setattr(post.store, "read_content", damaged)
        await post.deliver(claim, None)
    (waiting,) = await post.store.list_queue(QueueFilter())
    assert (waiting.state, waiting.hold_reason, waiting.attempts) == (DeliveryState.HELD, HoldReason.CONTENT_DAMAGED, 0)
    assert str(fault) in waiting.last_reply
    event = await post.last_event()
    assert (event["type"], event["held"], event["reason"]) == ("deferred", True, CONTENT_DAMAGED)
    assert (post.taken, post.worker.damaged) == ((0, 0), 1)
    assert await post.store.release_held(QueueFilter(), post.clock.now()) == 1
    (claim,) = await post.claim_due()
    await post.deliver(claim, None)
    assert (await post.last_event())["type"] == "delivered"


def altered(pem: bytes, position: int) -> bytes:
    return pem[:position] + (b"A" if pem[position : position + 1] != b"A" else b"B") + pem[position + 1 :]


DAMAGED_KEYS = [
    b"",
    b"PEM",
    b"\xff" * 1700,
    signing_key()[0][:500],
    signing_key()[0].replace(b"PRIVATE", b"PUBLIC"),
    *(altered(signing_key()[0], len(signing_key()[0]) * part // 10) for part in range(1, 10, 2)),
]


@pytest.mark.parametrize("pem", DAMAGED_KEYS, ids=range(len(DAMAGED_KEYS)))
async def test_mail_whose_signing_key_is_damaged_is_held_and_goes_out_once_it_is_repaired(
    post: Post, monkeypatch: pytest.MonkeyPatch, pem: bytes
) -> None:
    async def damaged(_: DomainId) -> bytes:
        return pem

    (claim,) = await post.claim("u@two.test", "v@two.test")
    with monkeypatch.context() as patch:
        patch.setattr(post.store, "read_private_key", damaged)
        await post.deliver(claim, None)
    held = await post.store.list_queue(QueueFilter())
    if not held:  # the other numbers of the key were enough
        assert verifies(post.first.mails[0].content)
        return
    assert {(each.state, each.hold_reason, each.attempts) for each in held} == {(DeliveryState.HELD, HoldReason.SIGNING_KEY_DAMAGED, 0)}
    event = await post.last_event()
    assert (event["type"], event["held"], event["reason"]) == ("deferred", True, SIGNING_KEY_DAMAGED)
    assert (post.taken, post.worker.damaged) == ((0, 0), 2)
    assert await post.store.release_held(QueueFilter(), post.clock.now()) == 2
    (claim,) = await post.claim_due()
    await post.deliver(claim, None)
    assert verifies(post.first.mails[0].content)


async def test_mail_whose_sending_domain_cannot_be_read_is_held(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def damaged(_: DomainId) -> None:
        raise RowUnreadable("dom_1", "KeyError: tls_policy")

    (claim,) = await post.claim("u@two.test")
    monkeypatch.setattr(post.store, "get_domain", damaged)
    await post.deliver(claim, None)
    (held,) = await post.store.list_queue(QueueFilter())
    assert (held.state, held.hold_reason) == (DeliveryState.HELD, HoldReason.SIGNING_KEY_DAMAGED)


@pytest.fixture
async def watchful_post() -> AsyncIterator[Post]:
    """Its signer looks for changes each time."""
    async with opened(Post(check_interval=0.0)) as made:
        yield made


async def test_mail_whose_domain_was_removed_is_held_and_goes_on_when_it_is_verified_again(watchful_post: Post) -> None:
    post = watchful_post
    now = post.clock.now()
    (claim,) = await post.claim("u1@two.test", "u2@two.test")
    await post.store.remove_domain(DomainId(1), now)
    await post.deliver(claim, b"From: a@example.test\r\n\r\nbody\r\n")
    held = await post.store.list_queue(QueueFilter())
    assert {(each.state, each.hold_reason, each.attempts) for each in held} == {(DeliveryState.HELD, HoldReason.DOMAIN_REMOVED, 0)}
    assert {each.last_reply for each in held} == {"Held: its sending domain was removed"}
    assert (await post.last_event())["type"] == "queued"

    new = post.samples.domain()
    check = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=now, verified_at=now, failing_since=None, failures=0)
    await post.store.add_domain(replace(new, private_key=signing_key()[0]))
    await post.store.record_domain_check(new.domain, check)
    assert await post.store.release_for_domain(ACCOUNT, "example.test", now) == 2
    lease = post.samples.lease()
    (claim,) = await post.store.claim_deliveries(now=post.clock.now(), lease=lease, limit=9, busy=frozenset(), per_domain=9)
    await post.deliver(claim, None)
    assert verifies(post.first.mails[0].content)
    assert await post.store.list_queue(QueueFilter()) == []
