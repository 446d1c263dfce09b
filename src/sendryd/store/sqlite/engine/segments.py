"""Contents of messages in append-only files, 64 MiB each as a rule.

A content is written once, beside the database: inside it, each octet would be written twice (to the log and to its page) and checksummed twice.
All contents of a batch are appended and synced together, before the commit that refers to them.

A process starts a file of its own and keeps it locked for as long as it may append to it. So the octets that a crash left after the last committed
content are never overwritten, and a file that is neither locked nor referred to by a message can be removed: no process will append to it.

The database gives each file a number, which is never reused, and a random id, and stores both before the file exists. A content is read only from
the file with that id, and only if its record has the message's id and its checksum is right.
"""

import errno
import fcntl
import os
import re
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from sendryd.files import make_folder, sync_folder
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.errors import ContentDamaged, StoreUnavailable
from sendryd.store.sql.place import Place
from sendryd.store.sqlite.engine.records import (
    MAGIC,
    PIECEWISE,
    RECORD_HEADER,
    SEGMENT_HEADER,
    SegmentId,
    Unreadable,
    checksum,
    read_record_header,
    read_segment_header,
    record_header,
    segment_header,
)

MAX_VECTOR: Final = 512  # contents of one system call, each with its header; Linux takes 1024 pieces
_NUMBER: Final = re.compile(r"\d{10,15}")  # the number in a file's name
_PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR})  # temporary faults of the system, not of the file


def segment_name(number: int) -> str:
    """The name of the file with this number."""
    return f"{number:010d}.seg"


class _Reader:
    """A file open for reading. It stays open while any thread holds this object, also after the cache has dropped it."""

    __slots__ = ("descriptor", "id")

    def __init__(self, path: Path) -> None:
        self.descriptor = -1
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        header = read_segment_header(os.pread(self.descriptor, SEGMENT_HEADER, 0))
        self.id = header.id if header else None

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """The facts in a file's header."""

    number: int
    size: int
    id: bytes | None  # None: it has no header (an earlier version) or an unreadable one
    spool: bytes | None
    is_unfinished: bool  # its process was killed while writing the header: the file has no content
    fault: str = ""  # why its header is unreadable


@dataclass(frozen=True, slots=True)
class Appended:
    """Contents that were appended: the file, the position of each, and the end of the last."""

    segment: SegmentId
    positions: list[int]
    end: int


class Spool:
    """The folder of segment files. `begin`, `append`, `roll_back` and `close` belong to the writer's thread; any thread may call the other
    methods.
    """

    def __init__(self, folder: Path, sizes: Sizes = USUAL) -> None:
        self._folder = folder
        self._sizes = sizes
        self._descriptor: int | None = None
        self._segment: SegmentId | None = None
        self._size = 0
        self._before = 0  # the position at which the last append began
        self._readers: OrderedDict[int, _Reader] = OrderedDict()
        self._lock = Lock()

    @property
    def is_open(self) -> bool:
        """Whether the spool has a file to append to."""
        return self._descriptor is not None

    def must_begin(self) -> bool:
        """Whether the next contents need a new file: there is none, it is large enough, or it was removed. Contents in a removed file are lost at
        the next start.
        """
        return self._descriptor is None or self._size >= self._sizes.segment or not os.fstat(self._descriptor).st_nlink

    def check_usable(self) -> None:
        """Raises `PermissionError` if a new file could not be made in the folder."""
        if self._folder.exists() and not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(
                f"the folder {self._folder} cannot be read or written; make it the property of the user that runs sendryd"
            )

    def begin(self, segment: SegmentId) -> bool:
        """Creates the file of a segment that the database knows, and appends to it from now on. False if a file with its number exists, or another
        process has removed the new one: the caller takes another number. Raises `OSError`.
        """
        self._end()
        make_folder(self._folder)
        path = self._path(segment.number)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        try:
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                _write_all(descriptor, [segment_header(segment)])
                os.fdatasync(descriptor)
                sync_folder(self._folder)
                self._descriptor, self._segment, self._size = descriptor, segment, SEGMENT_HEADER
        finally:
            if self._descriptor is None:
                os.close(descriptor)
        return self._descriptor is not None

    def append(self, contents: Sequence[tuple[int, bytes]]) -> Appended:
        """Appends contents, each with its message's id, durably. Raises `OSError`; then nothing was appended."""
        descriptor, segment = self._descriptor, self._segment
        if descriptor is None or segment is None:
            raise AssertionError("no segment is open")
        end = self._before = self._size
        positions = []
        pieces = []
        for message_id, content in contents:
            pieces += [record_header(message_id, content), content]
            positions.append(end + RECORD_HEADER)
            end += RECORD_HEADER + len(content)
        try:
            for start in range(0, len(pieces), 2 * MAX_VECTOR):
                _write_all(descriptor, pieces[start : start + 2 * MAX_VECTOR])
        except OSError:
            self.roll_back()
            raise
        try:
            os.fdatasync(descriptor)
        except OSError:
            # The system may have dropped pages that it could not write, earlier ones included: append no more to this file.
            self.roll_back()
            self._end()
            raise
        self._size = end
        return Appended(segment, positions, end)

    def roll_back(self, *, is_certain: bool = True) -> None:
        """Frees the space of the last append, which was not committed.

        If the commit itself failed, a crash may still restore it from the database's log. Then the appended contents stay, so that a restored
        message has its own content and not a later one's.
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

    def read(self, place: Place) -> bytes:
        """A whole content, verified. Raises `ContentDamaged`, which names the file and the fault."""
        with self._explained(place):
            return self._read(place)

    def read_range(self, place: Place, start: int, stop: int) -> Iterator[bytes]:
        """A content, or a part of it, in pieces of at most `PIECEWISE` octets. Raises what `read` does: of an altered content after the last
        piece, and only if the whole content was read.
        """
        if not 0 <= start <= stop <= place.size:
            raise ValueError(f"octets {start} to {stop} are outside the content of {place.size} octets")
        with self._explained(place):
            reader = self._reader(place.segment)
            if reader.id != place.segment_id:
                raise Unreadable("it is not the one that the database knows by this name")
            header = b"" if reader.id is None else _read_at(reader.descriptor, place.position - RECORD_HEADER, RECORD_HEADER)
            expected = None if reader.id is None else read_record_header(header, place)
            crc, end = 0, place.position + stop
            for position in range(place.position + start, end, PIECEWISE):
                piece = _read_at(reader.descriptor, position, min(PIECEWISE, end - position))
                crc = zlib.crc32(piece, crc)
                yield piece
            if stop - start == place.size and expected not in (None, crc):
                raise Unreadable("the content was altered")

    @contextmanager
    def _explained(self, place: Place) -> Iterator[None]:
        """Translates the faults of a file for the reader of a content."""
        try:
            try:
                yield
            except OSError as error:
                if error.errno in _PASSING:
                    raise
                is_missing = error.errno in {errno.ENOENT, errno.ENOTDIR}
                raise Unreadable("it is missing" if is_missing else f"it cannot be read: {error.strerror}") from error
        except OSError as error:
            raise StoreUnavailable(str(error)) from error
        except Unreadable as error:
            self._forget(place.segment)  # so that a restored file is opened
            raise ContentDamaged(f"the spool's file {segment_name(place.segment)} cannot be used: {error}") from error

    def _read(self, place: Place) -> bytes:
        reader = self._reader(place.segment)
        if reader.id != place.segment_id:
            raise Unreadable("it is not the one that the database knows by this name")
        if reader.id is None:
            return _read_at(reader.descriptor, place.position, place.size)
        if place.size <= PIECEWISE:
            record = _read_at(reader.descriptor, place.position - RECORD_HEADER, RECORD_HEADER + place.size)
            header, content = record[:RECORD_HEADER], record[RECORD_HEADER:]
        else:  # a second system call costs less than a copy
            header = _read_at(reader.descriptor, place.position - RECORD_HEADER, RECORD_HEADER)
            content = _read_at(reader.descriptor, place.position, place.size)
        if read_record_header(header, place) != checksum(content):
            raise Unreadable("the content was altered")
        return content

    def numbers(self) -> list[int]:
        """The numbers of all files."""
        return sorted(int(path.stem) for path in self._folder.glob("*.seg") if _NUMBER.fullmatch(path.stem))

    def inspect(self, number: int) -> SegmentFile:
        """Reads a file's header. Raises `FileNotFoundError`."""
        descriptor = os.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _inspect(descriptor, number)
        finally:
            os.close(descriptor)

    def remove(self, numbers: Iterable[int], may_go: Callable[[SegmentFile], bool]) -> int:
        """Removes files that nothing refers to; returns how many. Files that a process may append to stay.

        `may_go` is called while the file is locked, so its answer stays true.
        """
        count = 0
        for number in numbers:
            with suppress(FileNotFoundError):
                descriptor = os.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _lock(descriptor) and may_go(_inspect(descriptor, number)):
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
        return self._folder / segment_name(number)

    def _end(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):  # committed contents are synced already
                os.close(self._descriptor)
            self._descriptor = None

    def _reader(self, number: int) -> _Reader:
        with self._lock:
            reader = self._readers.get(number)
            if reader is None:
                reader = self._readers[number] = _Reader(self._path(number))
                if len(self._readers) > self._sizes.open_segments:
                    self._readers.popitem(last=False)
            self._readers.move_to_end(number)
            return reader

    def _forget(self, number: int) -> None:
        with self._lock:
            self._readers.pop(number, None)


def _inspect(descriptor: int, number: int) -> SegmentFile:
    size = os.fstat(descriptor).st_size
    front = os.pread(descriptor, SEGMENT_HEADER, 0)
    is_unfinished = len(front) < SEGMENT_HEADER and (front.startswith(MAGIC) or MAGIC.startswith(front))
    try:
        header = read_segment_header(front)
    except Unreadable as error:
        return SegmentFile(number, size, None, None, is_unfinished, str(error))
    return SegmentFile(number, size, header.id if header else None, header.spool if header else None, is_unfinished)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_at(descriptor: int, position: int, size: int) -> bytes:
    parts = []
    while size > 0:
        part = os.pread(descriptor, size, position)
        if not part:
            raise Unreadable("it is too short")
        parts.append(part)
        position += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write_all(descriptor: int, contents: Sequence[bytes]) -> None:
    left: list[bytes | memoryview] = list(contents)
    while left:
        written = os.writev(descriptor, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = memoryview(left[0])[written:]
