"""Database and spool belong together: what is missing, foreign, short or altered is neither read nor removed, and numbers never come back."""

import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from sendryd.model.apikey import KeyMode
from sendryd.store.base import NewMessage, SpoolReport
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.sqlite import FILE_NAME
from sendryd.store.errors import ContentDamaged
from sendryd.store.sqlite import SqliteStore, open_store
from sendryd.store.sqlite.engine import migrate
from sendryd.store.sqlite.engine.records import RECORD_HEADER, SEGMENT_HEADER
from sendryd.testing.samples import NOW, Samples

MONTH = timedelta(days=30)
CONTENT = b"From: a@example.test\r\n\r\nnumber %03d\r\n"


class Installation:
    """A data directory, and everything that was accepted in it."""

    def __init__(self, data_dir: Path, *, first: int = 0, now_days: int = 0) -> None:
        self.data_dir, self.spool = data_dir, data_dir / "spool"
        self.samples, self.number = Samples(NOW + timedelta(days=now_days)), first

    async def run(self, count: int = 1, *, mode: KeyMode = KeyMode.LIVE, sizes: Sizes = USUAL) -> list[NewMessage]:
        """A life of the program in which messages are accepted: each of these is a segment."""
        store = open_store(self.data_dir, sizes=sizes)
        made = [await self.accept(store, mode=mode) for _ in range(count)]
        await store.aclose()
        return made

    async def accept(self, store: SqliteStore, *, mode: KeyMode = KeyMode.LIVE) -> NewMessage:
        new = self.samples.message(content=CONTENT % self.number, mode=mode)
        self.number += 1
        await store.accept(new)
        return new

    def names(self) -> list[str]:
        return sorted(path.name for path in self.spool.iterdir())

    async def report(self) -> SpoolReport:
        store = open_store(self.data_dir)
        report = await store.compare_spool()
        await store.aclose()
        return report

    async def check(self, whole: Sequence[NewMessage], damaged: Sequence[NewMessage] = ()) -> None:
        store = open_store(self.data_dir)
        for new in whole:
            assert await store.read_content(new.message.id) == new.content
        for new in damaged:
            with pytest.raises(ContentDamaged):
                await store.read_content(new.message.id)
        await store.aclose()


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "here")


async def test_a_lost_spool_damages_the_old_messages_and_no_new_one_takes_their_place(here: Installation) -> None:
    old = [*await here.run(3), *await here.run(2)]
    shutil.rmtree(here.spool)
    assert await here.report() == SpoolReport(segments=2, messages=5, missing=("0000000001.seg", "0000000002.seg"), affected=5)
    new = await here.run(5)
    assert here.names() == ["0000000003.seg"]
    await here.check(new, old)


async def test_a_spool_that_comes_back_is_whole_again_beside_what_was_accepted_meanwhile(here: Installation, tmp_path: Path) -> None:
    old = await here.run(3)
    here.spool.rename(tmp_path / "away")
    new = await here.run(3)
    shutil.copytree(tmp_path / "away", here.spool, dirs_exist_ok=True)
    await here.check([*old, *new])
    assert (await here.report()).is_whole


async def test_numbers_do_not_come_back_when_all_messages_are_gone(here: Installation) -> None:
    await here.run(2, mode=KeyMode.TEST)
    store = open_store(here.data_dir)
    assert await store.delete_messages(created_before=NOW + MONTH, limit=10) == 2
    assert here.names() == []
    await here.accept(store)
    await store.aclose()
    assert here.names() == ["0000000002.seg"]


@pytest.mark.parametrize("has_segments_of_its_own", [False, True])
async def test_the_spool_of_another_installation_is_not_read_nor_touched(
    here: Installation, tmp_path: Path, *, has_segments_of_its_own: bool
) -> None:
    there = Installation(tmp_path / "there", first=500, now_days=1)
    ours, theirs = await here.run(3), await there.run(3)
    for _ in range(3 if has_segments_of_its_own else 0):
        theirs += await there.run(1)
    shutil.rmtree(here.spool)
    shutil.copytree(there.spool, here.spool)
    before = {path: path.read_bytes() for path in here.spool.iterdir()}
    report = await here.report()
    assert (report.foreign, report.missing, report.affected) == (("0000000001.seg",), (), 3)
    assert len(report.unknown) == len(before) - 1
    assert report.other_spool == tuple(here.names())
    new = await here.run(2)
    await here.check(new, ours)
    assert all(path.read_bytes() == octets for path, octets in before.items())
    await there.check(theirs)


async def test_an_older_database_keeps_what_it_does_not_know(here: Installation, tmp_path: Path) -> None:
    first = await here.run(2)
    shutil.copy(here.data_dir / FILE_NAME, tmp_path / "backup")
    await here.run(2)
    shutil.copy(tmp_path / "backup", here.data_dir / FILE_NAME)
    later = here.spool / "0000000002.seg"
    before = later.read_bytes()
    report = await here.report()
    assert (report.unknown, report.other_spool) == (("0000000002.seg",), ())
    store = open_store(here.data_dir)
    here.samples = Samples(NOW + MONTH)
    assert await store.remove_orphans() == 0
    new = await here.accept(store)
    await store.aclose()
    assert here.names() == ["0000000001.seg", "0000000002.seg", "0000000003.seg"]
    assert later.read_bytes() == before
    await here.check([*first, new])


async def test_an_older_spool_has_files_that_are_too_short(here: Installation) -> None:
    store = open_store(here.data_dir)
    first = await here.accept(store)
    before = (here.spool / "0000000001.seg").read_bytes()
    second = await here.accept(store)
    await store.aclose()
    (here.spool / "0000000001.seg").write_bytes(before)
    assert await here.report() == SpoolReport(segments=1, messages=2, short=("0000000001.seg",), affected=2)
    await here.check([first], [second])
    await here.run(1)
    (here.spool / "0000000001.seg").write_bytes(b"")
    assert (await here.report()).short == ("0000000001.seg",)
    await here.check([], [first, second])
    assert len(here.names()) == 2  # it is not removed though it is empty: messages refer to it


async def test_two_files_that_were_exchanged_are_foreign(here: Installation) -> None:
    messages = [*await here.run(1), *await here.run(1)]
    one, two = sorted(here.spool.iterdir())
    octets = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(octets)
    assert (await here.report()).foreign == (one.name, two.name)
    await here.check([], messages)


async def test_a_content_in_the_place_of_another_is_not_taken_for_it(here: Installation) -> None:
    """Equal sizes, a whole record each: only the message's id tells."""
    messages = await here.run(2)
    (path,) = here.spool.iterdir()
    octets, length = path.read_bytes(), RECORD_HEADER + len(messages[0].content)
    records = [octets[start : start + length] for start in range(SEGMENT_HEADER, len(octets), length)]
    path.write_bytes(octets[:SEGMENT_HEADER] + records[1] + records[0])
    assert (await here.report()).is_whole
    await here.check([], messages)


async def test_a_restored_file_is_seen_while_the_program_runs(here: Installation) -> None:
    (new,) = await here.run(1)
    (path,) = here.spool.iterdir()
    octets = path.read_bytes()
    store = open_store(here.data_dir)
    for damage in (None, b"", octets[:-1], octets.replace(b"number", b"member")):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        with pytest.raises(ContentDamaged):
            await store.read_content(new.message.id)
        path.unlink(missing_ok=True)
        path.write_bytes(octets)
        assert await store.read_content(new.message.id) == new.content
        await store.aclose()
        store = open_store(here.data_dir)
    await store.aclose()


async def test_what_a_kill_left_of_a_new_file_goes_and_its_number_does_not_come_back(here: Installation) -> None:
    await here.run(1)
    for number, octets in ((2, b""), (3, b"\x89sen"), (4, b"\x89sendryd" + b"\0" * 20)):
        (here.spool / f"{number:010d}.seg").write_bytes(octets)
    await here.run(1)
    assert here.names() == ["0000000001.seg", "0000000002.seg"]


# Data directories of versions without ids.


async def make_old(data_dir: Path) -> list[NewMessage]:
    """What the program left before the spool had ids: contents one after the other, nothing else."""
    here = Installation(data_dir)
    messages = [await here.run(2), await here.run(1)]
    for path, some in zip(sorted(here.spool.iterdir()), messages, strict=True):
        path.write_bytes(b"".join(new.content for new in some))
    connection = apsw.Connection(str(data_dir / FILE_NAME))
    version = next(each.version for each in migrate.all_migrations() if each.name.endswith("_spool"))
    length = len(messages[0][0].content)
    connection.execute("DROP TRIGGER segment_added; DROP TABLE spool; ALTER TABLE segment DROP COLUMN id")
    connection.execute("ALTER TABLE segment DROP COLUMN octets; DELETE FROM schema_migration WHERE version = ?", (version,))
    for new, position in zip([*messages[0], *messages[1]], (0, length, 0), strict=True):
        connection.execute("UPDATE message SET position = ? WHERE id = ?", (position, new.message.id))
    connection.close()
    return [*messages[0], *messages[1]]


async def test_an_old_data_directory_is_read_on_and_its_numbers_continue(here: Installation) -> None:
    old = await make_old(here.data_dir)
    here.samples = Samples(NOW + MONTH)
    assert await here.report() == SpoolReport(segments=2, messages=3)
    new = await here.run(1)
    assert here.names() == ["0000000001.seg", "0000000002.seg", "0000000003.seg"]
    await here.check([*old, *new])


async def test_an_old_spool_that_is_lost_or_another_is_seen(here: Installation, tmp_path: Path) -> None:
    old = await make_old(here.data_dir)
    open_store(here.data_dir)._sqlite.close()  # migrated
    there = Installation(tmp_path / "there", first=500)
    await there.run(2)
    shutil.copy(there.spool / "0000000001.seg", here.spool / "0000000002.seg")
    (here.spool / "0000000001.seg").write_bytes(old[0].content)
    report = await here.report()
    assert (report.short, report.foreign, report.missing) == (("0000000001.seg",), ("0000000002.seg",), ())
    await here.check(old[:1], old[1:])
    shutil.rmtree(here.spool)
    here.samples = Samples(NOW + MONTH)
    new = await here.run(3)
    assert here.names() == ["0000000003.seg"]
    await here.check(new, old)


async def test_old_files_go_with_their_messages(here: Installation) -> None:
    await make_old(here.data_dir)
    store = open_store(here.data_dir)
    await store._sqlite.writer.submit(lambda connection, _: connection.execute("DELETE FROM delivery").fetchall())
    assert await store.delete_messages(created_before=NOW + MONTH, limit=10) == 3
    await store.aclose()
    assert here.names() == []


async def test_files_are_filled_one_after_the_other(here: Installation) -> None:
    messages = await here.run(3, sizes=Sizes(segment=SEGMENT_HEADER + 1))
    assert len(here.names()) == 3
    await here.check(messages)
