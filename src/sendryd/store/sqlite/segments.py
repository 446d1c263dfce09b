"""Contents of messages in append-only files, 64 MiB each.

A content is written once, beside the database: through it, each octet would be written twice (to the log and to its place) and passed
through checksums. All contents of a batch are appended and synced together, before the commit that refers to them.

A process begins a file of its own and keeps it locked for as long as it may append to it. So what a crash left behind the last committed
content is never written over, and a file that is not locked, and that no message refers to, can go: nobody will add to it.
"""

import fcntl
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from sendryd.store.errors import NotFound
from sendryd.store.sqlite.connection import translated

SEGMENT_SIZE: Final = 64 * 1024 * 1024  # octets after which a new file is begun: little enough to be given back soon
MAX_VECTOR: Final = 512  # contents of one system call; Linux takes 1024
MAX_OPEN: Final = 16  # files kept open for reading


class _Reader:
    """A file open for reading, for as long as somebody holds this: another thread may still read when it has left the cache."""

    __slots__ = ("descriptor",)

    def __init__(self, path: Path) -> None:
        self.descriptor = -1
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class Segments:
    """The folder. `append`, `roll_back` and `close` belong to the writer's thread; the rest may be called from any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._number = 0
        self._size = 0
        self._before = 0  # where the last append began
        self._readers: OrderedDict[int, _Reader] = OrderedDict()
        self._lock = Lock()

    def append(self, contents: Sequence[bytes]) -> tuple[int, list[int]]:
        """Appends contents, durably; gives the file's number and where each begins. Raises `OSError`, and nothing was appended."""
        if self._descriptor is None or self._size >= SEGMENT_SIZE or not os.fstat(self._descriptor).st_nlink:
            self._begin()  # also where somebody removed the file: what has no name is lost at the next start
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
        except OSError:
            self.roll_back()
            raise
        try:
            os.fdatasync(descriptor)
        except OSError:
            # The system may have dropped what it could not write, also of earlier pages: this file is not added to any more.
            self.roll_back()
            self._end()
            raise
        self._size = position
        return self._number, places

    def roll_back(self, *, is_certain: bool = True) -> None:
        """The last append was not committed: its room is given back.

        When the commit itself failed that is not certain: a crash may yet bring it back from the database's log. Then what was appended
        stays as it is, so that a message that comes back has its own content and not that of a later one.
        """
        if self._descriptor is None:
            return
        if is_certain:
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
                reader = self._reader(number)
            except FileNotFoundError:
                raise NotFound("the content of the message is gone") from None
            parts = []
            while size > 0:
                part = os.pread(reader.descriptor, size, position)
                if not part:
                    raise NotFound("the content of the message is gone")
                parts.append(part)
                position += len(part)
                size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def numbers(self) -> list[int]:
        """All files."""
        return sorted(int(path.stem) for path in self._folder.glob("*.seg") if path.stem.isdigit())

    def remove(self, numbers: Iterable[int], is_used: Callable[[int], bool]) -> int:
        """Removes files that nothing refers to; gives how many. Those that a process may append to stay.

        `is_used` is asked while the file is locked, so its answer cannot become wrong.
        """
        count = 0
        for number in numbers:
            with suppress(FileNotFoundError):
                descriptor = os.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _lock(descriptor) and not is_used(number):
                        self._path(number).unlink()
                        count += 1
                finally:
                    os.close(descriptor)
                self._forget(number)
        return count

    def close(self) -> None:
        """Closes all files."""
        self._end()
        with self._lock:
            self._readers.clear()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010d}.seg"

    def _begin(self) -> None:
        self._end()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = max(self.numbers(), default=0)
        while self._descriptor is None:
            number += 1
            with suppress(FileExistsError):
                descriptor = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                try:
                    # Another process that tidies up may have removed it before it was locked.
                    if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                        _sync_folder(self._folder)
                        self._descriptor, self._number, self._size = descriptor, number, 0
                finally:
                    if self._descriptor is None:
                        os.close(descriptor)

    def _end(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):  # what was committed has been synced
                os.close(self._descriptor)
            self._descriptor = None

    def _reader(self, number: int) -> _Reader:
        with self._lock:
            reader = self._readers.get(number)
            if reader is None:
                reader = self._readers[number] = _Reader(self._path(number))
                if len(self._readers) > MAX_OPEN:
                    self._readers.popitem(last=False)
            self._readers.move_to_end(number)
            return reader

    def _forget(self, number: int) -> None:
        with self._lock:
            self._readers.pop(number, None)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
