"""Accounts, their settings, and the installation's secrets."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.account import AccountSettings, AccountSmartHost, AlertRecipients, AlertScope, AlertSettings, Branding, InboundForwarding
from sendryd.model.ids import (
    AccountId,
)
from sendryd.store.base import (
    MailStore,
)
from sendryd.store.errors import Changed, NotFound
from sendryd.testing.samples import ACCOUNT, NOW

from .backends import Open

OTHER = AccountId(2)
LATER = NOW + timedelta(minutes=5)


async def test_an_account_is_made_once(store: MailStore) -> None:
    assert not await store.ensure_account(ACCOUNT, "again", NOW)
    assert await store.ensure_account(AccountId(7), "other", NOW)


async def test_an_account_and_its_settings(store: MailStore) -> None:
    account = await store.get_account(ACCOUNT)
    assert account is not None
    assert (account.name, account.created_at, account.settings) == ("default", NOW, AccountSettings())
    settings = AccountSettings(
        branding=Branding(brand_color="#ff0000", unsubscribe_heading="Tsch\u00fcss"),
        inbound=InboundForwarding(url="https://example.test/in", secret="s"),
        alerts=AlertSettings(recipients=AlertRecipients.OWNERS, scope=AlertScope.EVERYTHING, url="https://example.test/alerts"),
        smarthost=AccountSmartHost(url="smtp://user@relay.test:587", password="p\u00e4ss", may_be_private=True),
        default_region="eu",
        data_residency="eu",
        benchmark_opt_in=True,
    )
    version = await store.read_config_version()
    changed = await store.set_account(account, name="Acme", settings=settings)
    assert await store.read_config_version() > version
    assert changed == replace(account, name="Acme", settings=settings)
    assert await store.get_account(ACCOUNT) == changed
    assert await store.list_accounts() == [changed]
    assert not await store.ensure_account(ACCOUNT, "again", LATER)
    assert await store.get_account(ACCOUNT) == changed
    assert await store.get_account(OTHER) is None
    with pytest.raises(NotFound):
        await store.set_account(replace(account, id=OTHER), name="x", settings=settings)


async def test_the_first_secret_of_a_name_stands(store: MailStore) -> None:
    assert await store.ensure_secret("links", b"first") == b"first"
    assert await store.ensure_secret("links", b"second") == b"first"
    assert await store.ensure_secret("other", b"\x00\xff") == b"\x00\xff"


async def test_two_processes_that_start_at_once_have_one_secret(open_store: Open) -> None:
    one, two = await open_store(), await open_store()
    found = await asyncio.gather(one.ensure_secret("links", b"one"), two.ensure_secret("links", b"two"))
    assert len(set(found)) == 1
    for store in (one, two):
        assert await store.ensure_secret("links", b"late") == found[0]
        await store.aclose()


async def refused(attempt: Awaitable[Any]) -> None:
    with pytest.raises(Changed):
        await attempt


async def test_an_account_is_replaced_as_it_was_read(store: MailStore) -> None:
    before = await store.get_account(ACCOUNT)
    assert before is not None
    after = await store.set_account(before, name="one", settings=before.settings)
    await refused(store.set_account(before, name=before.name, settings=AccountSettings(benchmark_opt_in=True)))
    assert await store.get_account(ACCOUNT) == after
