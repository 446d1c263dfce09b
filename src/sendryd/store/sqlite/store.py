"""The SQLite store: the parts put together, and its upkeep."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw

from sendryd.store.base import SpoolReport
from sendryd.store.errors import StoreUnavailable
from sendryd.store.sqlite import migrate
from sendryd.store.sqlite.accepting import Accepting
from sendryd.store.sqlite.accounts import Accounts
from sendryd.store.sqlite.apilog import ApiLog
from sendryd.store.sqlite.batch import Rows
from sendryd.store.sqlite.claims import DueScan
from sendryd.store.sqlite.connection import FILE_NAME, check_engine, open_connection, translated
from sendryd.store.sqlite.creating import create_database, size_of
from sendryd.store.sqlite.database import Database
from sendryd.store.sqlite.deliveries import Deliveries
from sendryd.store.sqlite.lists import Lists
from sendryd.store.sqlite.nexthops import NextHops
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.queue import Queue
from sendryd.store.sqlite.reads import Reads
from sendryd.store.sqlite.reports import Reports
from sendryd.store.sqlite.rows import first_id, from_ms, to_json, to_ms
from sendryd.store.sqlite.suppressed import Suppressed
from sendryd.store.sqlite.templates import Templates
from sendryd.store.sqlite.traces import Traces
from sendryd.store.sqlite.webhooks import Webhooks

CHECKED_SIZE: Final = 64 * 1024 * 1024  # octets of a database that is looked through after an unclean end: a tenth of a second
MAX_FAULTS: Final = 100  # looked for: SQLite tells of damaged pages before it tells of rows
SHOWN_FAULTS: Final = 3  # in the one line of an error

# A value that breaks a rule of its column; the row is where it should be.
_FAULT_OF_A_ROW: Final = re.compile(r"(?:CHECK constraint failed in|NULL value in|NUMERIC value in|TEXT value in|non-[A-Z]+ value in) ")


class SqliteStore(Accepting, Accounts, ApiLog, Deliveries, Lists, NextHops, Queue, Reads, Reports, Templates, Traces, Webhooks):
    """`Store` in one file of the data directory, with the contents of messages in files beside it."""

    def __init__(self, database: Database, monotonic: Callable[[], float] | None = None) -> None:
        self._database = database
        self._scan = DueScan()
        self._claiming = asyncio.Lock()
        self._suppressed = Suppressed(database, monotonic)

    def __repr__(self) -> str:
        return f"<SqliteStore {self._database.path}>"

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        await self._delete_drafts(limit)
        values = (first_id(created_before), to_ms(created_before), limit)

        def action(connection: apsw.Connection, _rows: Rows) -> list[tuple[Any, ...]]:
            old: list[tuple[Any, ...]] = connection.execute(SQL["list_old_messages"], values).fetchall()
            for number, segment in old:
                connection.execute(SQL["delete_deliveries"], (number,))
                connection.execute(SQL["delete_draft"], (number,))
                connection.execute(SQL["delete_message"], (number,))
                connection.execute(SQL["leave_segment"], (segment,))
            return old

        old: list[tuple[Any, ...]] = await self._database.write(action)
        if old:
            await self.remove_orphans()
        return len(old)

    async def _delete_drafts(self, limit: int) -> None:
        """Deletes what messages were made from that are done since: all of it, so many in one transaction."""
        done: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(SQL["list_done_drafts"]).fetchall())
        for start in range(0, len(done), limit):
            batch = done[start : start + limit]
            await self._database.write(partial(_delete_drafts, batch))

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _rows: Rows) -> int:
            connection.execute(SQL["delete_events"], (first_id(created_before), limit))
            return int(connection.changes())

        return int(await self._database.write(action))

    async def delete_answers(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _rows: Rows) -> int:
            connection.execute(SQL["delete_answers"], (to_ms(created_before), limit))
            return int(connection.changes())

        return int(await self._database.write(action))

    async def delete_removed_domains(self, *, created_before: datetime, limit: int) -> int:
        values = (to_ms(created_before), limit)
        old: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["list_old_removed_domains"], values).fetchall()
        )
        if old:
            numbers = to_json([number for (number,) in old])
            await self._database.write(lambda connection, _: connection.execute(SQL["delete_removed_domains"], (numbers,)).fetchall())
        return len(old)

    async def remove_orphans(self) -> int:
        """Removes files of contents that no message refers to, deleted or lost in a crash before the commit. Returns how many."""
        count = await self._database.in_thread(self._database.remove_orphans)
        left = to_json(await self._database.in_thread(self._database.segments.numbers))
        await self._database.write(lambda connection, _: connection.execute(SQL["forget_segments"], (left,)).fetchall())
        return count

    async def compare_spool(self) -> SpoolReport:
        return await self._database.in_thread(self._database.compare_spool)

    async def check_writable(self) -> None:
        await self.check_room(1)

        def action(connection: apsw.Connection, _rows: Rows) -> None:
            # Something has to change: the engine leaves a page alone that would stay as it is, and the disk is not asked.
            rows: list[tuple[Any, ...]] = connection.execute("PRAGMA user_version").fetchall()
            connection.execute(f"PRAGMA user_version = {(rows[0][0] + 1) % (1 << 31)}")

        await self._database.write(action)

    async def read_clock(self) -> datetime | None:
        row = self._database.fetch_one("read_clock")
        return from_ms(row[0]) if row else None

    async def note_clock(self, settled: datetime) -> None:
        await self._database.write(lambda connection, _: connection.execute(SQL["note_clock"], (to_ms(settled),)).fetchall())

    def can_write(self) -> bool:
        return self._database.writer.is_alive

    def statistics(self) -> Mapping[str, int | float]:
        return self._database.statistics()

    async def aclose(self) -> None:
        await self._database.aclose()


def _delete_drafts(numbers: Sequence[tuple[Any, ...]], connection: apsw.Connection, _rows: Rows) -> None:
    connection.executemany(SQL["delete_draft"], numbers).fetchall()


def open_store(
    data_dir: Path,
    *,
    create: bool = True,
    monotonic: Callable[[], float] | None = None,
    tell_unreadable: Callable[[str, str], None] | None = None,
) -> SqliteStore:
    """Opens the database of a data directory and brings it up to date. Makes both if they are not there, unless told not to. With a clock's
    `monotonic`, what other processes change in lists is looked for twice a second, else each time. `tell_unreadable` gets the public id of each
    row that cannot be read, and the reason.

    Raises `SchemaMismatch` if the engine is too old, the file is no database, or it was written by a newer version; `StoreUnavailable` if it
    cannot be opened or is damaged.
    """
    check_engine()
    path = data_dir / FILE_NAME
    with translated():
        if create:
            create_database(path)
        is_unclean = size_of(data_dir / f"{FILE_NAME}-wal") > 0  # or in use by another process
        connection = open_connection(path, may_create=False)
        try:
            if is_unclean and size_of(path) <= CHECKED_SIZE:
                _check(connection)
            if migrate.pending(connection):
                migrate.apply(connection)
        finally:
            connection.close()
    database = Database(data_dir, monotonic, tell_unreadable)
    try:
        database.remove_orphans()
    except BaseException:
        database.close()
        raise
    return SqliteStore(database, monotonic)


def _check(connection: apsw.Connection) -> None:
    """Looks for damage that reaches beyond a row. Raises `StoreUnavailable`. A row that is damaged by itself is set aside when it is read."""
    faults = [str(fault) for (fault,) in connection.execute(f"PRAGMA quick_check({MAX_FAULTS})")]
    found = [fault for fault in faults if fault != "ok" and not _FAULT_OF_A_ROW.match(fault)]
    if found:
        raise StoreUnavailable(f"the database is damaged, restore it from a backup: {'; '.join(found[:SHOWN_FAULTS])}")
