"""The derived file is replaced when it is lost or damaged, in a running program or at its start."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from sendryd.model.apikey import KeyMode
from sendryd.store.derived.file import FILE_NAME
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sqlite import SqliteStore, open_store
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import open_new_store

UNTIL = NOW + timedelta(days=1)


def overwrite(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(os.urandom(8192))


def remove_all(path: Path) -> None:
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "removed with its log": remove_all,
    "log removed": lambda path: path.with_name(f"{path.name}-wal").unlink(),
    "truncated": lambda path: os.truncate(path, 4096),
    "emptied": lambda path: os.truncate(path, 0),
    "begins with garbage": lambda path: overwrite(path, 0),
    "has garbage inside": lambda path: overwrite(path, 4096),
    "log has garbage": lambda path: overwrite(path.with_name(f"{path.name}-wal"), 0),
    "replaced by another file": lambda path: path.write_bytes(b"no database"),
}


async def follow(store: SqliteStore) -> None:
    """Follows to the end; a step that meets the damage may fail."""
    for _ in range(3):
        try:
            while await store.follow(until=UNTIL, limit=10):
                pass
        except StoreUnavailable:
            continue


async def accepted(store: SqliteStore) -> int:
    return sum(each.accepted for each in await store.list_days(ACCOUNT, KeyMode.LIVE, start=NOW - timedelta(days=1), end=UNTIL))


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_lost_file_is_made_again(tmp_path: Path, samples: Samples, damage: Callable[[Path], object], *, is_running: bool) -> None:
    store = open_new_store(tmp_path / "data")
    await store.ensure_account(ACCOUNT, "default", NOW)
    for _ in range(5):
        await store.accept(samples.message())
    await follow(store)
    assert await accepted(store) == 5
    if not is_running:
        await store.aclose()
    try:
        damage(tmp_path / "data" / FILE_NAME)
    except FileNotFoundError:
        pytest.skip("a file that was closed has no log")
    if not is_running:
        store = open_store(tmp_path / "data")
    await store.accept(samples.message())
    await follow(store)
    assert await accepted(store) == 6
    await store.aclose()


async def test_a_file_that_was_open_when_the_machine_went_down_is_made_again(tmp_path: Path, samples: Samples) -> None:
    store = open_new_store(tmp_path / "data")
    await store.ensure_account(ACCOUNT, "default", NOW)
    await store.accept(samples.message())
    await follow(store)
    await store.aclose()
    connection = apsw.Connection(str(tmp_path / "data" / FILE_NAME))
    connection.execute("UPDATE figure SET number = 99")
    connection.execute("UPDATE progress SET boot = 'another'")
    connection.close()
    store = open_store(tmp_path / "data")
    await follow(store)
    assert await accepted(store) == 1
    await store.aclose()


async def test_nothing_is_made_before_the_first_step(tmp_path: Path) -> None:
    store = open_new_store(tmp_path / "data")
    assert await accepted(store) == 0
    assert await store.figures_until() is None
    await store.aclose()
    assert not (tmp_path / "data" / FILE_NAME).exists()
