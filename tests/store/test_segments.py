"""The files of contents: nothing is written over, and nothing is removed that may still be needed."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.store.errors import NotFound, StoreFull, StoreUnavailable
from sendryd.store.sqlite import open_store, segments
from sendryd.store.sqlite.segments import Segments
from sendryd.testing.samples import NOW, Samples

MONTH = timedelta(days=30)


def test_contents_are_read_back(tmp_path: Path) -> None:
    files = Segments(tmp_path)
    contents = [b"", b"one", b"x" * 100_000, b"", b"two"]
    number, places = files.append(contents)
    assert [files.read(number, place, len(content)) for place, content in zip(places, contents, strict=True)] == contents
    with pytest.raises(NotFound):
        files.read(number, places[-1], 100)
    with pytest.raises(NotFound):
        files.read(number + 1, 0, 1)
    files.close()


def test_more_contents_than_one_system_call_takes(tmp_path: Path) -> None:
    files = Segments(tmp_path)
    contents = [str(number).encode() for number in range(segments.MAX_VECTOR * 2 + 1)]
    number, places = files.append(contents)
    assert [files.read(number, place, len(content)) for place, content in zip(places, contents, strict=True)] == contents
    files.close()


def test_a_file_that_is_large_enough_is_not_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 10)
    files = Segments(tmp_path)
    numbers = [files.append([b"12345"])[0] for _ in range(5)]
    assert [number - numbers[0] for number in numbers] == [0, 0, 1, 1, 2]
    files.close()


def test_each_process_begins_a_file_of_its_own(tmp_path: Path) -> None:
    first, second = Segments(tmp_path), Segments(tmp_path)
    assert first.append([b"a"])[0] != second.append([b"b"])[0]
    first.close()
    second.close()


def test_room_is_given_back_only_when_the_commit_has_certainly_failed(tmp_path: Path) -> None:
    files = Segments(tmp_path)
    number, _ = files.append([b"kept"])
    files.append([b"rolled back"])
    files.roll_back()
    assert files.append([b"next"]) == (number, [4])
    _, (place,) = files.append([b"may come back"])
    files.roll_back(is_certain=False)
    other, _ = files.append([b"later"])
    assert other != number
    assert files.read(number, place, 13) == b"may come back"
    files.close()


def test_room_that_cannot_be_given_back_is_not_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Segments(tmp_path)
    number, _ = files.append([b"kept"])
    write, calls = os.writev, iter([True, False])

    def write_some(descriptor: int, contents: list[bytes]) -> int:
        if next(calls):
            return write(descriptor, [bytes(contents[0])[:3]])
        raise OSError(errno.ENOSPC, "injected")

    def fail(*_: int) -> None:
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", write_some)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="injected"):
            files.append([b"half written"])
    later, (place,) = files.append([b"another message"])
    assert files.read(later, place, 15) == b"another message"
    assert files.read(number, 0, 4) == b"kept"
    files.close()


def test_a_file_that_is_removed_while_it_is_in_use_is_not_added_to(tmp_path: Path) -> None:
    files = Segments(tmp_path / "spool")
    number, _ = files.append([b"gone"])
    (tmp_path / "spool" / f"{number:010d}.seg").unlink()
    (tmp_path / "spool").rmdir()
    later, (place,) = files.append([b"here"])
    files.close()
    assert Segments(tmp_path / "spool").read(later, place, 4) == b"here"


def test_only_what_nobody_uses_or_adds_to_is_removed(tmp_path: Path) -> None:
    running, stopped = Segments(tmp_path), Segments(tmp_path)
    (current, _), (used, _) = running.append([b"a"]), stopped.append([b"b"])
    stopped.close()
    stopped = Segments(tmp_path)
    orphan, _ = stopped.append([b"c"])
    stopped.close()
    tidy = Segments(tmp_path)
    assert tidy.numbers() == sorted([current, used, orphan])
    assert tidy.remove([*tidy.numbers(), 999], lambda number: number == used) == 1
    assert tidy.numbers() == sorted([current, used])
    running.close()
    assert tidy.remove([current], lambda _: False) == 1
    tidy.close()


def test_readers_in_threads_do_not_mix_up_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_OPEN", 1)
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 1)
    files = Segments(tmp_path)
    places = [files.append([b"%04d" % number * 1000])[0] for number in range(20)]

    def read(number: int) -> bool:
        return files.read(places[number % 20], 0, 4000) == b"%04d" % (number % 20) * 1000

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(2000)))
    files.close()


@pytest.mark.parametrize(("code", "expected"), [(errno.EIO, StoreUnavailable), (errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull)])
async def test_a_content_that_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[StoreUnavailable]
) -> None:
    store, samples = open_store(tmp_path), Samples()
    before, failed, after = (samples.message(content=f"From: a@b.test\r\n\r\n{number}".encode() * 100) for number in range(3))
    await store.accept(before)

    def fail(_: int) -> None:
        raise OSError(code, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(expected) as caught:
            await store.accept(failed)
        assert type(caught.value) is expected
    await store.accept(after)
    assert await store.get_message(before.message.account_id, failed.message.id) is None
    for new in (before, after):
        assert await store.read_content(new.message.id) == new.content
    assert len(list((tmp_path / "spool").iterdir())) == 2  # a file that failed is not trusted again
    await store.aclose()


async def test_what_a_crash_left_behind_goes_at_the_next_start(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    new = samples.message()
    await store.accept(new)
    lost = Segments(tmp_path / "spool")
    lost.append([b"never committed"])
    other = open_store(tmp_path)  # while the first ones are still at work
    assert len(list((tmp_path / "spool").iterdir())) == 2
    await other.aclose()
    lost.close()
    await store.aclose()
    store = open_store(tmp_path)
    assert len(list((tmp_path / "spool").iterdir())) == 1
    assert await store.read_content(new.message.id) == new.content
    await store.aclose()


async def test_a_file_that_is_added_to_outlives_its_messages(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    old, samples = Samples(NOW - 2 * MONTH), Samples()
    await store.accept(old.message(mode=KeyMode.TEST, created_at=NOW - 2 * MONTH))
    assert await store.delete_messages(created_before=NOW - MONTH, limit=10) == 1
    other = open_store(tmp_path)
    assert await other.remove_orphans() == 0
    await other.aclose()
    new = samples.message()
    await store.accept(new)
    await store.aclose()
    store = open_store(tmp_path)
    assert await store.read_content(new.message.id) == new.content
    await store.aclose()
