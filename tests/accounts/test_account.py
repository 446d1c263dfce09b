"""What an account sets for itself."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sendryd.accounts.account import Accounts
from sendryd.model.account import AccountSettings, Branding
from sendryd.model.ids import AccountId
from sendryd.store.base import Store
from sendryd.store.errors import NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.stores import open_new_store

ACCOUNT = AccountId(1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_new_store(tmp_path)
    await opened.ensure_account(ACCOUNT, "one", ManualClock().now())
    yield opened
    await opened.aclose()


@pytest.fixture
def accounts(store: Store) -> Accounts:
    return Accounts(store)


async def test_name_and_settings_are_changed_and_kept(accounts: Accounts) -> None:
    await accounts.rename(ACCOUNT, "two")
    changed = await accounts.change(ACCOUNT, lambda settings: replace(settings, branding=Branding(footer_copy="x")))
    assert (changed.name, changed.settings) == ("two", AccountSettings(branding=Branding(footer_copy="x")))
    assert await accounts.get(ACCOUNT) == changed
    assert await accounts.change(ACCOUNT, lambda settings: settings) == changed


async def test_changes_at_once_do_not_undo_one_another(accounts: Accounts) -> None:
    await asyncio.gather(
        accounts.change(ACCOUNT, lambda settings: replace(settings, benchmark_opt_in=True)),
        accounts.rename(ACCOUNT, "two"),
        accounts.change(ACCOUNT, lambda settings: replace(settings, data_residency="eu")),
    )
    account = await accounts.get(ACCOUNT)
    assert account.name == "two"
    assert account.settings == AccountSettings(benchmark_opt_in=True, data_residency="eu")


async def test_an_account_that_is_not_there_is_not_found(accounts: Accounts) -> None:
    for call in (accounts.get(AccountId(9)), accounts.rename(AccountId(9), "x"), accounts.change(AccountId(9), lambda settings: settings)):
        with pytest.raises(NotFound):
            await call
