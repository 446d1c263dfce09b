"""The state of a database at one moment, as a file.

The copy is made in one read transaction, so the process that writes the database goes on meanwhile; only its log grows.
"""

import os
from pathlib import Path
from typing import Final

import apsw

from sendryd.store.drivers.sqlite import FILE_NAME, check_engine, open_connection, translated
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sqlite.engine import migrate

MAX_FAULTS: Final = 3  # in the line that tells of damage


def take_snapshot(data_dir: Path, target: Path) -> None:
    """Copies the database into a new file, readable by its owner alone and synced. Raises `StoreError`."""
    check_engine()
    with translated():
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            source = open_connection(data_dir / FILE_NAME, is_reader=True, may_create=False)
            copy = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                with copy.backup("main", source, "main") as backup:
                    backup.step()  # all of it: another process writes between two steps, and the copy would start again
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            finally:
                copy.close()
                source.close()
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_snapshot(path: Path) -> None:
    """Reads all of a database. Raises `StoreUnavailable` if it is damaged, `SchemaMismatch` if a newer version of the program wrote it."""
    check_engine()
    with translated():
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            faults = [str(fault) for (fault,) in connection.execute(f"PRAGMA integrity_check({MAX_FAULTS})")]
            if faults != ["ok"]:
                raise StoreUnavailable(f"its database is damaged: {'; '.join(faults)}")
            migrate.pending(connection)
        finally:
            connection.close()
