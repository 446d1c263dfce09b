"""The contract of dialogues, for memory and files; and how files fail."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.model.dialogue import AttemptDialogue, DialogueSession, Speaker, Spoken
from sendryd.store.base import DialogueStore
from sendryd.store.dialoguefiles import DELIVERED, FAILED, FILE_AGE, DialogueFiles, DialogueLimits, list_surplus
from sendryd.store.memory.dialogues import MemoryDialogues
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import NOW

DAY = timedelta(days=1)


def said(text: str) -> AttemptDialogue:
    spoken = (Spoken(3, Speaker.THEM, b"220 mx.test\r\n"), Spoken(5, Speaker.US, text.encode()))
    session = DialogueSession(host="mx.test", address="192.0.2.1", port=25, tls="TLSv1.3, AES", spoken=spoken)
    return AttemptDialogue(began_at=NOW, sessions=(session,))


class Files:
    """Opens the files of one folder as one process after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.faults: list[str] = []
        self.starts = 0

    def open(self, limits: DialogueLimits | None = None) -> DialogueFiles:
        self.starts += 1
        return DialogueFiles(
            self.folder, boot=self.starts, now=self.clock.now, keep_failed=90 * DAY, note_fault=self.faults.append, limits=limits
        )

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "transcripts")


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, files: Files) -> DialogueStore:
    makers: dict[str, Callable[[], DialogueStore]] = {"memory": MemoryDialogues, "files": files.open}
    return makers[request.param]()


async def test_each_dialogue_is_found_at_its_place(store: DialogueStore) -> None:
    places = [store.add_dialogue(said(f"RCPT {number}"), is_delivered=bool(number % 2)) for number in range(5)]
    await store.write_dialogues()
    late = store.add_dialogue(said("late"), is_delivered=True)
    found = await store.read_dialogues([*places, late])
    assert found == {**{place: said(f"RCPT {number}") for number, place in enumerate(places)}, late: said("late")}


@pytest.mark.parametrize(
    "place", ["", "nowhere", "failed:99", "../../etc/passwd:0", "failed-1764407882114-1:0", "failed-1764407882114-1:9999999999999"]
)
async def test_a_place_without_a_dialogue_is_left_out(store: DialogueStore, place: str) -> None:
    known = store.add_dialogue(said("here"), is_delivered=False)
    await store.write_dialogues()
    assert await store.read_dialogues([place, known]) == {known: said("here")}


async def test_another_process_reads_what_was_written_and_starts_files_of_its_own(files: Files) -> None:
    first, second = files.open(), files.open()
    place = first.add_dialogue(said("one"), is_delivered=True)
    await first.write_dialogues()
    assert await second.read_dialogues([place]) == {place: said("one")}
    second.add_dialogue(said("two"), is_delivered=True)
    await second.write_dialogues()
    assert len(files.names()) == 2


async def test_a_torn_end_and_damage_lose_only_their_own_dialogues(files: Files) -> None:
    store = files.open()
    places = [store.add_dialogue(said(f"number {number}"), is_delivered=False) for number in range(3)]
    await store.write_dialogues()
    path = files.folder / files.names()[0]
    data = bytearray(path.read_bytes())
    data[int(places[1].rpartition(":")[2]) + 40] ^= 1
    path.write_bytes(bytes(data[:-5]))
    assert await files.open().read_dialogues(places) == {places[0]: said("number 0")}


async def test_a_folder_that_cannot_be_written_loses_dialogues_and_is_told_once(files: Files) -> None:
    store = files.open()
    files.folder.write_text("a file in its place")
    lost = store.add_dialogue(said("lost"), is_delivered=False)
    await store.write_dialogues()
    store.add_dialogue(said("lost, too"), is_delivered=False)
    await store.write_dialogues()
    assert len(files.faults) == 1
    files.folder.unlink()
    kept = store.add_dialogue(said("kept"), is_delivered=False)
    assert await store.read_dialogues([lost, kept]) == {kept: said("kept")}


async def test_a_folder_that_is_removed_is_made_again(files: Files) -> None:
    store = files.open()
    gone = store.add_dialogue(said("gone"), is_delivered=True)
    await store.write_dialogues()
    (files.folder / files.names()[0]).unlink()
    files.folder.rmdir()
    assert await store.read_dialogues([gone]) == {}
    files.clock.advance(2 * FILE_AGE)
    kept = store.add_dialogue(said("kept"), is_delivered=True)
    assert await store.read_dialogues([kept]) == {kept: said("kept")}


async def test_more_than_memory_may_hold_is_not_kept(files: Files) -> None:
    store = files.open(DialogueLimits(waiting=400))
    places = [store.add_dialogue(said("x" * 100), is_delivered=False) for _ in range(5)]
    assert bool(places[0])
    assert places[-1] == ""
    await store.write_dialogues()
    assert store.add_dialogue(said("again"), is_delivered=False)


async def test_delivered_dialogues_go_after_a_day_and_the_others_later(files: Files) -> None:
    store = files.open()
    delivered, failed = store.add_dialogue(said("ok"), is_delivered=True), store.add_dialogue(said("no"), is_delivered=False)
    await store.write_dialogues()
    files.clock.advance(DAY + 2 * FILE_AGE)
    await store.write_dialogues()
    assert await store.read_dialogues([delivered, failed]) == {failed: said("no")}
    files.clock.advance(90 * DAY)
    await store.write_dialogues()
    assert files.names() == []


async def test_the_oldest_files_go_first(files: Files) -> None:
    store = files.open(DialogueLimits(file=1, series=800))
    places: list[str] = []
    for number in range(10):
        places.append(store.add_dialogue(said(f"number {number}"), is_delivered=False))
        files.clock.advance(timedelta(seconds=1))
        await store.write_dialogues()
    found = await store.read_dialogues(places)
    assert list(found) == places[-len(found) :]
    assert 1 <= len(found) < 10
    assert sum((files.folder / name).stat().st_size for name in files.names()) <= 800


def test_a_series_does_not_push_out_the_other() -> None:
    ms = int(NOW.timestamp() * 1000)
    sizes = {f"{series}-{ms + number:013d}-1": 50 * 1024 * 1024 for series in (DELIVERED, FAILED) for number in range(2)}
    sizes |= {f"{DELIVERED}-{ms + number:013d}-1": 50 * 1024 * 1024 for number in range(2, 5)}
    surplus = list_surplus(sizes, NOW, {DELIVERED: DAY, FAILED: DAY}, DialogueLimits().series)
    assert sorted(surplus) == sorted(f"{DELIVERED}-{ms + number:013d}-1" for number in range(3))
