"""Dialogues of delivery attempts in append-only files, `transcripts/` in the data directory: what the dashboard and `queue show` print of a try.

Does: takes dialogues in memory, appends them a few times a second, reads single ones, removes the oldest files.
Strategy: two series of files, `failed-…` and `delivered-…`, so that many deliveries do not push out the dialogues that somebody will ask for. A
process starts files of its own and never goes on with another's, so a torn end is never followed by anything.
When things fail: nothing is synced, and no attempt waits for it. After a failed write the process starts another file; the dialogues that waited are lost. A
record that is torn or damaged is left out.
Limits: `DialogueLimits`, the oldest file goes first; a delivered dialogue is kept for a day.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sendryd.model.dialogue import AttemptDialogue
from sendryd.store.codec.dialogues import HEADER, DialogueUnreadable, decode_dialogue, encode_dialogue, read_length

FOLDER: Final = "transcripts"
MAX_FILES: Final = 1000  # of one series: a program that restarts all the time makes many small ones
FILE_AGE: Final = timedelta(hours=1)  # after which it is followed, so that a day of deliveries ends to the hour
DELIVERED_LIFETIME: Final = timedelta(hours=24)
PRUNE_INTERVAL: Final = timedelta(minutes=10)
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
_NAME: Final = re.compile(r"(?:delivered|failed)-[0-9]{13}-[0-9a-f]{1,16}")
_PLACE: Final = re.compile(r"((?:delivered|failed)-[0-9]{13}-[0-9a-f]{1,16}):([0-9]{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueLimits:
    """Octets."""

    series: int = 128 * 1024 * 1024  # both series together have 256 MiB at the most
    file: int = 4 * 1024 * 1024  # after which a file is followed by the next: 3 % of a series go at once
    waiting: int = 4 * 1024 * 1024  # in memory; a disk that takes less than 16 MB a second loses dialogues, not mail


@dataclass(slots=True)
class _File:
    """A file that this process appends to."""

    name: str
    begun_at: datetime
    size: int = 0  # octets, with those that wait
    waiting: list[bytes] = field(default_factory=list)


class DialogueFiles:
    """`DialogueStore` in files."""

    def __init__(
        self,
        folder: Path,
        *,
        boot: int,
        now: Callable[[], datetime],
        keep_failed: timedelta,
        note_fault: Callable[[str], None],
        limits: DialogueLimits | None = None,
    ) -> None:
        """`boot` tells this process's files from others'. `note_fault` gets the fault when files can no longer be written."""
        self._folder = folder
        self._boot = f"{boot:x}"
        self._now = now
        self._lifetimes = {DELIVERED: DELIVERED_LIFETIME, FAILED: keep_failed}
        self._note_fault = note_fault
        self._limits = limits or DialogueLimits()
        self._current: dict[str, _File] = {}
        self._unwritten: dict[str, _File] = {}  # those with waiting records
        self._waiting = 0  # octets
        self._writing = asyncio.Lock()
        self._pruned_at: datetime | None = None
        self._is_failing = False

    def add_dialogue(self, dialogue: AttemptDialogue, *, is_delivered: bool) -> str:
        record, now = encode_dialogue(dialogue), self._now()
        if self._waiting + len(record) > self._limits.waiting:
            return ""
        file = self._file(DELIVERED if is_delivered else FAILED, now, len(record))
        place = f"{file.name}:{file.size}"
        file.size += len(record)
        file.waiting.append(record)
        self._unwritten[file.name] = file
        self._waiting += len(record)
        return place

    async def read_dialogues(self, places: Iterable[str]) -> Mapping[str, AttemptDialogue]:
        wanted = [(place, found[1], int(found[2])) for place in places if (found := _PLACE.fullmatch(place)) is not None]
        if any(name.endswith(f"-{self._boot}") for _, name, _ in wanted):
            await self.write_dialogues()  # or waits for the writing that is under way
        return await asyncio.to_thread(self._read, wanted) if wanted else {}

    async def write_dialogues(self) -> None:
        async with self._writing:
            now = self._now()
            taken, self._unwritten, self._waiting = list(self._unwritten.values()), {}, 0
            pieces = [(file, b"".join(file.waiting)) for file in taken]
            for file in taken:
                file.waiting = []
            if pieces:
                self._give_up(await asyncio.to_thread(self._append, pieces))
            if (
                self._pruned_at is None
                or abs(now - self._pruned_at) >= PRUNE_INTERVAL
                or any(file.size == len(data) for file, data in pieces)
            ):
                self._pruned_at = now
                await asyncio.to_thread(self._prune, now)

    def _file(self, series: str, now: datetime, size: int) -> _File:
        file = self._current.get(series)
        if file is None or file.size + size > self._limits.file or not timedelta() <= now - file.begun_at < FILE_AGE:
            begun = now if file is None else max(now, file.begun_at + timedelta(milliseconds=1))  # a name of its own
            name = f"{series}-{_unix_ms(begun):013d}-{self._boot}"
            file = self._current[series] = _File(name, now)
        return file

    def _give_up(self, faults: Mapping[str, OSError]) -> None:
        """Goes on with new files in place of those that could not be written."""
        for series, file in list(self._current.items()):
            if file.name in faults:
                self._waiting -= sum(map(len, file.waiting))
                self._unwritten.pop(file.name, None)
                del self._current[series]
        if faults and not self._is_failing:
            self._note_fault(repr(next(iter(faults.values()))))
        self._is_failing = bool(faults)

    # In threads.

    def _append(self, pieces: Iterable[tuple[_File, bytes]]) -> dict[str, OSError]:
        """Appends to files; the faults of those that could not be."""
        faults: dict[str, OSError] = {}
        for file, data in pieces:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                with open(
                    os.open(self._folder / file.name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "wb", 0
                ) as opened:
                    view = memoryview(data)
                    while view:
                        view = view[opened.write(view) or 0 :]
            except OSError as error:
                faults[file.name] = error
        return faults

    def _read(self, wanted: Iterable[tuple[str, str, int]]) -> dict[str, AttemptDialogue]:
        found: dict[str, AttemptDialogue] = {}
        for place, name, offset in wanted:
            with suppress(OSError, DialogueUnreadable), (self._folder / name).open("rb") as file:
                file.seek(offset)
                header = file.read(HEADER)
                found[place] = decode_dialogue(header + file.read(read_length(header)))
        return found

    def _prune(self, now: datetime) -> None:
        with suppress(OSError):
            sizes = {each.name: each.stat().st_size for each in os.scandir(self._folder) if _NAME.fullmatch(each.name)}
            for name in list_surplus(sizes, now, self._lifetimes, self._limits.series):
                (self._folder / name).unlink(missing_ok=True)


def list_surplus(sizes: Mapping[str, int], now: datetime, lifetimes: Mapping[str, timedelta], most: int) -> list[str]:
    """The names of the files that have to go, of these with their sizes in octets. A series has `most` octets."""
    surplus: list[str] = []
    for series, lifetime in lifetimes.items():
        names = sorted((name for name in sizes if name.startswith(f"{series}-")), reverse=True)
        oldest, kept = _unix_ms(now - lifetime - FILE_AGE), 0
        for number, name in enumerate(names):
            kept += sizes[name]
            if number >= MAX_FILES or kept > most or int(name.split("-")[1]) < oldest:
                surplus.append(name)
    return surplus


def _unix_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
