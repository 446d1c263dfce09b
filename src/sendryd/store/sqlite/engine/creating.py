"""Makes a database that is there whole or not at all.

It is made under another name, with all its tables, and renamed once it is on the disk. What a killed process has left under that name is
written over by the next one.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from sendryd.files import UNFINISHED, make_folder, sync_folder
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sqlite.engine import migrate
from sendryd.store.sqlite.engine.connection import PAGE_SIZE, SPOOL_NAME


def size_of(path: Path) -> int:
    """Octets of a file; none if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def create_database(path: Path) -> None:
    """Makes the database, for its owner alone, and the folder that it is in; nothing if it is there.

    Raises `StoreUnavailable` if it was there: made anew it would know none of the contents beside it. Raises `OSError` and `apsw.Error`.
    """
    if size_of(path):
        return
    make_folder(path.parent)
    with _only_one(path.parent):
        if size_of(path):  # another process was faster
            return
        if size_of(path.with_name(f"{path.name}-wal")) or any((path.parent / SPOOL_NAME).glob("*.seg")):
            raise StoreUnavailable(
                f"the database {path} is missing or empty, but there are remains of one: restore it from a backup,"
                f" or move {path.parent} away to begin anew"
            )
        unfinished = path.with_name(f"{path.name}{UNFINISHED}")
        # A journal beside an empty database is of a start that was killed too: SQLite would play it back into the new one.
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
            connection.execute("PRAGMA journal_mode = MEMORY")  # what is not finished is thrown away
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
    """Waits until no other process makes a database in this folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
