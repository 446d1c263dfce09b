"""Suppressed addresses are known at once to who suppresses, and soon to all."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sendryd.model.ids import AccountId, SuppressionId
from sendryd.model.suppression import Suppression, SuppressionReason
from sendryd.store.codec.reading import Row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.drivers.statement import Statement
from sendryd.store.sql.lists import suppressed
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.store import SqliteStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, NOW


def suppression(number: int, email: str, account_id: AccountId = ACCOUNT) -> Suppression:
    return Suppression(id=SuppressionId(number), account_id=account_id, email=email, reason=SuppressionReason.MANUAL, created_at=NOW)


class SlowReads:
    """Holds back the result of each longer look-up until it may go on."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_read = asyncio.Event()
        self.may_go_on = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._database, self._monkeypatch = store._database, monkeypatch
        self._read = store._database.read
        monkeypatch.setattr(store._database, "read", self._read_slowly)

    def undo(self) -> None:
        self._monkeypatch.setattr(self._database, "read", self._read)

    async def _read_slowly(self, work: Callable[[Connection], object]) -> object:
        def slow_work(connection: Connection) -> object:
            found = work(connection)
            self._loop.call_soon_threadsafe(self.has_read.set)
            assert self.may_go_on.wait(30)
            return found

        return await self._read(slow_work)


class SlowLooks:
    """Holds back the result of each short look-up until it may go on, as a server that is far away does."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_asked = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self._find = store._database.find_row
        monkeypatch.setattr(store._database, "find_row", self._find_slowly)

    async def _find_slowly(self, statement: Statement, **values: Any) -> Row | None:
        found = await self._find(statement, **values)
        self.has_asked.set()
        await self.may_go_on.wait()
        return found


@pytest.mark.parametrize("kept", [50_000, 1])
async def test_what_this_process_changes_is_known_at_once(tmp_path: Path, kept: int) -> None:
    store = open_store(tmp_path, sizes=Sizes(suppressed_kept=kept))
    assert await store.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    await store.add_suppressions([suppression(1, "a@x.test"), suppression(2, "b@x.test"), suppression(3, "c@x.test", AccountId(2))])
    assert await store.find_suppressed(ACCOUNT, ["a@x.test", "b@x.test", "c@x.test"]) == {"a@x.test", "b@x.test"}
    await store.remove_suppression(ACCOUNT, "a@x.test")
    assert await store.find_suppressed(ACCOUNT, ["a@x.test", "b@x.test"]) == {"b@x.test"}
    await store.aclose()


async def test_what_another_process_changes_is_seen_at_the_next_look(tmp_path: Path) -> None:
    clock = ManualClock()
    here, there = open_store(tmp_path, monotonic=clock.monotonic), open_store(tmp_path)
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    await there.add_suppressions([suppression(1, "a@x.test")])
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    clock.advance(timedelta(seconds=suppressed.CHECK_INTERVAL))
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == {"a@x.test"}
    await there.remove_suppression(ACCOUNT, "a@x.test")
    clock.advance(timedelta(seconds=suppressed.CHECK_INTERVAL))
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    await here.aclose()
    await there.aclose()


async def test_a_look_waits_for_the_answer_that_another_look_has_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    here, there = open_store(tmp_path, monotonic=clock.monotonic), open_store(tmp_path)
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == frozenset()
    await there.add_suppressions([suppression(1, "a@x.test")])
    clock.advance(timedelta(seconds=suppressed.CHECK_INTERVAL))
    looks = SlowLooks(here, monkeypatch)
    first = asyncio.create_task(here.find_suppressed(ACCOUNT, ["a@x.test"]))
    await looks.has_asked.wait()
    second = asyncio.create_task(here.find_suppressed(ACCOUNT, ["a@x.test"]))
    await asyncio.sleep(0)
    looks.may_go_on.set()
    assert await first == await second == {"a@x.test"}
    await here.aclose()
    await there.aclose()


async def test_what_changes_while_addresses_are_loaded_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = open_store(tmp_path), open_store(tmp_path)
    reads = SlowReads(here, monkeypatch)
    first = asyncio.create_task(here.find_suppressed(ACCOUNT, ["a@x.test"]))
    await reads.has_read.wait()
    await there.add_suppressions([suppression(1, "a@x.test")])
    reads.undo()
    assert await here.find_suppressed(AccountId(2), ["a@x.test"]) == frozenset()  # mail of another account looks for changes
    reads.may_go_on.set()
    await first
    assert await here.find_suppressed(ACCOUNT, ["a@x.test"]) == {"a@x.test"}
    await here.aclose()
    await there.aclose()


async def test_what_this_process_changes_while_addresses_are_loaded_is_known_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)
    reads = SlowReads(store, monkeypatch)
    first = asyncio.create_task(store.find_suppressed(ACCOUNT, ["a@x.test"]))
    await reads.has_read.wait()
    await store.add_suppressions([suppression(1, "a@x.test")])
    reads.may_go_on.set()
    assert await first == {"a@x.test"}
    reads.undo()
    assert await store.find_suppressed(ACCOUNT, ["a@x.test"]) == {"a@x.test"}
    await store.aclose()
