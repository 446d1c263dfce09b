"""The one writer of this process: a thread with group commit.

It takes all waiting operations, commits them as one transaction, then resolves their futures. While one commit is synced to disk the next batch
gathers, so an idle store answers after one sync and a busy one shares each sync among many operations; a busy one also waits a little for more.

An operation that refuses before it has changed anything, such as a repeat of an answered request, fails alone and the batch goes on. If one fails
otherwise, the batch is rolled back and run again in halves, recursively, so that only the bad one fails.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.errors import AlreadyAnswered, StoreError, StoreFull, StoreUnavailable
from sendryd.store.sql.batch import Batch
from sendryd.store.sql.gathering import GATHER_OCTETS, Gathering

MAX_OCTETS: Final = 8 * 1024 * 1024  # of new content in one batch

Action = Callable[[Any, Any], Any]  # of a connection and the batch


@dataclass(slots=True)
class Operation:
    """An action for a transaction, and the future of its result."""

    action: Action
    future: asyncio.Future[Any]
    size: int
    is_alone: bool
    key: str
    deliveries: Sequence[int]
    result: Any = None
    error: BaseException | None = None


class Writer(ABC):
    """The writer's thread. Only the event loop's thread may call `submit`."""

    name = "writer"

    def __init__(self, make_batch: Callable[[], Batch], monotonic: Callable[[], float] | None, sizes: Sizes = USUAL) -> None:
        """`monotonic` is a clock's; without one, commits are not timed and the writer never waits for more operations."""
        self._make_batch = make_batch
        self._sizes = sizes
        self._monotonic = monotonic
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
        self.commits = 0
        self.operations = 0
        self.largest_batch = 0
        self.longest_commit = 0.0  # seconds
        self._thread = threading.Thread(target=self._run, name=f"{self.name}-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def submit(
        self, action: Action, *, size: int = 0, is_alone: bool = True, key: str = "", deliveries: Sequence[int] = ()
    ) -> asyncio.Future[Any]:
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
            self._waiting.append(Operation(action, future, size, is_alone, key, deliveries))
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
        }

    def finish(self) -> None:
        """Refuses new operations, commits the submitted ones, ends the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

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
            self._tidy(is_idle=not batch)

    def _take(self) -> list[Operation] | None:
        """All waiting operations; an empty list after an idle time; None at the end."""
        with self._changed:
            is_late = not self._wait(self._gathering.target, self._gathering.timeout)
            if not self._waiting:
                self._wait(1, self._idle_time())
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

    @abstractmethod
    def _try(self, batch: Sequence[Operation]) -> BaseException | None:
        """Runs operations as one transaction; returns the error that rolled it back."""

    def _tidy(self, *, is_idle: bool) -> None:  # noqa: B027  an engine may have nothing to do
        """Does what is due after a batch, or after an idle time."""

    def _idle_time(self) -> float | None:
        """Seconds without work until `_tidy` is due; None: it is not."""
        return None

    def _make_room(self) -> bool:
        """Frees space for operations without content, such as an outcome or a deletion; False if there is none left."""
        return False

    def _answer(self, batch: list[Operation]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, batch)


def act(batch: Sequence[Operation], connection: Any, rows: Batch, added: Callable[[], object]) -> None:
    """Runs the actions. An operation that refuses and has changed nothing keeps its error, and the others go on. `added` tells what has been
    changed so far.
    """
    for operation in batch:
        operation.error = None  # from an earlier try
        before = added(), rows.count
        try:
            operation.result = operation.action(connection, rows)
        except (StoreError, AlreadyAnswered) as error:
            if before != (added(), rows.count):
                raise
            operation.error = error


def _resolve(batch: list[Operation]) -> None:
    for operation in batch:
        if operation.future.cancelled():
            continue
        if operation.error is not None:
            operation.future.set_exception(operation.error)
        else:
            operation.future.set_result(operation.result)
