"""What a database on a disk does: it survives a kill and a full disk, and its files are its owner's alone."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from sendryd.model.delivery import DeliveryState
from sendryd.policy.crashes import pause_after_crash
from sendryd.store.base import Owner, QueueFilter
from sendryd.store.drivers.sqlite import FILE_NAME, open_connection
from sendryd.store.errors import SchemaMismatch, StoreFull, StoreUnavailable
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import migrate
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


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 1000)
    with pytest.raises(SchemaMismatch, match="not one"):
        open_store(tmp_path)
