"""When the disk or the database fails: a clear error, nothing half done, and on as soon as it is well again."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import MessageId
from sendryd.store.base import MessageFilter, QueueFilter
from sendryd.store.drivers import sqlite as connection
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.drivers.sqlite import FILE_NAME, check_engine
from sendryd.store.errors import NotAllowed, SchemaMismatch, StoreUnavailable
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import database
from sendryd.testing.samples import ACCOUNT, NOW, Samples

# Accepts messages one after the other; prints for each its id and what became of it. Content and subject tell the id.
ACCEPTING = """
import asyncio, os, resource, signal, sys
from pathlib import Path
from sendryd.store.errors import StoreError
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import database
from sendryd.testing.samples import Samples

async def main():
    store, samples = open_store(Path(sys.argv[1])), Samples()
    what = sys.argv[2]
    if what == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    failures = 0
    for number in range(int(sys.argv[3])):
        new = samples.message(content=b"Number: %09d\\r\\n" % number * 50, subject="s" * 20_000 if what == "limit" else str(number))
        try:
            await store.accept(new)
            print(new.message.id, number, "ok", flush=True)
        except StoreError as error:
            print(new.message.id, number, type(error).__name__, flush=True)
            failures += 1
            if what == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "limit":
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.aclose()

asyncio.run(main())
"""


async def check(data_dir: Path, lines: list[str]) -> list[str]:
    """Every message that was acknowledged is there; every one that is there is whole. Gives what became of each."""
    store = open_store(data_dir)
    results = []
    for line in lines:
        identifier, number, result = line.split()
        summary = await store.get_message(ACCOUNT, MessageId(int(identifier)))
        assert summary is not None or result != "ok"
        if summary is not None:
            assert summary.states == {DeliveryState.QUEUED: 1}
            assert await store.read_content(summary.message.id) == b"Number: %09d\r\n" % int(number) * 50
        results.append(result)
    assert (await store.count_queue())[DeliveryState.QUEUED] >= results.count("ok")
    await store.aclose()
    return results


@pytest.mark.needs("strace")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("what", ["go-on", "kill"])
@pytest.mark.parametrize("count", [15, 16])  # of the syncs of the writer's thread: one of a content, one of a commit
async def test_a_sync_that_fails(tmp_path: Path, error: str, what: str, count: int) -> None:
    calls = f"inject=fdatasync:error={error}:when={count}"
    command = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=fdatasync", "-e", calls]
    command += [sys.executable, "-c", ACCEPTING, str(tmp_path / "data"), what, "12"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    results = await check(tmp_path / "data", done.stdout.decode().splitlines())
    failed = "StoreFull" if error == "ENOSPC" else "StoreUnavailable"
    assert [result for result in results if result != "ok"] == [failed], done.stderr.decode()
    assert len(results) == 12 or what == "kill"


async def test_a_log_that_may_not_grow(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ACCEPTING, str(tmp_path / "data"), "limit", "80"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    results = await check(tmp_path / "data", done.stdout.decode().splitlines())
    assert results.count("StoreFull") == 1, done.stderr.decode()
    assert results.count("ok") == 79


async def test_a_database_that_another_process_keeps(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path, sizes=Sizes(busy_timeout=50)), Samples()
    first = samples.message()
    await store.accept(first)
    other = apsw.Connection(str(tmp_path / FILE_NAME))
    other.execute("BEGIN IMMEDIATE")
    started = asyncio.get_running_loop().time()
    results = await asyncio.gather(*(store.accept(samples.message()) for _ in range(200)), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert asyncio.get_running_loop().time() - started < 5  # all at once, not one after the other
    assert await store.read_content(first.message.id) == first.content
    other.execute("ROLLBACK")
    other.close()
    await store.accept(samples.message())
    assert (await store.count_queue())[DeliveryState.QUEUED] == 2
    await store.aclose()


@pytest.fixture
def somebody() -> Iterator[Path]:
    """A folder of a user who is not root, who the test is for its time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)


async def test_a_file_that_cannot_be_written(somebody: Path) -> None:
    store, samples = open_store(somebody / "data"), Samples()
    new = samples.message()
    await store.accept(new)
    await store.aclose()
    (somebody / "data" / FILE_NAME).chmod(0o400)
    store = open_store(somebody / "data")
    with pytest.raises(StoreUnavailable, match="owner and the permissions"):
        await store.check_writable()
    assert await store.read_content(new.message.id) == new.content
    await store.aclose()
    for path in (somebody / "data").glob(f"{FILE_NAME}*"):
        path.chmod(0o600)
    again = open_store(somebody / "data")
    await again.check_writable()
    assert await again.read_content(new.message.id) == new.content
    await again.aclose()


def test_a_directory_that_cannot_be_made(somebody: Path) -> None:
    somebody.chmod(0o500)
    with pytest.raises(StoreUnavailable):
        open_store(somebody / "data")
    somebody.chmod(0o700)


def test_a_store_that_is_not_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_store(tmp_path / "data", create=False)
    assert not (tmp_path / "data").exists()


async def test_a_database_that_was_made_is_opened(tmp_path: Path) -> None:
    await open_store(tmp_path).aclose()
    await open_store(tmp_path, create=False).aclose()


async def test_a_damaged_database_is_not_served(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    for _ in range(50):
        await store.accept(samples.message(subject="x" * 1000))
    await store.aclose()
    path = tmp_path / FILE_NAME
    octets = bytearray(path.read_bytes())
    assert b"x" * 1000 in octets
    for start in range(connection.PAGE_SIZE * 5, len(octets), connection.PAGE_SIZE):
        octets[start : start + 200] = b"\xff" * 200
    path.write_bytes(octets)
    (tmp_path / f"{FILE_NAME}-wal").write_bytes(b"left by a crash")
    with pytest.raises(StoreUnavailable, match="damaged|malformed"):
        open_store(tmp_path)


async def test_a_row_that_breaks_a_rule_of_its_table_does_not_stop_the_start_after_a_crash(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    for _ in range(5):  # more than one fault
        await store.accept(samples.message())
    whole = samples.message()
    await store.accept(whole)
    await store.aclose()
    damaging = apsw.Connection(str(tmp_path / FILE_NAME))
    damaging.execute("PRAGMA ignore_check_constraints = 1")
    damaging.execute("UPDATE message SET type = '{not json' WHERE id <> ?", (whole.message.id,))
    damaging.close()
    (tmp_path / f"{FILE_NAME}-wal").write_bytes(b"left by a crash")
    again = open_store(tmp_path)
    assert await again.read_content(whole.message.id) == whole.content
    await again.aclose()


def test_an_engine_that_loses_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    check_engine()
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(SchemaMismatch, match=r"3\.51\.2 can lose commits; .* 3\.51\.3 or newer"):
        check_engine()


def test_a_move_that_the_life_cycle_lacks_is_not_allowed(tmp_path: Path) -> None:
    made = connection.open_connection(tmp_path / FILE_NAME)
    with pytest.raises(NotAllowed, match="no"), connection.translated():
        made.execute(
            "CREATE TABLE t (a); CREATE TRIGGER r BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, 'no'); END; INSERT INTO t VALUES (1)"
        )
    with pytest.raises(apsw.ConstraintError), connection.translated():
        made.execute("CREATE TABLE u (a CHECK (a > 0)); INSERT INTO u VALUES (0)")
    made.close()


@pytest.mark.parametrize("what", ["removed", "replaced", "log removed"])
async def test_a_database_that_is_taken_away_while_it_is_in_use(tmp_path: Path, what: str) -> None:
    store, samples = open_store(tmp_path), Samples()
    new = samples.message()
    await store.accept(new)
    path = tmp_path / (f"{FILE_NAME}-wal" if what == "log removed" else FILE_NAME)
    aside = path.rename(tmp_path / "aside")
    if what == "replaced":
        path.write_bytes(aside.read_bytes())
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="removed or replaced while it was in use"):
            await store.accept(samples.message())
    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        await store.check_writable()
    if what != "log removed":  # what was read until then stays true
        for read in (
            lambda: store.get_message(ACCOUNT, new.message.id),
            lambda: store.read_content(new.message.id),
            lambda: store.find_answer(ACCOUNT, "key", kept_since=NOW),
            lambda: store.list_queue(QueueFilter()),
            lambda: store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE), limit=1),
            lambda: store.list_api_keys(ACCOUNT),
        ):
            with pytest.raises(StoreUnavailable, match="removed or replaced"):
                await read()
    path.unlink(missing_ok=True)
    aside.rename(path)
    after = samples.message()
    await store.accept(after)
    await store.aclose()
    store = open_store(tmp_path)
    for each in (new, after):
        assert await store.read_content(each.message.id) == each.content
    assert (await store.count_queue())[DeliveryState.QUEUED] == 2
    await store.aclose()


async def test_a_database_that_was_taken_away_is_noticed_within_a_moment(tmp_path: Path) -> None:
    now = 0.0
    store = open_store(tmp_path, monotonic=lambda: now)
    new = Samples().message()
    await store.accept(new)
    assert await store.read_content(new.message.id) == new.content
    (tmp_path / FILE_NAME).unlink()
    now += database.FILE_CHECK_INTERVAL
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            await store.read_content(new.message.id)
    await store.aclose()


@pytest.mark.parametrize("what", ["missing", "empty", "missing with its log left"])
async def test_a_database_that_is_missing_is_not_made_anew(tmp_path: Path, what: str) -> None:
    store, samples = open_store(tmp_path), Samples()
    new = samples.message()
    await store.accept(new)
    await store.aclose()
    path = tmp_path / FILE_NAME
    aside = tmp_path / "aside"
    if what == "empty":
        aside.write_bytes(path.read_bytes())
        path.write_bytes(b"")
    else:
        path.rename(aside)
    if what == "missing with its log left":
        (tmp_path / "spool").rename(tmp_path / "elsewhere")
        (tmp_path / f"{FILE_NAME}-wal").write_bytes(b"left by a crash")
    with pytest.raises(StoreUnavailable, match="missing or empty, but there are remains"):
        open_store(tmp_path)
    (tmp_path / f"{FILE_NAME}-wal").unlink(missing_ok=True)
    if what == "missing with its log left":
        (tmp_path / "elsewhere").rename(tmp_path / "spool")
    aside.rename(path)
    store = open_store(tmp_path)
    assert await store.read_content(new.message.id) == new.content
    await store.aclose()


@pytest.mark.parametrize("size", [0, 4096])
async def test_what_a_killed_first_start_has_left_of_a_database_is_finished(tmp_path: Path, size: int) -> None:
    """Of any version: nothing or a first page under its name, a journal beside it, a beginning under another name."""
    made = apsw.Connection(str(tmp_path / FILE_NAME))
    made.execute("PRAGMA user_version = 7; BEGIN; CREATE TABLE half (made)")
    made.cache_flush()
    left = {name: (tmp_path / name).read_bytes() for name in (FILE_NAME, f"{FILE_NAME}-journal")}
    made.close()
    assert left[f"{FILE_NAME}-journal"]
    for name, octets in left.items():
        (tmp_path / name).write_bytes(octets if size or name != FILE_NAME else b"")
    (tmp_path / f"{FILE_NAME}.unfinished").write_bytes(b"SQLite format 3\0" + bytes(5000))
    for is_first in (True, False):
        store = open_store(tmp_path)
        if is_first:
            await store.accept(Samples().message())
        assert (await store.count_queue())[DeliveryState.QUEUED] == 1
        await store.aclose()
    assert sorted(path.name for path in tmp_path.iterdir() if size == 0 or "unfinished" not in path.name) == ["reserve", FILE_NAME, "spool"]


async def test_whether_it_can_be_written_is_really_tried(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for _ in range(3):
        before = (tmp_path / f"{FILE_NAME}-wal").read_bytes()
        await store.check_writable()
        assert (tmp_path / f"{FILE_NAME}-wal").read_bytes() != before
    await store.aclose()
