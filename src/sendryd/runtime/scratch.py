"""Unnamed temporary files for large contents while a peer is awaited: received ones, and sent ones in another form than stored.

The system removes them with the last descriptor, so a crash leaves no file. Reads are positional, so several readers share a file. Reads and writes
run in threads: a busy disk must not stop the event loop. A thread can outlive the task that awaits it, so a closed file keeps its descriptor until
its threads are done: the system would give the number to another file.
"""

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

CHUNK: Final = 64 * 1024  # octets of one read: the size that a socket takes at once
# Reads from the page cache alone, never from the disk. Linux; 0 where the system has no such flag.
_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)
# The data is not in the page cache, or the file system (tmpfs, NFS) has no such reads.
_NOT_AT_ONCE: Final = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


class ScratchFile:
    """One file. Closed by `close`, or when its last reference is gone."""

    __slots__ = ("_file", "_is_closed", "_lock", "_nowait", "_users", "size")

    def __init__(self, folder: Path, *, nowait: int = _NOWAIT) -> None:
        """`nowait` is the flag of reads from the page cache alone, 0 where the system has none. Raises `OSError`."""
        self._nowait = nowait
        self._file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115  it is closed by `close`
        self._lock = Lock()
        self._users = 0  # threads that read or write
        self._is_closed = False
        self.size = 0

    def __repr__(self) -> str:
        return f"<ScratchFile {self.size} octets>"

    @classmethod
    async def holding(cls, folder: Path, pieces: Sequence[bytes]) -> "ScratchFile":
        """A file with these contents. Raises `OSError`."""
        file = await asyncio.to_thread(cls, folder)
        try:
            await file.append(pieces)
        except BaseException:
            file.close()
            raise
        return file

    async def append(self, pieces: Sequence[bytes]) -> None:
        """Appends. Raises `OSError`; the file is then unusable."""
        await asyncio.to_thread(self._append, pieces)

    def _append(self, pieces: Sequence[bytes]) -> None:
        with self._in_use() as descriptor:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    written = os.pwrite(descriptor, left, self.size)
                    self.size += written
                    left = left[written:]

    async def read(self) -> bytes:
        """The whole content. Raises `OSError`."""
        return await asyncio.to_thread(self.read_part, 0, self.size)

    def read_part(self, position: int, size: int) -> bytes:
        """Up to `size` octets from a position; fewer at the end. Raises `OSError`."""
        parts = []
        with self._in_use() as descriptor:
            while size > 0 and (part := os.pread(descriptor, size, position)):
                parts.append(part)
                position += len(part)
                size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The whole content in pieces. Raises `OSError`."""
        for position in range(0, self.size, CHUNK):
            # Most files were written a moment ago: a thread for each piece costs ten times the copy from the page cache.
            cached = self._read_cached(position, min(CHUNK, self.size - position))
            yield cached if cached is not None else await asyncio.to_thread(self.read_part, position, CHUNK)

    def _read_cached(self, position: int, size: int) -> bytes | None:
        """`size` octets from a position if the page cache has them all, else None. Raises `OSError` if the file is closed."""
        if not self._nowait:
            return None
        buffer = bytearray(size)
        with self._in_use() as descriptor:
            try:
                count = os.preadv(descriptor, [buffer], position, self._nowait)
            except OSError as error:
                if error.errno not in _NOT_AT_ONCE:
                    raise
                return None
        return bytes(buffer) if count == size else None

    @contextmanager
    def _in_use(self) -> Iterator[int]:
        """Lends the descriptor and keeps it open meanwhile. Raises `OSError` if the file is closed."""
        with self._lock:
            if self._is_closed:
                raise OSError(errno.EBADF, "the file is closed")
            self._users += 1
        try:
            yield self._file.fileno()
        finally:
            with self._lock:
                self._users -= 1
                self._close_unused()

    def close(self) -> None:
        """Frees the disk space once no thread uses the file. May be called again."""
        with self._lock:
            self._is_closed = True
            self._close_unused()

    def _close_unused(self) -> None:
        if self._is_closed and not self._users:
            self._file.close()
