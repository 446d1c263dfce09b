"""The writer of SQLite: the log, its checkpoints, the contents beside the database."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
from typing_extensions import override

from sendryd.store.base import ContentStore
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.sqlite import FULL, PAGE_SIZE, SqliteConnection, open_connection, translated
from sendryd.store.errors import StoreFull
from sendryd.store.sql.batch import Batch
from sendryd.store.sql.place import Place
from sendryd.store.sql.writer import Operation, Writer, act
from sendryd.store.sqlite.engine.room import Room
from sendryd.store.sqlite.engine.watch import KnownFiles

IDLE_CHECKPOINT: Final = 1.0  # seconds without work before a checkpoint
CLOSING_TIMEOUT: Final = 1000  # milliseconds to wait for readers before closing without a checkpoint


class SqliteWriter(Writer):
    """`Writer` of one database file."""

    name = "sqlite"

    def __init__(
        self,
        path: Path,
        contents: ContentStore[SqliteConnection, Place],
        room: Room,
        make_batch: Callable[[], Batch],
        monotonic: Callable[[], float] | None,
        sizes: Sizes = USUAL,
    ) -> None:
        super().__init__(make_batch, monotonic, sizes)
        self._path = path
        self._contents = contents
        self._takes_contents = False  # this process accepts mail
        self._room = room
        self._log_pages = 0
        self._written_back = 0  # pages at the start of the log that a checkpoint has copied
        self._files = KnownFiles()  # the database and its log
        self._connection: SqliteConnection | None = self._connect()  # opened here, so that a fault is raised where the store is opened
        self.start()

    def _connect(self) -> SqliteConnection:
        # A missing file must not be replaced by an empty one.
        connection = open_connection(self._path, may_create=False, sizes=self._sizes)
        connection.set_wal_hook(self._on_commit)
        self._files.add(self._path)
        return connection

    def _on_commit(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        if pages <= self._log_pages:  # the log restarted: a checkpoint had copied all of it
            self._written_back = 0
        self._log_pages = pages
        return 0

    @override
    def statistics(self) -> Mapping[str, int | float]:
        return {**super().statistics(), "wal_bytes": self._log_pages * PAGE_SIZE}

    def close(self) -> None:
        """Runs a last checkpoint. Call after `finish`, and after the readers have closed if possible."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(apsw.Error):  # the next start recovers from the log
                connection.set_busy_timeout(CLOSING_TIMEOUT)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            connection.close()

    # In the thread.

    @override
    def _tidy(self, *, is_idle: bool) -> None:
        new_pages = self._log_pages - self._written_back
        if new_pages >= self._sizes.checkpoint_pages or (new_pages and is_idle):
            self._checkpoint()
            if self._takes_contents:
                self._room.hold()

    @override
    def _idle_time(self) -> float | None:
        return IDLE_CHECKPOINT if self._log_pages > self._written_back else None

    @override
    def _try(self, batch: Sequence[Operation]) -> BaseException | None:
        """Runs operations as one transaction; returns the error that rolled it back."""
        has_put = False
        try:
            with translated():
                if self._connection is None:
                    self._connection = self._connect()
                connection = self._connection
                self._files.check()
                if any(operation.size for operation in batch):
                    self._prepare_contents(connection)
                connection.execute("BEGIN IMMEDIATE")
                rows = self._make_batch()
                act(batch, connection, rows, connection.total_changes)
                if rows.contents:
                    has_put = True
                    places = self._contents.put_many(connection, rows.contents)
                    left = rows.place(connection, places)
                    if left:
                        self._contents.drop(connection, left)
                rows.store(connection)
                connection.execute("COMMIT")
                if not self.commits:  # the first commit has created the log
                    self._files.add(self._path.with_name(f"{self._path.name}-wal"))
                self.commits += 1
        except BaseException as error:
            error = self._roll_back(error)
            if has_put:
                self._contents.take_back(is_certain=not isinstance(error.__cause__, apsw.IOError))
            return error
        return None

    def _prepare_contents(self, connection: SqliteConnection) -> None:
        if self._contents.prepare(connection):
            self._room.hold()
        self._takes_contents = True

    @override
    def _make_room(self) -> bool:
        """Frees the reserve for operations without content, such as an outcome or a deletion; False if there is none left."""
        if not self._room.release():
            return False
        self._checkpoint()
        return True

    def _roll_back(self, error: BaseException) -> BaseException:
        """Ends the transaction. Returns the error, with the system's cause where it is more exact than the engine's."""
        connection = self._connection
        if connection is None:
            return error
        with suppress(apsw.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if not isinstance(error.__cause__, apsw.IOError | apsw.CantOpenError):
            return error
        is_full = connection.system_errno in FULL  # the engine reports ENOSPC of a write, not of a sync or of the log's index
        # After a failed write the system's cached pages cannot be trusted: open the file again.
        self._connection = None
        with suppress(apsw.Error):
            connection.close()
        if not is_full:
            return error
        full = StoreFull(str(error))
        full.__cause__ = error.__cause__
        return full

    def _checkpoint(self) -> None:
        with suppress(apsw.Error):  # the log stays longer; the next batch tries again
            if self._connection is not None:
                _, self._written_back = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
