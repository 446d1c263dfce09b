"""Creates a database completely or not at all.

It is created under another name, with all its tables, and renamed once it is synced. The next process overwrites what a killed one has left under
that name.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from sendryd.files import UNFINISHED, make_folder, sync_folder
from sendryd.store.drivers.sqlite import PAGE_SIZE, SPOOL_NAME
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sqlite.engine import migrate


def size_of(path: Path) -> int:
    """Octets of a file; 0 if it does not exist."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def create_database(path: Path) -> None:
    """Creates the database and its folder, readable by the owner alone; does nothing if it exists.

    Raises `StoreUnavailable` if remains show that a database was there: a new one would know none of the contents beside it. Raises `OSError` and
    `apsw.Error`.
    """
    if size_of(path):
        return
    make_folder(path.parent)
    with _only_one(path.parent):
        if size_of(path):  # another process created it first
            return
        if size_of(path.with_name(f"{path.name}-wal")) or any((path.parent / SPOOL_NAME).glob("*.seg")):
            raise StoreUnavailable(
                f"the database {path} is missing or empty, but there are remains of one: restore it from a backup,"
                f" or move {path.parent} away to begin anew"
            )
        unfinished = path.with_name(f"{path.name}{UNFINISHED}")
        # A journal beside an empty database is left by a killed start too: SQLite would replay it into the new one.
        for left in (
            unfinished,
            path.with_name(f"{path.name}-journal"),
            path.with_name(f"{path.name}-wal"),
            path.with_name(f"{path.name}-shm"),
        ):
            left.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        connection = apsw.Connection(str(unfinished), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            connection.execute("PRAGMA journal_mode = MEMORY")  # an unfinished file is thrown away
            connection.execute("PRAGMA synchronous = FULL")  # synced when the transaction ends
            migrate.apply(connection)
            connection.close()
            os.fsync(descriptor)
        finally:
            connection.close()
            os.close(descriptor)
        unfinished.rename(path)
        sync_folder(path.parent)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Waits until no other process creates a database in this folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
