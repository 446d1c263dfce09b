"""Opening the database: the engine's version, the settings of a connection, the translation of its errors.

The engine is the one bundled with apsw. The standard library's would be another copy in the same process, and two copies of SQLite on one
file drop each other's locks.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from sendryd.store.errors import Conflict, SchemaMismatch, StoreFull, StoreUnavailable

OLDEST_ENGINE: Final = (3, 51, 3)  # before it a checkpoint that races a commit can lose the commit (the WAL-reset bug)
BUSY_TIMEOUT: Final = 10_000  # milliseconds to wait for another process's short transaction
PAGE_SIZE: Final = 8192  # octets; a usual message is about one page
CACHE_SIZE: Final = -16_384  # kibibytes, negated: for the writer; its hot pages are the right edges of a few trees
READER_CACHE_SIZE: Final = -4_096
FILE_NAME: Final = "sendryd.db"


def check_engine() -> None:
    """Raises `SchemaMismatch` if the engine has the bug."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_ENGINE:
        needed = ".".join(map(str, OLDEST_ENGINE))
        raise SchemaMismatch(f"SQLite {apsw.sqlite_lib_version()} can lose commits; install apsw with SQLite {needed} or newer")


def open_connection(path: Path, *, is_reader: bool = False) -> apsw.Connection:
    """A connection with our settings. A writer's makes the file, readable by its owner alone."""
    with translated():
        if not is_reader and not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        flags = apsw.SQLITE_OPEN_READWRITE | (0 if is_reader else apsw.SQLITE_OPEN_CREATE)
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=200)
        connection.set_busy_timeout(BUSY_TIMEOUT)
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit is on the disk when it returns. NORMAL would lose the last ones when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA cache_size = {READER_CACHE_SIZE if is_reader else CACHE_SIZE}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if is_reader:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA foreign_keys = ON")
        return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turns the engine's and the system's errors into the store's."""
    try:
        yield
    except apsw.FullError as error:
        raise StoreFull(str(error)) from error
    except apsw.IOError as error:
        raise StoreUnavailable(str(error)) from error
    except apsw.ConstraintError as error:
        raise Conflict(str(error)) from error
    except (apsw.ReadOnlyError, apsw.BusyError, apsw.LockedError, apsw.CantOpenError, apsw.CorruptError) as error:
        raise StoreUnavailable(str(error)) from error
    except apsw.NotADBError as error:
        raise SchemaMismatch(f"the database file is not one: {error}") from error
    except OSError as error:
        kind = StoreFull if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} else StoreUnavailable
        raise kind(str(error)) from error
