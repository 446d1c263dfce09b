"""Deleting an account: the name that has to be typed."""

from pathlib import Path

import pytest

from sendryd.accounts.audit import By, Client
from sendryd.accounts.closing import Closing
from sendryd.accounts.errors import BadField
from sendryd.model.ids import AccountId
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.testing.clock import ManualClock
from sendryd.testing.stores import open_new_store

ACCOUNT = AccountId(1)


async def close(data: Path, name: str, typed: str) -> str:
    """Deletes an account of this name. Returns its name afterwards."""
    clock = ManualClock()
    store = open_new_store(data)
    try:
        await store.ensure_account(ACCOUNT, name, clock.now())
        await Closing(store, clock=clock, ids=IdSource(clock, SeededRand(1))).close(
            By(account_id=ACCOUNT, actor="ada", client=Client()), typed=typed
        )
        account = await store.get_account(ACCOUNT)
        assert account
        return account.name
    finally:
        await store.aclose()


@pytest.mark.parametrize("name", ["Acme", "Acme ", "\u00a0Acme", " Acme "])
async def test_a_name_with_spaces_at_its_ends_can_be_typed(tmp_path: Path, name: str) -> None:
    assert await close(tmp_path, name, "Acme") == "default"


@pytest.mark.parametrize(("name", "typed"), [("Acme", ""), ("Acme", "acme"), ("Acme ", " "), (" ", ""), (" ", " ")])
async def test_another_name_and_a_blank_one_delete_nothing(tmp_path: Path, name: str, typed: str) -> None:
    with pytest.raises(BadField):
        await close(tmp_path, name, typed)
