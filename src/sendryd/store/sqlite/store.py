"""The SQLite store: the parts put together, and its upkeep."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw

from sendryd.store.sqlite import migrate
from sendryd.store.sqlite.accounts import Accounts
from sendryd.store.sqlite.connection import FILE_NAME, check_engine, open_connection, translated
from sendryd.store.sqlite.database import Database
from sendryd.store.sqlite.deliveries import Deliveries
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.reads import Reads
from sendryd.store.sqlite.rows import first_id
from sendryd.store.sqlite.writer import Rows


class SqliteStore(Accounts, Deliveries, Reads):
    """`Store` in one file of the data directory, with large contents beside it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"<SqliteStore {self._database.path}>"

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _rows: Rows) -> list[tuple[Any, ...]]:
            old: list[tuple[Any, ...]] = connection.execute(SQL["list_old_messages"], (first_id(created_before), limit)).fetchall()
            for number, segment in old:
                connection.execute(SQL["delete_deliveries"], (number,))
                connection.execute(SQL["delete_message"], (number,))
                connection.execute(SQL["count_segment"], (segment, -1))
            return old

        old: list[tuple[Any, ...]] = await self._database.write(action)
        if old:
            await self._remove_empty_segments()
        return len(old)

    async def _remove_empty_segments(self) -> None:
        segments = self._database.segments

        def action(connection: apsw.Connection, _rows: Rows) -> list[int]:
            rows: list[tuple[Any, ...]] = connection.execute(SQL["empty_segments"]).fetchall()
            empty = [number for (number,) in rows if number != segments.current]
            for number in empty:
                connection.execute(SQL["forget_segment"], (number,))
            return empty

        empty: list[int] = await self._database.write(action)
        if empty:
            await self._database.in_thread(lambda: segments.remove(empty))

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        return await self._count("delete_events", (first_id(created_before), limit))

    async def remove_orphans(self) -> int:
        """Removes files of the spool that no message refers to: a crash before a commit leaves them. Returns how many."""

        def work(connection: apsw.Connection) -> int:
            segments = self._database.segments
            orphans = [number for number in segments.old_files() if connection.execute(SQL["segment_in_use"], (number,)).fetchone() is None]
            segments.remove(orphans)
            return len(orphans)

        return await self._database.read(work)

    async def check_writable(self) -> None:
        await self._database.write(lambda connection, _: connection.execute(SQL["touch_store"]).fetchall())

    def statistics(self) -> Mapping[str, int | float]:
        return self._database.statistics()

    async def aclose(self) -> None:
        await self._database.aclose()


def open_store(data_dir: Path, *, does_migrate: bool = True) -> SqliteStore:
    """Opens the database of a data directory, making both if they are not there.

    Raises `SchemaMismatch` if the engine is too old, the database is newer than this program, or it lacks migrations that may not be
    applied; `StoreUnavailable` if it cannot be opened.
    """
    check_engine()
    with translated():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = open_connection(data_dir / FILE_NAME)
        try:
            if does_migrate and migrate.pending(connection):
                migrate.apply(connection)
        finally:
            connection.close()
    return SqliteStore(Database(data_dir))
