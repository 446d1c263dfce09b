"""Contents of messages in append-only files, 64 MiB each.

A content is written once, beside the database: through it, each octet would be written twice (to the log and to its place) and passed
through checksums. All contents of a batch are appended and synced together, before the commit that refers to them. A process begins a file
of its own, so what a crash left behind the last committed content is never written over, and goes when its file goes: a file is removed
when no message refers to it any more.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from sendryd.store.errors import NotFound
from sendryd.store.sqlite.connection import translated

SEGMENT_SIZE: Final = 64 * 1024 * 1024  # octets after which a new file is begun: little enough to be given back soon
MAX_VECTOR: Final = 512  # contents of one system call; Linux takes 1024
MAX_OPEN: Final = 16  # files kept open for reading
ORPHAN_AGE: Final = 3600.0  # seconds: a file that nothing refers to is removed when it is older than any accept under way


class Segments:
    """The folder. `append` and `roll_back` belong to the writer's thread; the rest may be called from any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._number = 0
        self._size = 0
        self._before = 0  # where the last append began
        self._readers: OrderedDict[int, int] = OrderedDict()
        self._lock = Lock()

    @property
    def current(self) -> int:
        """The file that is appended to; 0 if there is none yet."""
        return self._number

    def append(self, contents: Sequence[bytes]) -> tuple[int, list[int]]:
        """Appends contents, durably; gives the file's number and where each begins."""
        if self._descriptor is None or self._size >= SEGMENT_SIZE:
            self._begin()
        descriptor = self._descriptor
        if descriptor is None:
            raise AssertionError("no segment is open")
        position = self._before = self._size
        places = []
        for content in contents:
            places.append(position)
            position += len(content)
        try:
            for start in range(0, len(contents), MAX_VECTOR):
                _write_all(descriptor, contents[start : start + MAX_VECTOR])
            os.fdatasync(descriptor)
        except OSError:
            # After a failed sync the system may have dropped what it could not write: this file is not trusted any more.
            self.roll_back()
            self._end()
            raise
        self._size = position
        return self._number, places

    def roll_back(self) -> None:
        """The last append was not committed: its room is given back."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._before)
                os.lseek(self._descriptor, self._before, os.SEEK_SET)
                self._size = self._before
                return
            self._end()

    def read(self, number: int, position: int, size: int) -> bytes:
        """A content. Raises `NotFound` if its file is gone or too short."""
        with translated():
            try:
                descriptor = self._reader(number)
            except FileNotFoundError:
                raise NotFound("the content of the message is gone") from None
            parts = []
            while size > 0:
                part = os.pread(descriptor, size, position)
                if not part:
                    raise NotFound("the content of the message is gone")
                parts.append(part)
                position += len(part)
                size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def remove(self, numbers: Sequence[int]) -> None:
        """Removes files that nothing refers to."""
        with self._lock:
            for number in numbers:
                descriptor = self._readers.pop(number, None)
                if descriptor is not None:
                    os.close(descriptor)
                self._path(number).unlink(missing_ok=True)

    def old_files(self) -> list[int]:
        """Numbers of files older than any accept under way, but for the one that is appended to."""
        limit = time.time() - ORPHAN_AGE
        numbers = []
        for path in self._folder.glob("*.seg"):
            with suppress(OSError, ValueError):
                number = int(path.stem)
                if number != self._number and path.stat().st_mtime < limit:
                    numbers.append(number)
        return numbers

    def close(self) -> None:
        """Closes all files."""
        self._end()
        with self._lock:
            for descriptor in self._readers.values():
                os.close(descriptor)
            self._readers.clear()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010d}.seg"

    def _begin(self) -> None:
        self._end()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = max((int(path.stem) for path in self._folder.glob("*.seg") if path.stem.isdigit()), default=0)
        while True:
            number += 1
            try:
                descriptor = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                break
            except FileExistsError:
                continue
        _sync_folder(self._folder)
        self._descriptor, self._number, self._size = descriptor, number, 0

    def _end(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _reader(self, number: int) -> int:
        with self._lock:
            descriptor = self._readers.get(number)
            if descriptor is None:
                descriptor = os.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC)
                self._readers[number] = descriptor
                if len(self._readers) > MAX_OPEN:
                    os.close(self._readers.popitem(last=False)[1])
            self._readers.move_to_end(number)
            return descriptor


def _write_all(descriptor: int, contents: Sequence[bytes]) -> None:
    left: list[bytes | memoryview] = list(contents)
    while left:
        written = os.writev(descriptor, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = memoryview(left[0])[written:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
