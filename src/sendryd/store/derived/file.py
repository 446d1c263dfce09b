"""The derived file: opened, watched for damage, and replaced by an empty one if it is lost.

One thread writes it. Nothing of it needs a backup, so its commits are not synced. Between two steps of the writer nothing else may change it: if
its size or time of change is another one, or a page of it is damaged, it is replaced. A file that was open when the machine went down is
replaced, too: writes that were not synced may be lost in part.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from importlib import resources
from pathlib import Path
from typing import Final, Protocol, TypeVar

import apsw

from sendryd.store.derived.queries import SQL
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sqlite import SqliteConnection, translated
from sendryd.store.drivers.statements import change, fetch_row
from sendryd.store.errors import StoreError, StoreUnavailable, TookTooLong

FILE_NAME: Final = "derived.db"
VERSION: Final = 5  # of the file's schema and of the terms in its index: another one is replaced
CHECKPOINT_PAGES: Final = 1000  # pages in the log (4 MiB) that start a checkpoint
READER_THREADS: Final = 2  # for pages that ask at the same time; each answer takes a few milliseconds
BUSY_TIMEOUT: Final = 2000  # milliseconds: only the writer's short transactions and checkpoints are waited for
CACHE_SIZE: Final = -8192  # kibibytes, negated: for the writer, which merges parts of the index
READER_CACHE_SIZE: Final = -4096
_BOOT_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
_PARTS: Final = ("", "-wal", "-shm")
_DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, apsw.CantOpenError, apsw.SchemaChangeError)

Result = TypeVar("Result")
Identity = tuple[int, int, int, int]


class MainConnection(Connection, Protocol):
    """A connection to the database that is followed, for one thread."""

    def reading(self) -> AbstractContextManager[object]:
        """One read transaction: everything in it is as of its begin."""
        ...

    def close(self) -> None:
        """Closes it."""
        ...


class DerivedDamaged(StoreUnavailable):
    """The derived file is missing or damaged. The next step of the follower replaces it."""


class DerivedFile:
    """The derived file of a data directory. Nothing is opened or made before it is needed."""

    def __init__(self, data_dir: Path, open_main: Callable[[], MainConnection]) -> None:
        """`open_main` opens the database that is followed, for reading."""
        self.path = data_dir / FILE_NAME
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="derived-writer")
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="derived-reader")
        self._open_main = open_main
        self._main: MainConnection | None = None
        self._connection: SqliteConnection | None = None  # the writer's
        self._seen: list[Identity] = []  # of the file and its log, after the last step of the writer
        self._log_pages = 0
        self._written_back = 0  # pages at the start of the log that a checkpoint has copied
        self._is_damaged = False  # a reader found damage
        self._local = threading.local()
        self._opened: list[SqliteConnection] = []

    async def write(self, work: Callable[[MainConnection, SqliteConnection], Result]) -> Result:
        """Runs work on the main file, which it may only read, and on the derived file, in one transaction of the latter.

        Raises `DerivedDamaged`: the next call starts with an empty file.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writer, lambda: self._write(work))

    async def read(self, work: Callable[[SqliteConnection], Result]) -> Result:
        """Runs work in a reader's thread, in one read transaction. Raises `DerivedDamaged`, also if there is no file yet."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(work))

    def close(self) -> None:
        """Ends the threads. Syncs the file, so that the next start need not make it again."""
        self._writer.submit(self._finish).result()
        self._writer.shutdown()
        self._readers.shutdown()
        for connection in self._opened:
            connection.close()

    # In the writer's thread.

    def _write(self, work: Callable[[MainConnection, SqliteConnection], Result]) -> Result:
        try:
            with translated():
                self._main = self._main or self._open_main()
                return self._step(self._main, work)
        except TookTooLong as error:
            raise StoreUnavailable(str(error)) from error

    def _step(self, main: MainConnection, work: Callable[[MainConnection, SqliteConnection], Result]) -> Result:
        try:
            connection = self._sound_connection(main)
            self._seen = self._identify()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(main, connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._checkpoint(connection)
        except _DAMAGE as error:
            self._discard()
            raise DerivedDamaged(f"the derived file is damaged: {error}") from error
        except StoreError:  # the connection may have ended: the next step opens another one
            self._main = None
            main.close()
            raise
        self._seen = self._identify()
        return result

    def _sound_connection(self, main: Connection) -> SqliteConnection:
        """The open file, or an empty one in its place."""
        if self._connection is not None and (self._is_damaged or self._identify() != self._seen):
            self._discard()
        if self._connection is None:
            self._connection = self._reopen() or self._make(main)
            self._is_damaged = False
            self._log_pages = self._written_back = 0
            self._connection.set_wal_hook(self._on_commit)
            change(self._connection, SQL["note_boot"], boot=_boot())
        return self._connection

    def _reopen(self) -> SqliteConnection | None:
        """The file of an earlier start; None if it is missing, of another version, or may be damaged."""
        if self._is_damaged or not self.path.exists():
            return None
        connection = None
        try:
            connection = _open(self.path)
            row = fetch_row(connection, SQL["read_progress"])
            if connection.pragma("user_version") == VERSION and row is not None and row["boot"] in {"", _boot()}:
                return connection
        except (apsw.SQLError, *_DAMAGE):
            pass
        if connection is not None:
            connection.close()
        return None

    def _make(self, main: Connection) -> SqliteConnection:
        """An empty file. It gets its name once it is whole."""
        new = self.path.with_name(f"{FILE_NAME}.new")
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = SqliteConnection(str(new))
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(resources.files(__package__).joinpath("schema.sql").read_text("utf-8"))
        span = fetch_row(main, SQL["span_of_messages"]) or {}
        change(connection, SQL["begin"], **span, message_id=0, event_id=0, until=0, boot="")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.close()
        for part in _PARTS:  # a log that is left would be taken for the new file's
            self.path.with_name(FILE_NAME + part).unlink(missing_ok=True)
        new.rename(self.path)
        return _open(self.path)

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        self._is_damaged = True
        if connection is not None:
            with suppress(apsw.Error):
                connection.close()

    def _checkpoint(self, connection: SqliteConnection) -> None:
        if self._log_pages - self._written_back >= CHECKPOINT_PAGES:
            _, self._written_back = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _on_commit(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        if pages <= self._log_pages:  # the log restarted: a checkpoint had copied all of it
            self._written_back = 0
        self._log_pages = pages
        return 0

    def _identify(self) -> list[Identity]:
        return [_identity(self.path.with_name(FILE_NAME + part)) for part in _PARTS[:2]]

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if self._main is not None:
            self._main.close()
        if connection is None:
            return
        with suppress(apsw.Error):
            if self._identify() == self._seen and not self._is_damaged:
                connection.execute("PRAGMA synchronous = FULL")
                change(connection, SQL["note_boot"], boot="")
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            connection.close()

    # In readers' threads.

    def _read(self, work: Callable[[SqliteConnection], Result]) -> Result:
        connection: SqliteConnection | None = getattr(self._local, "connection", None)
        identity = _identity(self.path)[:2]
        if connection is not None and self._local.identity != identity:
            connection.close()
            self._opened.remove(connection)
            connection = self._local.connection = None
        try:
            if connection is None:
                connection = self._local.connection = _open(self.path, is_reader=True)
                self._local.identity = identity
                self._opened.append(connection)
            with connection.reading():
                return work(connection)
        except _DAMAGE as error:
            self._is_damaged |= _identity(self.path)[:2] == identity != (0, 0)
            raise DerivedDamaged(f"the derived file is missing or damaged: {error}") from error


def _open(path: Path, *, is_reader: bool = False) -> SqliteConnection:
    connection = SqliteConnection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    # Closing must not delete the log by its name: a new file may have taken the name since.
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(BUSY_TIMEOUT)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA cache_size = {READER_CACHE_SIZE if is_reader else CACHE_SIZE}")
    if is_reader:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _identity(path: Path) -> Identity:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0, 0
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _boot() -> str:
    """Which run of the system this is; a constant where the system does not tell."""
    try:
        return _BOOT_FILE.read_text("ascii").strip()
    except OSError:
        return "unknown"
