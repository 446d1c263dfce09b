"""One writer and many readers, shared by the parts of the store."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sendryd.store.base import SpoolReport
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import to_json
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.sqlite import FILE_NAME, SPOOL_NAME, SqliteConnection, open_connection, translated
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import fetch_row, fetch_rows
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sql.batch import Batch
from sendryd.store.sql.database import Database
from sendryd.store.sql.place import Place
from sendryd.store.sqlite.engine.contents import SpooledContents
from sendryd.store.sqlite.engine.queries import SQL
from sendryd.store.sqlite.engine.records import RECORD_HEADER
from sendryd.store.sqlite.engine.room import Room
from sendryd.store.sqlite.engine.segments import SegmentFile, Spool
from sendryd.store.sqlite.engine.spool import compare
from sendryd.store.sqlite.engine.watch import KnownFiles
from sendryd.store.sqlite.engine.writer import SqliteWriter

READER_THREADS: Final = 2  # for queries of mail in transit, and large contents, which would block the event loop
SEARCH_THREADS: Final = 2  # for lists shown to people, so that mail never waits for them
FILE_CHECK_INTERVAL: Final = 0.25  # seconds between checks that the file still has its name; a check may cost more than a look-up by key

Result = TypeVar("Result")


class SqliteDatabase(Database):
    """Connections to one data directory."""

    def __init__(
        self,
        data_dir: Path,
        make_batch: Callable[[], Batch],
        monotonic: Callable[[], float] | None = None,
        tell_unreadable: Callable[[str, str], None] | None = None,
        sizes: Sizes = USUAL,
    ) -> None:
        self.sizes = sizes
        self._monotonic = monotonic
        self.unreadable = Unreadable(tell_unreadable)
        self.path = data_dir / FILE_NAME
        self.segments = Spool(data_dir / SPOOL_NAME, sizes)
        self.contents = SpooledContents(self.segments)
        self.room = Room(data_dir, monotonic)
        self.writer = SqliteWriter(self.path, self.contents, self.room, make_batch, monotonic, sizes)
        self._files = KnownFiles(self.path)
        self._checked = float("-inf")
        self._reader = open_connection(self.path, is_reader=True, sizes=self.sizes)
        self._local = threading.local()
        self._opened: list[SqliteConnection] = []
        self._is_closing = False
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        self._searchers = ThreadPoolExecutor(SEARCH_THREADS, thread_name_prefix="sqlite-search")

    async def find_rows(self, statement: Statement, /, **values: Any) -> list[Row]:
        """The rows of a short look-up by key. Runs in the event loop's thread: it takes microseconds."""
        self._check_file()
        with translated():
            return self._reader.rows(statement, values)

    async def find_row(self, statement: Statement, /, **values: Any) -> Row | None:
        """The first row of a short look-up by key."""
        self._check_file()
        with translated():
            return self._reader.row(statement, values)

    def _check_file(self) -> None:
        """Raises `StoreUnavailable` if the open database is not the file of its name: reads would be out of date."""
        if self._monotonic is not None:
            now = self._monotonic()
            if now - self._checked < FILE_CHECK_INTERVAL:
                return
            self._files.check()  # repeated in each call while it fails
            self._checked = now
        else:
            self._files.check()

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Runs a longer look-up in a reader thread, in one read transaction."""
        return await self.in_thread(lambda: self._read(work))

    async def search(self, work: Callable[[Connection], Result]) -> Result:
        """Runs a look-up that may take long in a search thread, in one read transaction. Raises `TookTooLong`."""
        self._check_open()
        loop, is_over = asyncio.get_running_loop(), threading.Event()
        timer = loop.call_later(self.sizes.search_seconds, is_over.set)
        try:
            return await loop.run_in_executor(self._searchers, lambda: self._search(work, is_over))
        finally:
            is_over.set()  # also when the caller was cancelled
            timer.cancel()

    def _search(self, work: Callable[[Connection], Result], is_over: threading.Event) -> Result:
        def limited(connection: SqliteConnection) -> Result:
            connection.set_progress_handler(is_over.is_set, self.sizes.search_progress)
            try:
                return work(connection)
            finally:
                connection.set_progress_handler(None)

        return self._read(limited)

    def _read(self, work: Callable[[SqliteConnection], Result]) -> Result:
        self._check_file()
        with translated():
            connection: SqliteConnection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = open_connection(self.path, is_reader=True, sizes=self.sizes)
                self._opened.append(connection)
            with connection.reading():
                return work(connection)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Runs work on files in a reader thread."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def _check_open(self) -> None:
        if self._is_closing:
            raise StoreUnavailable("the store is closed")

    def check_room(self, size: int) -> None:
        """Raises `StoreFull` if there is no room for content of this size."""
        if not self.room.is_plenty(size):  # nearly always true, and asked twice per message
            with translated():
                self.room.check(size)

    async def write(
        self,
        action: Callable[[Connection, Any], Result],
        *,
        is_alone: bool = True,  # noqa: ARG002
        key: str = "",  # noqa: ARG002
        deliveries: Sequence[int] = (),  # noqa: ARG002
    ) -> Result:
        """Runs an action in the writer's next transaction. SQLite has one writer at a time, so an action is always alone."""
        result: Result = await self.writer.submit(action)
        return result

    async def write_contents(
        self,
        action: Callable[[Connection, Any], Result],
        sizes: Sequence[int],
        *,
        is_alone: bool = False,  # noqa: ARG002
        key: str = "",  # noqa: ARG002
    ) -> Result:
        size = sum(sizes) + len(sizes) * RECORD_HEADER
        self.check_room(size)
        result: Result = await self.writer.submit(action, size=size)
        return result

    async def read_content(self, place: Place) -> bytes:
        if place.size <= self.sizes.read_inline:
            return self.contents.read(place)
        return await self.in_thread(partial(self.contents.read, place))

    async def stream_content(self, place: Place) -> AsyncGenerator[bytes, None]:
        for piece in self.contents.read_range(place, 0, place.size):
            yield piece

    def drop_contents(self, connection: Connection, places: Sequence[Place]) -> None:
        self.contents.drop(connection, places)

    async def touch(self) -> None:
        """Writes a page of the file, synced."""

        def action(connection: SqliteConnection, _batch: object) -> None:
            # The value must change: the engine does not write a page that stays the same, and the disk would not be tested.
            version: int = connection.execute("PRAGMA user_version").get
            connection.execute(f"PRAGMA user_version = {(version + 1) % (1 << 31)}")

        await self.writer.submit(action)

    def remove_orphans(self) -> int:
        """Removes files of contents that the database knows and no message refers to, except files that a process appends to. Returns how many."""
        used = {row["number"] for row in self._list_segments() if row["messages"] > 0}
        with translated():
            return self.segments.remove([number for number in self.segments.numbers() if number not in used], self._may_go)

    async def tidy(self) -> int:
        """Removes files that no message refers to, and deletes the segments of files that are gone. Returns how many files were removed."""
        count = await self.in_thread(self.remove_orphans)
        left = to_json(await self.in_thread(self.segments.numbers))
        await self.change(SQL["forget_segments"], numbers=left)
        return count

    def _list_segments(self) -> list[Row]:
        return self._read(lambda connection: fetch_rows(connection, SQL["list_segments"]))

    def _may_go(self, file: SegmentFile) -> bool:
        """Whether the database knows the file. An unknown one may hold the only copy of another database's messages."""
        row = self._read(lambda connection: fetch_row(connection, SQL["get_segment"], number=file.number))
        if row is None:
            return file.is_unfinished
        return row["messages"] <= 0 and not file.fault and (file.is_unfinished or file.id == row["id"])

    def compare_spool(self) -> SpoolReport:
        """Compares the segments in the database with the files in the spool: names, ids and sizes."""
        spool = self._read(lambda connection: fetch_row(connection, SQL["read_spool"]))
        return compare(spool["id"] if spool else b"", self._list_segments(), self.segments)

    def statistics(self) -> Mapping[str, int | float]:
        """The writer's counters."""
        return {**self.writer.statistics(), "unreadable_rows": self.unreadable.count}

    async def aclose(self) -> None:
        """Finishes the operations that were submitted and closes all connections and files."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.writer.finish)
        self._is_closing = True
        await loop.run_in_executor(None, self.close)

    def close(self) -> None:
        """Does what `aclose` does, and blocks the calling thread meanwhile."""
        self.writer.finish()
        self._readers.shutdown()
        self._searchers.shutdown()
        for connection in self._opened:
            connection.close()
        self._reader.close()
        self.writer.close()
        self.segments.close()
