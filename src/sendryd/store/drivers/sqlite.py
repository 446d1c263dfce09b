"""Connections to SQLite: the engine's version, the settings of a connection, the translation of its errors.

The engine is the one bundled with apsw. The standard library has another copy, and two copies of SQLite in one process release each other's file
locks.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from sendryd.store.codec.reading import Row
from sendryd.store.drivers.manyrows import many_rows
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.statement import Statement
from sendryd.store.errors import Conflict, NotAllowed, RowUnreadable, SchemaMismatch, StoreFull, StoreUnavailable, TookTooLong

OLDEST_ENGINE: Final = (3, 51, 3)  # in older ones a checkpoint that races a commit can lose the commit (the WAL-reset bug)
PAGE_SIZE: Final = 4096  # octets: a commit writes whole pages, and larger ones cost a tenth more for each message
STATEMENTS: Final = 300  # prepared statements to keep: all that exist, counting each size of a many-row statement
FILE_NAME: Final = "sendryd.db"
SPOOL_NAME: Final = "spool"  # the folder of the contents, beside the database
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # the system's errors for no space
REFUSED: Final = (apsw.ConstraintError,)  # raised by a transaction, before translation, for a value that the schema refuses
_TAKEN: Final = frozenset({apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_ROWID})


class SqliteConnection(apsw.Connection):
    """`Connection` of SQLite. Raises the engine's errors: `translated` turns them into the store's."""

    def rows(self, statement: Statement, values: Row, /) -> list[Row]:
        cursor = self.execute(statement.sqlite, values)
        names = _columns_of(cursor)
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def sound_rows(self, statement: Statement, values: Row, /) -> list[Row | None]:
        cursor = self.execute(statement.sqlite, values)
        names, rows = _columns_of(cursor), list[Row | None]()
        while True:
            try:
                rows.append(dict(zip(names, next(cursor), strict=True)))
            except StopIteration:
                return rows
            except UnicodeDecodeError:
                rows.append(None)

    def tuples(self, statement: Statement, values: Row, /) -> Iterable[tuple[Any, ...]]:
        return self.execute(statement.sqlite, values)

    def row(self, statement: Statement, values: Row, /) -> Row | None:
        cursor = self.execute(statement.sqlite, values)
        names = _columns_of(cursor)
        row = cursor.fetchone()
        return None if row is None else dict(zip(names, row, strict=True))

    def value(self, statement: Statement, values: Row, /) -> Any:
        row = self.execute(statement.sqlite, values).fetchone()
        return None if row is None else row[0]

    def change(self, statement: Statement, values: Row, /) -> int:
        self.execute(statement.sqlite, values).fetchall()
        return int(self.changes())

    def follow_indexes(self) -> None:
        """Does nothing: statements name their indexes."""

    def put(self, statement: Statement, rows: Sequence[Row], /) -> None:
        if rows:
            many_rows(statement.sqlite).run(self, rows)

    def put_each(self, statement: Statement, rows: Sequence[Row], /) -> None:
        """Does what `put` does for a statement of any form, one by one."""
        self.executemany(statement.sqlite, rows)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One read transaction."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            if self.in_transaction:
                self.execute("COMMIT")


def _columns_of(cursor: apsw.Cursor) -> list[str]:
    """The column names of a statement that was just executed; none if it returns no rows."""
    try:
        return [name for name, _ in cursor.get_description()]
    except apsw.ExecutionCompleteError:
        return []


def check_engine() -> None:
    """Raises `SchemaMismatch` if the engine has the WAL-reset bug."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_ENGINE:
        needed = ".".join(map(str, OLDEST_ENGINE))
        raise SchemaMismatch(f"SQLite {apsw.sqlite_lib_version()} can lose commits; install apsw with SQLite {needed} or newer")


def open_connection(path: Path, *, is_reader: bool = False, may_create: bool = True, sizes: Sizes = USUAL) -> SqliteConnection:
    """A connection with our settings. Creates the file, readable by its owner alone, if `may_create`.

    Raises `StoreUnavailable`, and `SchemaMismatch` if the file is no database.
    """
    with translated():
        does_create = may_create and not is_reader
        if does_create and not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if does_create else 0)
        connection = SqliteConnection(str(path), flags=flags, statementcachesize=STATEMENTS)
        try:
            _set_up(connection, sizes, is_reader=is_reader)
        except BaseException:
            connection.close()
            raise
        return connection


def _set_up(connection: apsw.Connection, sizes: Sizes, *, is_reader: bool) -> None:
    connection.set_busy_timeout(sizes.busy_timeout)
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit is on the disk when it returns. NORMAL would lose the last ones when the power fails.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA cache_size = {sizes.reader_cache if is_reader else sizes.writer_cache}")
    connection.execute("PRAGMA temp_store = MEMORY")
    if is_reader:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA foreign_keys = ON")


@contextmanager
def translated() -> Iterator[None]:
    """Translates the engine's and the system's errors to the store's."""
    try:
        yield
    except apsw.FullError as error:
        raise StoreFull(str(error)) from error
    except apsw.InterruptError as error:
        raise TookTooLong("the search was interrupted") from error
    except apsw.IOError as error:
        raise StoreUnavailable(str(error)) from error
    except apsw.ConstraintError as error:
        extended = getattr(error, "extendedresult", 0)  # apsw's type stubs lack it
        if extended in _TAKEN:
            raise Conflict(str(error)) from error
        if extended == apsw.SQLITE_CONSTRAINT_TRIGGER:
            raise NotAllowed(str(error)) from error
        raise  # a value that the schema does not know: a bug
    except apsw.ReadOnlyError as error:
        raise StoreUnavailable(
            "the database cannot be written: check the owner and the permissions of the files of the data directory"
        ) from error
    except (
        apsw.BusyError,
        apsw.LockedError,
        apsw.CantOpenError,
        apsw.CorruptError,
        apsw.PermissionsError,
        apsw.ProtocolError,
    ) as error:
        raise StoreUnavailable(str(error)) from error
    except UnicodeDecodeError as error:
        raise RowUnreadable("a row", f"a text of it is not UTF-8: {error}") from error
    except apsw.NotADBError as error:
        raise SchemaMismatch(f"the database file is not one: {error}") from error
    except OSError as error:
        kind = StoreFull if error.errno in FULL else StoreUnavailable
        reason = error.strerror or str(error)
        raise kind(f"{error.filename}: {reason}" if error.filename else reason) from error
