"""The SQLite store, composed of its parts."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sendryd.store.derived.file import DerivedFile
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.sqlite import FILE_NAME, check_engine, open_connection, translated
from sendryd.store.sql.lists.suppressed import Suppressed
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.claims import DueScan
from sendryd.store.sql.parts import Parts
from sendryd.store.sqlite.engine import migrate
from sendryd.store.sqlite.engine.checking import check_database
from sendryd.store.sqlite.engine.creating import create_database, size_of
from sendryd.store.sqlite.engine.database import SqliteDatabase
from sendryd.store.sqlite.engine.upkeep import EngineUpkeep


class SqliteStore(Parts, EngineUpkeep):
    """`Store` in one file of the data directory, with the contents of messages in files beside it."""

    def __init__(self, database: SqliteDatabase, monotonic: Callable[[], float] | None = None) -> None:
        self._database = self._sqlite = database
        self._scan = DueScan(database.sizes)
        self._claiming = asyncio.Lock()
        self._suppressed = Suppressed(database, monotonic)
        self._derived = DerivedFile(database.path.parent, partial(open_connection, database.path, is_reader=True))

    def __repr__(self) -> str:
        return f"<SqliteStore {self._sqlite.path}>"

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._derived.close)
        await self._sqlite.aclose()


def open_store(
    data_dir: Path,
    *,
    create: bool = True,
    monotonic: Callable[[], float] | None = None,
    tell_unreadable: Callable[[str, str], None] | None = None,
    sizes: Sizes = USUAL,
) -> SqliteStore:
    """Opens the database of a data directory and applies pending migrations. Creates both unless `create` is false. Changes of lists by other
    processes are looked for twice a second if `monotonic`, a clock's, is given, else in each look-up. `tell_unreadable` is called with the public
    id of each unreadable row and the reason.

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
            if is_unclean:
                check_database(connection, path)
            if migrate.pending(connection):
                migrate.apply(connection)
        finally:
            connection.close()
    database = SqliteDatabase(data_dir, Rows, monotonic, tell_unreadable, sizes)
    try:
        database.remove_orphans()
    except BaseException:
        database.close()
        raise
    return SqliteStore(database, monotonic)
