"""A disk that fills up: new messages are refused early, what was accepted goes on, and deleting makes room even when nothing is left."""

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.store.base import NewMessage, Outcome
from sendryd.store.errors import StoreFull
from sendryd.store.sqlite import SqliteStore, open_store
from sendryd.store.sqlite.engine import room as room_module
from sendryd.store.sqlite.engine.room import MARGIN_SHARE, RESERVE_NAME, Room
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import NOW, Samples
from sendryd.upkeep.retention import Retention

MONTH = timedelta(days=30)
DISK = 24 * 1024 * 1024
CONTENT = b"From: a@b.test\r\n\r\n" + b"z" * 20_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


async def fill(store: SqliteStore, samples: Samples, mode: KeyMode) -> list[NewMessage]:
    """Accepts until it is refused."""
    accepted = []
    with pytest.raises(StoreFull):
        while True:
            new = samples.message(content=CONTENT, mode=mode, lease=samples.lease() if mode is KeyMode.LIVE else None)
            await store.accept(new)
            accepted.append(new)
    return accepted


def block(disk: Path) -> None:
    """Somebody else takes all that is left."""
    with open(disk / "of somebody else", "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


async def test_what_was_accepted_can_be_recorded_when_nothing_more_is_accepted(disk: Path) -> None:
    store, samples = open_store(disk / "data"), Samples()
    accepted = await fill(store, samples, KeyMode.LIVE)
    assert len(accepted) > 100
    with pytest.raises(StoreFull, match="nearly full"):
        store.check_room(len(CONTENT))
    (disk / "of somebody else").write_bytes(CONTENT)  # nor is there room for one octet
    with pytest.raises(StoreFull, match="nearly full"):
        await store.check_writable()
    assert free(disk) > DISK // MARGIN_SHARE // 2
    for new in accepted:
        assert new.lease is not None
        outcome = Outcome(
            delivery_id=new.deliveries[0].id,
            state=DeliveryState.DELIVERED,
            due_at=None,
            reply="250 " + "ok " * 100,
            events=(samples.event(EventType.SENT), samples.event(EventType.DELIVERED)),
        )
        await store.record_attempt(new.lease, [outcome], NOW)
    assert not any((await store.count_queue()).values())
    await store.aclose()


async def test_deleting_makes_room_on_a_disk_that_others_have_filled(disk: Path) -> None:
    store, samples = open_store(disk / "data"), Samples(NOW - 2 * MONTH)
    accepted = await fill(store, samples, KeyMode.TEST)
    assert (disk / "data" / RESERVE_NAME).stat().st_size > 0
    block(disk)
    assert free(disk) == 0
    samples = Samples()
    with pytest.raises(StoreFull):
        await store.accept(samples.message(content=CONTENT))
    retention = Retention(store, messages=MONTH, events=MONTH, clock=ManualClock(NOW))
    await retention.run_once()
    for new in accepted:
        assert await store.get_message(new.message.account_id, new.message.id) is None
    await store.aclose()  # the segment that it appended to is free to go
    store = open_store(disk / "data")
    assert free(disk) > DISK // 3
    for _ in range(50):
        new = samples.message(content=CONTENT)
        await store.accept(new)
        assert await store.read_content(new.message.id) == CONTENT
    await store.aclose()


def test_a_disk_with_plenty_of_room_is_looked_at_now_and_then(disk: Path) -> None:
    now = 0.0
    room = Room(disk, lambda: now, plenty=DISK // 2)
    room.check(1)
    block(disk)
    room.check(1)  # not looked at
    now += room_module.LOOK_INTERVAL
    for _ in range(2):  # from then on each time
        with pytest.raises(StoreFull):
            room.check(1)
    (disk / "of somebody else").unlink()
    room.check(1)


def test_the_reserve_is_made_only_where_there_is_room_and_given_up_once(disk: Path) -> None:
    room = Room(disk)
    room.check(DISK // 2)
    with pytest.raises(StoreFull):
        room.check(DISK)
    room.hold()
    room.hold()
    assert (disk / RESERVE_NAME).stat().st_mode & 0o077 == 0
    assert room.release()
    assert not room.release()
    with open(disk / "of somebody else", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, DISK - 1024 * 1024)
    room.hold()
    assert not room.release()
    with pytest.raises(StoreFull):
        room.check(1)
