"""Two accounts on a store, and a clock that a test moves."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.model.ids import AccountId
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.stores import open_new_store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    opened = open_new_store(tmp_path)
    for account in (AccountId(1), AccountId(2)):
        await opened.ensure_account(account, f"account {account}", clock.now())
    yield opened
    await opened.aclose()
