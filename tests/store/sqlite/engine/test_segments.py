"""The files of contents: nothing is written over, and nothing is removed that may still be needed."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.apikey import KeyMode
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.errors import ContentDamaged, StoreFull, StoreUnavailable
from sendryd.store.sql.place import Place
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import segments
from sendryd.store.sqlite.engine.records import RECORD_HEADER, SEGMENT_HEADER, SegmentId
from sendryd.store.sqlite.engine.segments import Spool, segment_name
from sendryd.testing.samples import NOW, Samples

MONTH = timedelta(days=30)


def begin(files: Spool, number: int) -> SegmentId:
    segment = SegmentId(number, b"s" * 16, number.to_bytes(16, "big"))
    assert files.begin(segment)
    return segment


def append(files: Spool, *contents: bytes, number: int | None = None) -> list[Place]:
    """Appends contents of messages 1, 2, …, to a new file if a number is given."""
    if number is not None:
        begin(files, number)
    appended = files.append(list(enumerate(contents, 1)))
    segment = appended.segment
    return [
        Place(message_id, segment.number, segment.id, position, len(content))
        for message_id, (position, content) in enumerate(zip(appended.positions, contents, strict=True), 1)
    ]


def test_contents_are_read_back(tmp_path: Path) -> None:
    files = Spool(tmp_path)
    assert files.must_begin()
    contents = [b"", b"one", b"x" * 100_000, b"", b"two"]
    places = append(files, *contents, number=7)
    assert not files.must_begin()
    assert [files.read(place) for place in places] == contents
    files.close()


def read_damaged(files: Spool, place: Place) -> str:
    with pytest.raises(ContentDamaged) as caught:
        files.read(place)
    return str(caught.value)


@pytest.mark.parametrize("size", [100, 100_000])  # read at once, and in two steps
def test_what_is_not_the_content_that_was_stored_is_not_read(tmp_path: Path, size: int) -> None:
    files = Spool(tmp_path)
    first, place = append(files, b"a" * size, b"b" * size, number=1)
    path = tmp_path / "0000000001.seg"
    whole = path.read_bytes()
    assert "another message" in read_damaged(files, replace(place, message_id=9))
    assert "another message" in read_damaged(files, replace(place, size=size - 1))
    assert "another message" in read_damaged(files, replace(place, position=first.position))
    assert "damaged" in read_damaged(files, replace(place, position=place.position - 1))
    assert "not the one" in read_damaged(files, replace(place, segment_id=b"t" * 16))
    assert "not the one" in read_damaged(files, replace(place, segment_id=None))
    assert "0000000002.seg cannot be used: it is missing" in read_damaged(files, replace(place, segment=2))
    for octet in (place.position - 1, place.position, place.position + size - 1):  # of the record's header, of the content
        path.write_bytes(whole[:octet] + bytes([whole[octet] ^ 4]) + whole[octet + 1 :])
        assert "0000000001.seg" in read_damaged(files, place)
        assert files.read(first) == b"a" * size
    path.write_bytes(whole[:-1])
    assert "too short" in read_damaged(files, place)
    path.unlink()
    files.close()  # else it still has the file that has no name any more
    assert "missing" in read_damaged(files, place)
    path.write_bytes(whole[:20])
    assert "header is short" in read_damaged(files, place)
    path.write_bytes(whole[:20] + b"?" + whole[21:])
    assert "header is damaged" in read_damaged(files, place)
    path.write_bytes(whole)  # restored
    assert files.read(place) == b"b" * size
    files.close()


@given(st.data())
def test_no_octet_can_be_altered_unseen(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        files = Spool(Path(folder))
        contents = data.draw(st.lists(st.binary(max_size=30), min_size=1, max_size=4))
        places = append(files, *contents, number=1)
        (path,) = Path(folder).iterdir()
        whole = path.read_bytes()
        octet = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:octet] + bytes([whole[octet] ^ data.draw(st.integers(1, 255))]) + whole[octet + 1 :])
        for place, content in zip(places, contents, strict=True):
            try:
                assert files.read(place) == content
            except ContentDamaged:
                assert octet < SEGMENT_HEADER or place.position - RECORD_HEADER <= octet < place.position + place.size
            else:
                assert not place.position - RECORD_HEADER <= octet < place.position + place.size
        files.close()


def test_a_disk_that_cannot_read_is_damage_and_a_lack_of_descriptors_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Spool(tmp_path)
    (place,) = append(files, b"one", number=1)

    def fail(code: int) -> None:
        def fault(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "pread", fault)

    fail(errno.EIO)
    assert "cannot be read: Input/output error" in read_damaged(files, place)
    fail(errno.EMFILE)
    with pytest.raises(StoreUnavailable):
        files.read(place)
    files.close()


def test_files_of_earlier_versions_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "0000000001.seg").write_bytes(b"onetwo")
    files = Spool(tmp_path)
    place = Place(5, 1, None, 3, 3)
    assert files.read(place) == b"two"
    assert "too short" in read_damaged(files, replace(place, size=4))
    assert "not the one" in read_damaged(files, replace(place, segment_id=b"s" * 16))
    files.close()


def test_more_contents_than_one_system_call_takes(tmp_path: Path) -> None:
    files = Spool(tmp_path)
    contents = [str(number).encode() for number in range(segments.MAX_VECTOR * 2 + 1)]
    places = append(files, *contents, number=1)
    assert [files.read(place) for place in places] == contents
    files.close()


def test_a_file_that_is_large_enough_is_not_added_to(tmp_path: Path) -> None:
    files = Spool(tmp_path, Sizes(segment=SEGMENT_HEADER + 2 * RECORD_HEADER + 7))
    append(files, b"12345", number=1)
    assert not files.must_begin()
    append(files, b"12")
    assert files.must_begin()
    files.close()


def test_a_number_that_is_taken_is_not_begun_again(tmp_path: Path) -> None:
    first, second = Spool(tmp_path), Spool(tmp_path)
    (place,) = append(first, b"a", number=1)
    assert not second.begin(SegmentId(1, b"s" * 16, b"i" * 16))
    append(second, b"b", number=2)
    assert first.read(place) == b"a"
    first.close()
    second.close()


def test_room_is_given_back_only_when_the_commit_has_certainly_failed(tmp_path: Path) -> None:
    files = Spool(tmp_path)
    (kept,) = append(files, b"kept", number=1)
    (rolled_back,) = append(files, b"rolled back")
    files.roll_back()
    assert append(files, b"next")[0].position == rolled_back.position
    (place,) = append(files, b"may come back")
    files.roll_back(is_certain=False)
    assert files.must_begin()
    append(files, b"later", number=2)
    assert files.read(place) == b"may come back"
    assert files.read(kept) == b"kept"
    files.close()


def test_room_that_cannot_be_given_back_is_not_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Spool(tmp_path)
    (kept,) = append(files, b"kept", number=1)
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
            append(files, b"half written")
    later = append(files, b"another message", number=2 if files.must_begin() else None)
    assert files.read(later[0]) == b"another message"
    assert files.read(kept) == b"kept"
    files.close()


def test_a_file_that_is_removed_while_it_is_in_use_is_not_added_to(tmp_path: Path) -> None:
    files = Spool(tmp_path / "spool")
    append(files, b"gone", number=1)
    (tmp_path / "spool" / segment_name(1)).unlink()
    (tmp_path / "spool").rmdir()
    assert files.must_begin()
    (place,) = append(files, b"here", number=2)
    files.close()
    assert Spool(tmp_path / "spool").read(place) == b"here"


def test_only_what_nobody_uses_or_adds_to_is_removed(tmp_path: Path) -> None:
    running, stopped = Spool(tmp_path), Spool(tmp_path)
    append(running, b"a", number=1)
    append(stopped, b"b", number=2)
    append(stopped, b"c", number=3)
    stopped.close()
    tidy = Spool(tmp_path)
    assert tidy.numbers() == [1, 2, 3]
    assert tidy.remove([*tidy.numbers(), 999], lambda file: file.number != 2) == 1
    assert tidy.numbers() == [1, 2]
    running.close()
    assert tidy.remove([1], lambda file: file.id == (1).to_bytes(16, "big")) == 1
    tidy.close()


def test_readers_in_threads_do_not_mix_up_files(tmp_path: Path) -> None:
    files = Spool(tmp_path, Sizes(open_segments=1))
    places = [append(files, b"%04d" % number * 1000, number=number)[0] for number in range(1, 21)]

    def read(number: int) -> bool:
        return files.read(places[number % 20]) == b"%04d" % (number % 20 + 1) * 1000

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
    lost = open_store(tmp_path)
    await lost._sqlite.writer.submit(lambda *_: None, size=1)  # begins a file; and is killed before it commits a message
    other = open_store(tmp_path)  # while the first ones are still at work
    assert len(list((tmp_path / "spool").iterdir())) == 2
    await other.aclose()
    await lost.aclose()
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


NOBODY = 65534


def is_usable(folder: Path) -> bool:
    try:
        Spool(folder).check_usable()
    except PermissionError:
        return False
    return True


def is_usable_for_another_user(folder: Path) -> bool:
    """In a process of its own: whoever runs the tests may be root, who may do anything."""
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        os._exit(0 if is_usable(folder) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.needs("root")
def test_a_folder_that_may_not_be_used_is_told() -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "spool"
        assert is_usable_for_another_user(folder), "it is made with the first file"
        folder.mkdir(mode=0o700)
        assert not is_usable_for_another_user(folder)
        assert is_usable(folder)
