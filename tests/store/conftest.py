"""The stores that keep the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendryd.store.base import MailStore, Store
from sendryd.store.memory import MemoryStore
from sendryd.store.sqlite.engine import connection, segments, writer
from sendryd.store.sqlite.mail import changes, claims, deliveries, reads
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import open_new_store


def _cramp(patch: pytest.MonkeyPatch) -> None:
    """Every step, window and cache so small that each test meets their ends."""
    for module, name, value in (
        (changes, "STEP", 1),
        (claims, "WINDOW", 1),
        (connection, "CACHE_SIZE", 2),
        (connection, "READER_CACHE_SIZE", 2),
        (deliveries, "READ_INLINE", 0),
        (reads, "STEP", 1),
        (segments, "MAX_OPEN", 1),
        (segments, "SEGMENT_SIZE", 1),
        (writer, "CHECKPOINT_PAGES", 1),
        (writer, "MAX_OPERATIONS", 1),
    ):
        patch.setattr(module, name, value)


@pytest.fixture(params=["memory", "sqlite", "sqlite-cramped"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailStore]:
    """An empty store with the default account."""
    if request.param == "sqlite-cramped":
        _cramp(monkeypatch)
    made: MailStore = MemoryStore() if request.param == "memory" else open_new_store(tmp_path / "data")
    await made.ensure_account(ACCOUNT, "default", NOW)
    yield made
    await made.aclose()


@pytest.fixture(params=["sqlite", "sqlite-cramped"])
async def full_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """An empty store of everything, with the default account."""
    if request.param == "sqlite-cramped":
        _cramp(monkeypatch)
    made: Store = open_new_store(tmp_path / "data")
    await made.ensure_account(ACCOUNT, "default", NOW)
    yield made
    await made.aclose()


@pytest.fixture
def samples() -> Samples:
    """Values to store."""
    return Samples()
