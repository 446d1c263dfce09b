"""The stores that keep the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.store.base import Store
from sendryd.store.memory import MemoryStore
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import ACCOUNT, NOW, Samples


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store with the default account."""
    made: Store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "data")
    await made.ensure_account(ACCOUNT, "default", NOW)
    yield made
    await made.aclose()


@pytest.fixture
def samples() -> Samples:
    """Values to store."""
    return Samples()
