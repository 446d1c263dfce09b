"""What only a database on a disk can do: survive, fill up, be shared, be brought up to date."""

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta
from enum import StrEnum
from importlib import resources
from pathlib import Path

import apsw
import pytest

import sendryd.store.sqlite
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.delivery import TRANSITIONS, DeliveryState
from sendryd.model.domain import DomainStatus
from sendryd.model.event import EventType
from sendryd.model.message import MessageType
from sendryd.model.report import ReportFrequency
from sendryd.model.suppression import SuppressionReason
from sendryd.model.webhook import NotificationState
from sendryd.policy.crashes import pause_after_crash
from sendryd.store.base import Owner, QueueFilter
from sendryd.store.errors import SchemaMismatch, StoreFull, StoreUnavailable
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import migrate
from sendryd.store.sqlite.engine.connection import FILE_NAME, open_connection
from sendryd.store.sqlite.engine.loading import load
from sendryd.testing.samples import ACCOUNT, NOW, Samples

ACCEPTING = """
import asyncio, sys
from pathlib import Path
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import Samples, NOW
from datetime import timedelta

async def main():
    store = open_store(Path(sys.argv[1]))
    samples = Samples(NOW + timedelta(hours=int(sys.argv[2])))

    async def work():
        while True:
            new = samples.message(content=b"From: a@b.test\\r\\n\\r\\n" + b"x" * (len(str(samples.number())) * 300))
            await store.accept(new)
            print(new.message.id, len(new.content), flush=True)

    await asyncio.gather(*(work() for _ in range(10)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged: dict[int, int] = {}
    for round_number in range(4):
        child = subprocess.Popen([sys.executable, "-c", ACCEPTING, str(tmp_path), str(round_number)], stdout=subprocess.PIPE)
        assert child.stdout
        for _ in range(120):
            printed = child.stdout.readline().split()
            acknowledged[int(printed[0])] = int(printed[1])
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().decode()
        child.wait()
        child.stdout.close()
        acknowledged |= {int(line.split()[0]): int(line.split()[1]) for line in rest.splitlines()[:-1] if line.count(" ") == 1}
    store = open_store(tmp_path)
    for number, size in acknowledged.items():
        summary = await store.get_message(ACCOUNT, number)  # type: ignore[arg-type]  # as printed
        assert summary is not None
        assert summary.states == {DeliveryState.QUEUED: 1}
        assert len(await store.read_content(summary.message.id)) == size
    await store.aclose()
    connection = open_connection(tmp_path / FILE_NAME)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_many_callers_share_one_commit(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    before = store.statistics()["commits"]
    await asyncio.gather(*(store.accept(samples.message()) for _ in range(200)))
    assert store.statistics()["commits"] - before < 20
    assert store.statistics()["largest_batch"] > 50
    await store.aclose()


async def test_a_bad_operation_fails_alone(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    twice = samples.message()
    await store.accept(twice)
    results = await asyncio.gather(*(store.accept(each) for each in [samples.message(), twice, samples.message()]), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["NoneType", "Conflict", "NoneType"]
    assert await store.read_content(twice.message.id) == twice.content
    await store.aclose()


async def test_a_cancelled_caller_does_not_stop_the_others(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    first = samples.message()
    task = asyncio.create_task(store.accept(first))
    await asyncio.sleep(0)
    task.cancel()
    await store.accept(samples.message())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.get_message(ACCOUNT, first.message.id) is not None
    await store.aclose()


async def test_a_full_disk_loses_nothing_and_recovers(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=True)
    try:
        store, samples = open_store(disk / "data"), Samples()
        stored = []
        with pytest.raises(StoreFull):
            for _ in range(1000):
                new = samples.message(content=b"From: a@b.test\r\n\r\n" + b"z" * 50_000)
                await store.accept(new)
                stored.append(new)
        assert stored
        for new in stored:
            assert await store.read_content(new.message.id) == new.content
        assert await store.count_queue() == {DeliveryState.QUEUED: len(stored), DeliveryState.LEASED: 0, DeliveryState.HELD: 0}
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        after = samples.message(content=b"From: a@b.test\r\n\r\n" + b"z" * 50_000)
        await store.accept(after)
        assert await store.read_content(after.message.id) == after.content
        await store.aclose()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


async def test_a_second_process_is_seen(tmp_path: Path) -> None:
    first, second, samples = open_store(tmp_path), open_store(tmp_path), Samples()
    version = await first.read_config_version()
    new = samples.api_key()
    await second.ensure_account(ACCOUNT, "default", NOW)
    await second.add_api_key(new)
    assert await first.find_api_key(new.secret_hash) == new.key
    assert await first.read_config_version() > version
    mine, theirs = samples.message(), samples.message()
    await asyncio.gather(first.accept(mine), second.accept(theirs))
    assert await second.read_content(mine.message.id) == mine.content
    assert await first.read_content(theirs.message.id) == theirs.content
    await first.aclose()
    await second.aclose()


async def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.check_writable()
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await store.check_writable()


async def test_files_of_contents_go_when_nothing_refers_to_them(tmp_path: Path) -> None:
    old = Samples(NOW - timedelta(days=40))
    store = open_store(tmp_path)
    new = old.message()
    await store.accept(new)
    lease = old.lease()
    await store.claim_deliveries(now=NOW, lease=lease, limit=9, busy=frozenset(), per_domain=9)
    await store.aclose()
    store = open_store(tmp_path)
    kept = Samples().message()
    await store.accept(kept)
    assert len(list((tmp_path / "spool").iterdir())) == 2
    await store.return_dead_leases(Owner(node="local", boot=8), now=NOW, pause=pause_after_crash)
    await store.cancel(QueueFilter(message_id=new.message.id), NOW, old.event)
    assert await store.delete_messages(created_before=NOW - timedelta(days=30), limit=10) == 1
    assert len(list((tmp_path / "spool").iterdir())) == 1
    assert await store.read_content(kept.message.id) == kept.content
    await store.aclose()


async def test_the_data_is_for_its_owner_alone(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path / "data"), Samples()
    await store.accept(samples.message())
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    for path in [tmp_path / "data" / FILE_NAME, *(tmp_path / "data" / "spool").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
    await store.aclose()


@pytest.fixture
def connection(tmp_path: Path) -> apsw.Connection:
    made = open_connection(tmp_path / FILE_NAME)
    migrate.apply(made)
    return made


@pytest.mark.parametrize(("before", "after"), list(itertools.product(DeliveryState, DeliveryState)))
def test_the_schema_has_the_moves_of_the_life_cycle(connection: apsw.Connection, before: DeliveryState, after: DeliveryState) -> None:
    token = 1 if before is DeliveryState.LEASED else None
    connection.execute(
        "INSERT INTO delivery (id, message_id, forward_path, domain, state, due_at, lease_token, created_at) VALUES (1, 1, 'a', 'b', ?, 0, ?, 0)",
        (before.value, token),
    )
    change = "UPDATE delivery SET state = ?, lease_token = ? WHERE id = 1"
    values = (after.value, 1 if after is DeliveryState.LEASED else None)
    if after is before or after in TRANSITIONS[before]:
        connection.execute(change, values)
    else:
        with pytest.raises(apsw.ConstraintError, match="does not have this move"):
            connection.execute(change, values)
    connection.close()


WORDS: dict[tuple[str, str], type[StrEnum]] = {
    ("api_key", "scope"): Scope,
    ("api_key", "mode"): KeyMode,
    ("sending_domain", "status"): DomainStatus,
    ("message", "mode"): KeyMode,
    ("message", "type"): MessageType,
    ("delivery", "state"): DeliveryState,
    ("event", "mode"): KeyMode,
    ("event", "type"): EventType,
    ("suppression", "reason"): SuppressionReason,
    ("webhook", "mode"): KeyMode,
    ("template", "mode"): KeyMode,
    ("notification", "state"): NotificationState,
    ("scheduled_report", "frequency"): ReportFrequency,
}


def _checks(sql: str) -> list[str]:
    """The checks in the text of a table, without the comments and layout."""
    text = re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql))
    found = []
    for start in re.finditer(r"\bCHECK \(", text):
        depth, end = 1, start.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        found.append(text[start.end() : end - 1].strip())
    return sorted(found)


def test_the_schema_has_the_words_of_the_model(connection: apsw.Connection) -> None:
    found = {}
    for table, sql in connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").fetchall():
        for check in _checks(str(sql)):
            if match := re.fullmatch(r"(\w+) IN \((.*)\)", check):
                found[table, match[1]] = set(re.findall(r"'(\w+)'", match[2]))
    assert found == {place: {word.value for word in words} for place, words in WORDS.items()}
    connection.close()


def test_checks_are_read_from_the_text_of_a_table() -> None:
    text = "CREATE TABLE a (b TEXT CHECK (b IN ('x',\n 'y')), c INTEGER, -- CHECK (no)\n CHECK ((b = 'x') =  (c > 0)))"
    assert _checks(text) == ["(b = 'x') = (c > 0)", "b IN ('x', 'y')"]


def _describe(database: apsw.Connection) -> list[tuple[object, ...]]:
    """Tables by their columns and checks, for a column that was added later stands elsewhere in the text; all else by its text."""
    query = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name <> 'schema_migration' ORDER BY name"
    found: list[tuple[object, ...]] = []
    for kind, name, text in database.execute(query).fetchall():
        columns = database.execute('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (name,)).fetchall()
        found.append((kind, name, (sorted(columns), _checks(str(text))) if kind == "table" else text))
    return found


def test_the_schema_is_what_all_migrations_make(tmp_path: Path) -> None:
    migrated, fresh = open_connection(tmp_path / "migrated.db"), open_connection(tmp_path / "fresh.db")
    migrate.apply(migrated)
    fresh.execute(resources.files(sendryd.store.sqlite).joinpath("schema.sql").read_text("utf-8"))
    assert _describe(migrated) == _describe(fresh)
    migrated.close()
    fresh.close()


def test_migrations_are_applied_once_and_guarded(connection: apsw.Connection) -> None:
    assert migrate.apply(connection) == []
    connection.execute("UPDATE schema_migration SET checksum = 'other'")
    with pytest.raises(SchemaMismatch, match="not the one"):
        migrate.pending(connection)
    connection.execute("INSERT INTO schema_migration VALUES (9999, 'future', 'x')")
    with pytest.raises(SchemaMismatch, match="newer version"):
        migrate.pending(connection)
    connection.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 1000)
    with pytest.raises(SchemaMismatch, match="not one"):
        open_store(tmp_path)


def test_every_statement_is_used() -> None:
    folder = Path(str(resources.files(sendryd.store.sqlite)))
    for file in folder.glob("*/queries.sql"):
        code = "".join(path.read_text("utf-8") for path in file.parent.glob("*.py"))
        assert [name for name in load(f"sendryd.store.sqlite.{file.parent.name}") if f'"{name}"' not in code] == []
