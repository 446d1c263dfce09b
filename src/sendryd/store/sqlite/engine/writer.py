"""The one writer of this process: a thread with group commit.

It takes all waiting operations, commits them as one transaction, then resolves their futures. While one commit is synced to disk the next batch
gathers, so an idle store answers after one sync and a busy one shares each sync among many operations; a busy one also waits a little for more.

An operation that refuses before it has changed anything, such as a repeat of an answered request, fails alone and the batch goes on. If one fails
otherwise, the batch is rolled back and run again in halves, recursively, so that only the bad one fails.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw

from sendryd.store.base import ContentStore
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.sqlite import FULL, PAGE_SIZE, SqliteConnection, open_connection, translated
from sendryd.store.errors import AlreadyAnswered, StoreError, StoreFull, StoreUnavailable
from sendryd.store.sql.batch import Batch
from sendryd.store.sql.gathering import GATHER_OCTETS, Gathering
from sendryd.store.sql.place import Place
from sendryd.store.sqlite.engine.room import Room
from sendryd.store.sqlite.engine.watch import KnownFiles

MAX_OCTETS: Final = 8 * 1024 * 1024  # of new content in one batch
IDLE_CHECKPOINT: Final = 1.0  # seconds without work before a checkpoint
CLOSING_TIMEOUT: Final = 1000  # milliseconds to wait for readers before closing without a checkpoint

Action = Callable[[SqliteConnection, Any], Any]  # the second argument is the batch


@dataclass(slots=True)
class Operation:
    """An action for a transaction, and the future of its result."""

    action: Action
    future: asyncio.Future[Any]
    size: int
    result: Any = None
    error: BaseException | None = None


class Writer:
    """The writer's thread. Only the event loop's thread may call `submit`."""

    def __init__(
        self,
        path: Path,
        contents: ContentStore[SqliteConnection, Place],
        room: Room,
        make_batch: Callable[[], Batch],
        monotonic: Callable[[], float] | None,
        sizes: Sizes = USUAL,
    ) -> None:
        """`monotonic` is a clock's; without one, commits are not timed and the writer never waits for more operations."""
        self._make_batch = make_batch
        self._sizes = sizes
        self._monotonic = monotonic
        self._path = path
        self._contents = contents
        self._takes_contents = False  # this process accepts mail
        self._room = room
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[Operation] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._is_closing = False
        self.is_alive = True
        self._batch: list[Operation] = []  # being committed
        self._octets = 0  # of new content in waiting operations
        self._wanted = 0  # number of waiting operations that wakes the thread; 0: it is awake
        self._gathering = Gathering()
        self._connection: SqliteConnection | None = None
        self._log_pages = 0
        self._written_back = 0  # pages at the start of the log that a checkpoint has copied
        self._files = KnownFiles()  # the database and its log
        self.commits = 0
        self.operations = 0
        self.largest_batch = 0
        self.longest_commit = 0.0  # seconds
        self._connection = self._connect()  # opened here, so that a fault is raised where the store is opened
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

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

    def submit(self, action: Action, *, size: int = 0) -> asyncio.Future[Any]:
        """Submits an operation. The future resolves once it is committed."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:  # the condition's own `with` costs two more calls
            if self._is_closing:
                raise StoreUnavailable("the store is closed")
            if not self.is_alive:
                raise StoreUnavailable("the writer has ended")
            self._waiting.append(Operation(action, future, size))
            self._octets += size
            if self._wanted and (len(self._waiting) >= self._wanted or self._octets >= GATHER_OCTETS):
                self._wanted = 0
                self._changed.notify()
        return future

    def statistics(self) -> Mapping[str, int | float]:
        """Counters since the start."""
        return {
            "commits": self.commits,
            "operations": self.operations,
            "largest_batch": self.largest_batch,
            "longest_commit_seconds": self.longest_commit,
            "wal_bytes": self._log_pages * PAGE_SIZE,
        }

    def finish(self) -> None:
        """Refuses new operations, commits the submitted ones, ends the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def close(self) -> None:
        """Runs a last checkpoint. Call after `finish`, and after the readers have closed if possible."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(apsw.Error):  # the next start recovers from the log
                connection.set_busy_timeout(CLOSING_TIMEOUT)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            connection.close()

    # In the thread.

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # a bug: fail all waiting futures, which nothing else would resolve
            with self._changed:
                self.is_alive = False
                left, self._waiting = [*self._batch, *self._waiting], deque()
            for operation in left:
                operation.error = StoreUnavailable(f"the writer has ended: {error!r}")
            self._answer(left)
            raise

    def _work(self) -> None:
        while True:
            batch = self._take()
            if batch is None:
                break
            if batch:
                self._batch = batch
                self._commit(batch)
                self._answer(batch)
                self._batch = []
            new_pages = self._log_pages - self._written_back
            if new_pages >= self._sizes.checkpoint_pages or (new_pages and not batch):
                self._checkpoint()
                if self._takes_contents:
                    self._room.hold()

    def _take(self) -> list[Operation] | None:
        """All waiting operations; an empty list after an idle time; None at the end."""
        with self._changed:
            is_late = not self._wait(self._gathering.target, self._gathering.timeout)
            if not self._waiting:
                self._wait(1, IDLE_CHECKPOINT if self._log_pages > self._written_back else None)
                if not self._waiting and self._is_closing:
                    return None
            batch: list[Operation] = []
            octets = 0
            while self._waiting and len(batch) < self._sizes.max_operations and octets < MAX_OCTETS:
                operation = self._waiting.popleft()
                octets += operation.size
                batch.append(operation)
            self._octets -= octets
            self._gathering.note(len(batch), did_time_out=is_late)
            return batch

    def _wait(self, count: int, timeout: float | None) -> bool:
        """Waits until `count` operations or much content wait, or the writer closes. False if the time ran out first."""
        if len(self._waiting) >= count or self._octets >= GATHER_OCTETS or self._is_closing:
            return True
        self._wanted = count
        was_woken = self._changed.wait(timeout)
        self._wanted = 0
        return was_woken

    def _commit(self, batch: list[Operation]) -> None:
        started = self._now()
        self._settle(batch)
        self.operations += len(batch)
        self.largest_batch = max(self.largest_batch, len(batch))
        seconds = self._now() - started
        self.longest_commit = max(self.longest_commit, seconds)
        self._gathering.note_commit(seconds)

    def _now(self) -> float:
        return 0.0 if self._monotonic is None else self._monotonic()

    def _settle(self, batch: Sequence[Operation]) -> None:
        """Commits operations; sets the error of each that failed."""
        error = self._try(batch)
        if error is None:
            return
        if len(batch) == 1:
            if isinstance(error, StoreFull) and not batch[0].size and self._make_room():
                error = self._try(batch)
            batch[0].error = error
        elif isinstance(error, StoreUnavailable) and not isinstance(error, StoreFull):
            for operation in batch:  # the database is at fault, not an operation: trying each one is pointless
                operation.error = StoreUnavailable(str(error))
                operation.error.__cause__ = error
        else:
            middle = len(batch) // 2
            self._settle(batch[:middle])
            self._settle(batch[middle:])

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
                _act(batch, connection, rows)
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

    def _answer(self, batch: list[Operation]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, batch)

    def _checkpoint(self) -> None:
        with suppress(apsw.Error):  # the log stays longer; the next batch tries again
            if self._connection is not None:
                _, self._written_back = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _act(batch: Sequence[Operation], connection: SqliteConnection, rows: Batch) -> None:
    """Runs the actions. An operation that refuses and has changed nothing keeps its error, and the others go on."""
    for operation in batch:
        operation.error = None  # from an earlier try
        before = _added(connection, rows)
        try:
            operation.result = operation.action(connection, rows)
        except (StoreError, AlreadyAnswered) as error:
            if before != _added(connection, rows):
                raise
            operation.error = error


def _added(connection: SqliteConnection, rows: Batch) -> tuple[int, int]:
    return connection.total_changes(), rows.count


def _resolve(batch: list[Operation]) -> None:
    for operation in batch:
        if operation.future.cancelled():
            continue
        if operation.error is not None:
            operation.future.set_exception(operation.error)
        else:
            operation.future.set_result(operation.result)
