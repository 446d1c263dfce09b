"""One writer and some readers of a server's database, shared by the parts of the store."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from typing_extensions import override

from sendryd.store.codec.reading import Row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.postgres import PostgresConnection, Target, TryAgain
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.errors import StoreUnavailable, TookTooLong
from sendryd.store.postgres.contents import PIECE, RowContents
from sendryd.store.postgres.queries import SQL
from sendryd.store.postgres.writer import REPEATS, PostgresWriter
from sendryd.store.sql.batch import Batch
from sendryd.store.sql.database import Database
from sendryd.store.sql.place import Place

READERS: Final = 4  # threads, each with a connection, for look-ups of mail in transit
SEARCHERS: Final = 2  # for lists shown to people, so that mail never waits for them
STATEMENT_TIMEOUT: Final = 10.0  # seconds: statements of mail in transit take milliseconds; a client that submits waits no longer
ANSWER_TIME: Final = 2.0  # seconds: a server that is alive says its time in milliseconds
PAUSE: Final = 0.5  # seconds after a failed connection in which no other is tried: thousands of sessions would each wait for one

Result = TypeVar("Result")


class PostgresDatabase(Database):
    """Connections to one server's database."""

    def __init__(
        self,
        target: Target,
        make_batch: Callable[[], Batch],
        monotonic: Callable[[], float],
        tell_unreadable: Callable[[str, str], None] | None = None,
        sizes: Sizes = USUAL,
        timeout: float = STATEMENT_TIMEOUT,
    ) -> None:
        """`timeout`, in seconds, is that of each statement and of connecting."""
        self.target = target
        self._timeout = timeout
        self.sizes = sizes
        self.unreadable = Unreadable(tell_unreadable)
        self.contents = RowContents(self._with)
        self._monotonic = monotonic
        self._failed_at = float("-inf")
        self._fault = StoreUnavailable("")
        self._local = threading.local()
        self._opened: list[PostgresConnection] = []
        self._is_closing = False
        self._tell: Callable[[StoreUnavailable | None], bool] = lambda _fault: False
        self._is_away = False  # as far as `_tell` knows
        self._cannot_write = False  # a standby that hangs stops commits alone
        self.writer = PostgresWriter(self.open, self.contents, make_batch, monotonic, sizes, note=self.note_commit)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="postgres-reader")
        self._searchers = ThreadPoolExecutor(SEARCHERS, thread_name_prefix="postgres-search")

    def watch(self, tell: Callable[[StoreUnavailable | None], bool]) -> None:
        """Calls `tell` with each fault of the database, and after faults with None for what it answers, as long as it returns True. In any thread."""
        self._tell = tell

    def note(self, fault: BaseException | None) -> None:
        """The database has answered, or not."""
        if isinstance(fault, StoreUnavailable):
            self._is_away = self._tell(fault)
        elif self._is_away and not self._cannot_write and fault is None:
            self._is_away = self._tell(None)

    def note_commit(self, fault: BaseException | None) -> None:
        """The database has committed, or not."""
        if fault is None or isinstance(fault, StoreUnavailable):
            self._cannot_write = fault is not None
        self.note(fault)

    def open(self) -> PostgresConnection:
        """A connection for the calling thread. Raises `StoreUnavailable`, for some time at once if the last try has failed."""
        if self._monotonic() - self._failed_at < PAUSE:
            raise StoreUnavailable(str(self._fault))
        try:
            return PostgresConnection(self.target, self._timeout)
        except StoreUnavailable as error:
            self._failed_at, self._fault = self._monotonic(), error
            raise

    @override
    async def find_rows(self, statement: Statement, /, **values: Any) -> list[Row]:
        return await self._in(self._readers, lambda connection: connection.rows(statement, values))

    @override
    async def read_rows(self, statement: Statement, /, **values: Any) -> list[Row]:
        return await self.find_rows(statement, **values)  # one statement is a transaction of its own

    @override
    async def read_value(self, statement: Statement, /, **values: Any) -> Any:
        return await self._in(self._readers, lambda connection: connection.value(statement, values))

    @override
    async def read(self, work: Callable[[Connection], Result]) -> Result:
        return await self._in(self._readers, lambda connection: _reading(connection, work))

    @override
    async def search(self, work: Callable[[Connection], Result]) -> Result:
        self._check_open()
        loop, holder = asyncio.get_running_loop(), _Holder()
        timer = loop.call_later(self.sizes.search_seconds, holder.end)
        try:
            return await loop.run_in_executor(self._searchers, lambda: self._search(work, holder))
        except StoreUnavailable as error:
            self.note(error)
            raise
        except TookTooLong:
            if await self._is_answering():
                raise
            raise StoreUnavailable(f"the database at {self.target} does not answer") from None
        finally:
            timer.cancel()
            holder.end()  # also when the caller was cancelled

    async def _is_answering(self) -> bool:
        """Whether the server answers anything at all: a search that took too long may have met a server that hangs."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(ANSWER_TIME):
                await self.read_value(SQL["server_time"])
                return True
        return False

    def _search(self, work: Callable[[Connection], Result], holder: "_Holder") -> Result:
        def limited(connection: PostgresConnection) -> Result:
            with holder.holding(connection):
                try:
                    return _reading(connection, work, self.sizes.search_seconds)
                except StoreUnavailable as error:
                    if holder.is_over:
                        raise TookTooLong("the search took too long") from error
                    raise

        if holder.is_over:
            raise TookTooLong("the search took too long")
        return self._with(limited)

    async def write_beside(self, action: Callable[[Connection], Result]) -> Result:
        """Runs a short transaction on a connection of its own. Locks that the writer takes are held until its whole batch is committed."""
        return await self._in(self._readers, lambda connection: _writing(connection, action))

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[PostgresConnection], Result]) -> Result:
        return await self._run(threads, lambda: self._with(work))

    async def _reading(self, work: Callable[[], Result]) -> Result:
        return await self._run(self._readers, work)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        self._check_open()
        try:
            result = await asyncio.get_running_loop().run_in_executor(threads, work)
        except TookTooLong as error:
            fault = StoreUnavailable(str(error))
            self.note(fault)
            raise fault from error
        except StoreUnavailable as error:
            self.note(error)
            raise
        if self._is_away:
            self.note(None)
        return result

    def _with(self, work: Callable[[PostgresConnection], Result]) -> Result:
        """Runs work on the thread's connection; once more on a new one if an old one turns out to have ended."""
        connection: PostgresConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            try:
                return work(connection)
            except (StoreUnavailable, TryAgain):
                if not connection.is_broken:
                    raise
                self._opened.remove(connection)
                connection.close()
                self._local.connection = None
            except TookTooLong:
                self._opened.remove(connection)
                connection.close()
                self._local.connection = None
                raise
        connection = self._local.connection = self.open()
        self._opened.append(connection)
        return work(connection)

    def _check_open(self) -> None:
        if self._is_closing:
            raise StoreUnavailable("the store is closed")

    @override
    async def write(
        self, action: Callable[[Connection, Any], Result], *, is_alone: bool = True, key: str = "", deliveries: Sequence[int] = ()
    ) -> Result:
        result: Result = await self.writer.submit(action, is_alone=is_alone, key=key, deliveries=deliveries)
        return result

    @override
    async def write_contents(
        self, action: Callable[[Connection, Any], Result], sizes: Sequence[int], *, is_alone: bool = False, key: str = ""
    ) -> Result:
        result: Result = await self.writer.submit(action, size=sum(sizes), is_alone=is_alone, key=key)
        return result

    @override
    def check_room(self, size: int) -> None:
        """The server alone knows: it refuses what has no room."""

    @override
    async def read_content(self, place: Place) -> bytes:
        return await self._reading(lambda: self.contents.read(place))

    @override
    async def stream_content(self, place: Place) -> AsyncGenerator[bytes, None]:
        parts = self.contents.read_parts(place, 0, place.size)
        while data := await self._reading(lambda: next(parts, b"")):
            for first in range(0, len(data), PIECE):
                yield data[first : first + PIECE]

    @override
    def drop_contents(self, connection: Connection, places: Sequence[Place]) -> None:
        self.contents.drop(connection, places)

    @override
    async def tidy(self) -> int:
        return 0  # the server frees the room of deleted rows

    async def touch(self) -> None:
        """Writes a row."""
        await self.change(SQL["probe_writing"])

    def statistics(self) -> Mapping[str, int | float]:
        """Counters since the start."""
        return {**self.writer.statistics(), "unreadable_rows": self.unreadable.count}

    async def aclose(self) -> None:
        """Finishes the operations that were submitted and closes all connections."""
        self._is_closing = True
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Does what `aclose` does, and blocks the calling thread meanwhile."""
        self.writer.finish()
        self._readers.shutdown()
        self._searchers.shutdown()
        for connection in self._opened:
            connection.close()
        self.writer.close()


class _Holder:
    """A search that may be ended from another thread."""

    def __init__(self) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._connection: PostgresConnection | None = None

    def end(self) -> None:
        """Ends the search if it runs."""
        with self._lock:
            self.is_over = True
            if self._connection is not None:
                self._connection.cancel()

    def holding(self, connection: PostgresConnection) -> "_Holder":
        """For the time of the search on a connection."""
        with self._lock:
            self._connection = connection
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._connection = None


def _writing(connection: PostgresConnection, action: Callable[[Connection], Result]) -> Result:
    fault = ""
    for _ in range(REPEATS):
        try:
            connection.begin()
            result = action(connection)
            connection.commit()
        except TryAgain as error:
            connection.roll_back()
            fault = str(error)
        except BaseException:
            connection.roll_back()
            raise
        else:
            return result
    raise StoreUnavailable(f"the transaction was ended by the server {REPEATS} times: {fault}")


def _reading(connection: PostgresConnection, work: Callable[[Connection], Result], seconds: float | None = None) -> Result:
    with connection.reading(seconds):
        return work(connection)
