"""The API on a real store in a directory of the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.testing.api import OTHER_ACCOUNT, ApiWorld
from sendryd.testing.samples import ACCOUNT


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    async with ApiWorld.open(tmp_path) as world:
        yield world


@pytest.fixture
async def live(api: ApiWorld) -> tuple[ApiKey, str]:
    """A live key that may only read, and its secret."""
    return await api.keys.create(System(ACCOUNT), "live", scope=Scope.READ_ONLY)


@pytest.fixture
async def tester(api: ApiWorld) -> tuple[ApiKey, str]:
    """A test key and its secret."""
    return await api.keys.create(System(ACCOUNT), "test", mode=KeyMode.TEST)


@pytest.fixture
async def stranger(api: ApiWorld) -> tuple[ApiKey, str]:
    """A live key of another account."""
    return await api.keys.create(System(OTHER_ACCOUNT), "stranger")


@pytest.fixture
async def owner_key(api: ApiWorld) -> tuple[ApiKey, str]:
    """A live key that may do everything, and its secret."""
    return await api.keys.create(System(ACCOUNT), "owner")


@pytest.fixture
def owner(owner_key: tuple[ApiKey, str]) -> str:
    """The secret of a live key that may do everything."""
    return owner_key[1]
