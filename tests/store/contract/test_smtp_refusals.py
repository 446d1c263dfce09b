"""The log of the SMTP door."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.blockedaddress import BlockedAddress
from sendryd.model.ids import AccountId, ApiKeyId, SmtpRefusalId
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.store.base import Store
from sendryd.store.errors import LimitReached, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

KEEP = NOW - timedelta(days=7)


def refusal(samples: Samples, recipient: str = "ann@example.org", account_id: AccountId | None = ACCOUNT) -> SmtpRefusal:
    return SmtpRefusal(
        id=SmtpRefusalId(samples.number()),
        account_id=account_id,
        api_key_id=ApiKeyId(7) if account_id else None,
        address="192.0.2.7",
        helo="app.test",
        is_encrypted=True,
        step="content",
        cause="domain_not_verified",
        reply="550 5.7.1 The domain is not verified",
        sender="shop@acme.test",
        recipients=(recipient, "bob@example.org"),
        created_at=NOW,
    )


async def test_refusals_are_found_by_sender_recipient_and_address(store: Store, samples: Samples) -> None:
    first, second, stranger = refusal(samples), refusal(samples, "eve@example.net"), refusal(samples, "x_y@example.net", None)
    await store.add_smtp_refusals([first, second, stranger], {first.id: 3}, keep_since=KEEP, most=10)
    page = await store.page_smtp_refusals(None, limit=2)
    assert (page.items, page.has_more) == ((stranger, second), True)
    assert (await store.page_smtp_refusals(None, limit=2, before=second.id)).items == (replace(first, more=3),)
    assert (await store.page_smtp_refusals(ACCOUNT, limit=9)).items == (second, replace(first, more=3))
    assert (await store.page_smtp_refusals(None, text="EVE@", limit=9)).items == (second,)
    assert (await store.page_smtp_refusals(None, text="acme", limit=9)).items == (stranger, second, replace(first, more=3))
    assert (await store.page_smtp_refusals(None, text="xzy", limit=9)).items == ()
    assert len((await store.page_smtp_refusals(None, text="192.0.2.7", limit=9)).items) == 3


async def test_the_latest_refusals_are_kept(store: Store, samples: Samples) -> None:
    made = [refusal(samples) for _ in range(5)]
    await store.add_smtp_refusals(made, {}, keep_since=KEEP, most=3)
    assert [each.id for each in (await store.page_smtp_refusals(None, limit=9)).items] == [each.id for each in made[:1:-1]]
    await store.add_smtp_refusals([], {made[4].id: 1, made[0].id: 1}, keep_since=NOW + timedelta(hours=1), most=3)
    assert (await store.page_smtp_refusals(None, limit=9)).items == ()


def blocked(network: str = "192.0.2.7", **changes: Any) -> BlockedAddress:
    return replace(BlockedAddress(network=network, by="Mara", reason="guesses keys", since=NOW), **changes)


async def test_blocked_addresses_are_listed_changed_and_let_in_again(store: Store) -> None:
    for each in (blocked("2001:db8::/64"), blocked(), blocked(by="Tom", until=NOW + timedelta(days=1))):
        await store.block_address(each, limit=2)
    assert await store.list_blocked_addresses() == [blocked(by="Tom", until=NOW + timedelta(days=1)), blocked("2001:db8::/64")]
    with pytest.raises(LimitReached, match="2 blocked addresses"):
        await store.block_address(blocked("192.0.2.8"), limit=2)
    later = blocked("192.0.2.8", since=NOW + timedelta(days=2))
    await store.block_address(later, limit=2)  # one has ended meanwhile
    assert await store.list_blocked_addresses() == [later, blocked("2001:db8::/64")]
    await store.unblock_address("192.0.2.8")
    with pytest.raises(NotFound):
        await store.unblock_address("192.0.2.8")
