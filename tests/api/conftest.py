"""The API on a real store in a directory of the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import AccountId
from sendryd.testing.api import ApiWorld
from sendryd.testing.stores import open_new_store

ACCOUNT = AccountId(1)
OTHER_ACCOUNT = AccountId(2)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    world = ApiWorld(open_new_store(tmp_path))
    for account in (ACCOUNT, OTHER_ACCOUNT):
        await world.store.ensure_account(account, f"account {account}", world.clock.now())
    yield world
    world.fences.close()
    await world.store.aclose()


@pytest.fixture
async def live(api: ApiWorld) -> tuple[ApiKey, str]:
    """A live key that may only read, and its secret."""
    return await api.keys.create(ACCOUNT, "live", scope=Scope.READ_ONLY)


@pytest.fixture
async def tester(api: ApiWorld) -> tuple[ApiKey, str]:
    """A test key and its secret."""
    return await api.keys.create(ACCOUNT, "test", mode=KeyMode.TEST)


@pytest.fixture
async def stranger(api: ApiWorld) -> tuple[ApiKey, str]:
    """A live key of another account."""
    return await api.keys.create(OTHER_ACCOUNT, "stranger")
