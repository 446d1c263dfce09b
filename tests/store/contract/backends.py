"""The backends that keep the store's contract, and which part of it each of them has.

A backend is one entry of `BACKENDS`. Its `install` gives a database that is empty at first, and its `Open`: each call is one more process
that has it open, and a call after `aclose` is the next start. The tests of an aggregate (`test_<aggregate>.py`) run over every backend that
names it.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeAlias, cast

import pytest

from sendryd.store.base import ContentStore, Store
from sendryd.store.drivers import sqlite as connection
from sendryd.store.drivers.postgres import PostgresConnection, Target
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.memory import MemoryStore
from sendryd.store.memory.content import MemoryContents
from sendryd.store.postgres.contents import RowContents
from sendryd.store.postgres.store import open_store as open_postgres
from sendryd.store.sqlite import open_store
from sendryd.store.sqlite.engine import segments
from sendryd.store.sqlite.engine.contents import SpooledContents
from sendryd.store.sqlite.engine.creating import create_database
from sendryd.testing.pgbouncer import shared_bouncer
from sendryd.testing.postgres import shared_server
from sendryd.testing.stores import open_new_store, quick_folder


class Aggregate(StrEnum):
    """A part of the contract."""

    # The mail side, which every backend has.
    ACCEPTING = auto()
    ACCOUNTS = auto()
    ANSWERS = auto()
    API_KEYS = auto()
    CAPTURES = auto()
    CLAIMS = auto()
    CONTENT = auto()
    DKIM_KEYS = auto()
    DOMAINS = auto()
    EGRESS = auto()
    ENGAGEMENTS = auto()
    EXPIRY = auto()
    FIGURES = auto()
    LATE = auto()
    LEASES = auto()
    MODEL = auto()  # random sequences, compared with the memory store
    NEXT_HOPS = auto()
    OUTCOMES = auto()
    QUEUE = auto()
    READING = auto()
    SCHEDULED = auto()
    SEARCH = auto()
    TRACES = auto()
    UPKEEP = auto()
    # The rest.
    API_LOG = auto()
    AUDIT = auto()
    HEALTH = auto()
    INBOUND = auto()
    DOMAINREPORTS = auto()
    BULK = auto()
    CLOSING = auto()
    NOTIFICATIONS = auto()
    PASSKEYS = auto()
    PEOPLE = auto()
    PROCESSES = auto()
    REPLAYS = auto()
    REPORTS = auto()
    SAVED_VIEWS = auto()
    SMTP_REFUSALS = auto()
    STATUSREPORTS = auto()
    SUPPRESSIONS = auto()
    SUSPENSIONS = auto()
    TEMPLATES = auto()
    UNKNOWNREPLIES = auto()
    UNSUBSCRIBES = auto()
    WEBHOOKS = auto()


_REST: Final = {
    Aggregate.API_LOG,
    Aggregate.AUDIT,
    Aggregate.HEALTH,
    Aggregate.INBOUND,
    Aggregate.DOMAINREPORTS,
    Aggregate.BULK,
    Aggregate.CLOSING,
    Aggregate.NOTIFICATIONS,
    Aggregate.PASSKEYS,
    Aggregate.PEOPLE,
    Aggregate.PROCESSES,
    Aggregate.REPLAYS,
    Aggregate.REPORTS,
    Aggregate.SAVED_VIEWS,
    Aggregate.SMTP_REFUSALS,
    Aggregate.SUPPRESSIONS,
    Aggregate.TEMPLATES,
    Aggregate.UNSUBSCRIBES,
    Aggregate.WEBHOOKS,
}
ALL: Final = frozenset(Aggregate)
MAIL: Final = ALL - _REST
# What always passes through PgBouncer: each kind of transaction. With SENDRYD_TEST_PGBOUNCER=all everything does.
POOLED: Final = frozenset({Aggregate.ACCEPTING, Aggregate.CLAIMS, Aggregate.PEOPLE, Aggregate.WEBHOOKS})

Open: TypeAlias = Callable[[], Awaitable[Store]]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One way to keep the contract."""

    name: str
    aggregates: frozenset[Aggregate]
    install: Callable[[Path], AbstractAsyncContextManager[Open]]  # the folder is the backend's alone, and need not exist
    marks: tuple[pytest.MarkDecorator, ...] = ()  # of its tests


@asynccontextmanager
async def _memory(_folder: Path) -> AsyncIterator[Open]:
    made = cast("Store", MemoryStore())  # `aggregates` says which part of it there is

    async def open_one() -> Store:
        return made

    yield open_one


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[Open]:
    async def open_one() -> Store:
        return open_store(folder) if folder.exists() else open_new_store(folder)

    yield open_one


@asynccontextmanager
async def _sqlite_cramped(folder: Path) -> AsyncIterator[Open]:
    """Every step, window and cache so small that each test meets their ends."""
    sizes = Sizes(
        step=1,
        due_window=1,
        summaries=1,
        read_inline=0,
        writer_cache=2,
        reader_cache=2,
        segment=1,
        open_segments=1,
        checkpoint_pages=1,
        max_operations=1,
    )

    async def open_one() -> Store:
        return open_store(folder, sizes=sizes) if folder.exists() else open_new_store(folder, sizes=sizes)

    yield open_one


@asynccontextmanager
async def _postgres(_folder: Path) -> AsyncIterator[Open]:
    async with _new_database() as (target, folder):

        async def open_one() -> Store:
            return await open_postgres(target, folder, monotonic=monotonic)

        yield open_one


@asynccontextmanager
async def _pgbouncer(_folder: Path) -> AsyncIterator[Open]:
    async with _new_database() as (target, folder):
        name = target.name.rpartition("/")[2]

        async def open_one() -> Store:
            return await open_postgres(shared_bouncer().target(name), folder, monotonic=monotonic)

        yield open_one


@asynccontextmanager
async def _new_database() -> AsyncIterator[tuple[Target, Path]]:
    server = shared_server()
    name = server.new_database()
    folder = Path(tempfile.mkdtemp(dir=quick_folder()))
    try:
        yield server.target(name), folder
    finally:
        server.drop_database(name)
        shutil.rmtree(folder)


BACKENDS: Final = (
    Backend(name="memory", aggregates=MAIL - {Aggregate.MODEL}, install=_memory),
    Backend(name="sqlite", aggregates=ALL, install=_sqlite),
    Backend(name="postgres", aggregates=ALL, install=_postgres, marks=(pytest.mark.sockets, pytest.mark.needs("postgres"))),
    Backend(
        name="pgbouncer",
        aggregates=ALL if os.environ.get("SENDRYD_TEST_PGBOUNCER") == "all" else POOLED,
        install=_pgbouncer,
        marks=(pytest.mark.sockets, pytest.mark.needs("postgres", "pgbouncer")),
    ),
    Backend(name="sqlite-cramped", aggregates=ALL - {Aggregate.MODEL}, install=_sqlite_cramped),
)


# Contents have a contract of their own, for the writers of the backends.


@dataclass(frozen=True, kw_only=True)
class Contents:
    """An empty store of contents, and the transactions in which contents are put and dropped."""

    store: ContentStore[Any, Any]
    connection: Any
    transaction: Callable[[], AbstractContextManager[object]]  # commits, or rolls back what raises
    reopen: Callable[[], ContentStore[Any, Any]]  # the next start, with the same connection


@dataclass(frozen=True, kw_only=True)
class ContentBackend:
    """One way to keep contents."""

    name: str
    install: Callable[[Path], AbstractContextManager[Contents]]
    marks: tuple[pytest.MarkDecorator, ...] = ()  # of its tests


@contextmanager
def _memory_contents(_folder: Path) -> Iterator[Contents]:
    store = MemoryContents()
    yield Contents(store=store, connection=None, transaction=nullcontext, reopen=lambda: store)


@contextmanager
def _spooled_contents(folder: Path) -> Iterator[Contents]:
    path = folder / connection.FILE_NAME
    create_database(path)
    opened, files = connection.open_connection(path), [segments.Spool(folder / "spool")]

    @contextmanager
    def transaction() -> Iterator[None]:
        opened.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            opened.execute("ROLLBACK")
            raise
        opened.execute("COMMIT")

    def reopen() -> SpooledContents:
        files.append(segments.Spool(folder / "spool"))
        return SpooledContents(files[-1])

    yield Contents(store=SpooledContents(files[0]), connection=opened, transaction=transaction, reopen=reopen)
    for each in files:
        each.close()
    opened.close()


@contextmanager
def _row_contents(_folder: Path) -> Iterator[Contents]:
    server = shared_server()
    name = server.new_database()
    opened = PostgresConnection(server.target(name), 10.0)

    def make() -> RowContents:
        return RowContents(lambda look: look(opened))

    @contextmanager
    def transaction() -> Iterator[None]:
        opened.begin()
        try:
            yield
        except BaseException:
            opened.roll_back()
            raise
        opened.commit()

    try:
        yield Contents(store=make(), connection=opened, transaction=transaction, reopen=make)
    finally:
        opened.close()
        server.drop_database(name)


CONTENT_BACKENDS: Final = (
    ContentBackend(name="memory", install=_memory_contents),
    ContentBackend(name="spool", install=_spooled_contents),
    ContentBackend(name="postgres", install=_row_contents, marks=(pytest.mark.sockets, pytest.mark.needs("postgres"))),
)
