"""Connections to PostgreSQL: an asyncpg connection with an event loop of its own, which runs in the thread that uses it.

Where PgBouncer pools transactions, the server's session changes with each of them. A pooled connection therefore prepares no named statements and
runs every statement in a transaction.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg

from sendryd.store.codec.reading import Row
from sendryd.store.drivers.statement import Statement
from sendryd.store.errors import Conflict, NotAllowed, StoreFull, StoreUnavailable, TookTooLong

CONNECT_TIMEOUT: Final = 5.0  # seconds; a server that is alive answers in milliseconds
STATEMENTS: Final = 500  # prepared statements to keep: all that exist
ALONE: Final = 0x53656E64727964  # the advisory lock of transactions that are alone, a number of this program
# Of one direct connection, in seconds. The server ends the session of a machine that is gone, and with it the locks, after 11 seconds:
# others wait for these. No other limit covers a session between the messages that prepare a statement and those that run it.
VANISHED: Final = {"tcp_keepalives_idle": "5s", "tcp_keepalives_interval": "2s", "tcp_keepalives_count": "3", "tcp_user_timeout": "10s"}
# The session of one direct connection. A transaction that this program forgot must not keep the server from cleaning up.
SESSION: Final = "; ".join(
    f"SET {name} = '{value}'"
    for name, value in {"application_name": "sendryd", "jit": "off", "idle_in_transaction_session_timeout": "60s", **VANISHED}.items()
)
# A queue grows faster than statistics. The planner takes them for the truth, and sorts what an index has in order.
ALONG_INDEXES: Final = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("sort", "seqscan", "bitmapscan", "hashjoin", "mergejoin"))
# Seconds. A process that stops in a transaction that is alone would stop all others; one that runs does its next step in milliseconds.
PATIENCE: Final = 5.0
NO_TEXT: Final = "\x00"  # the only character that the server's texts cannot hold
IN_ITS_PLACE: Final = "\ufffd"

Result = TypeVar("Result")

_FULL: Final = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
# The driver's own view of a connection is wrong, as after a session that the server ended between two statements.
_CONFUSED: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)
_GONE: Final = (
    asyncpg.PostgresConnectionError,
    *_CONFUSED,
    asyncpg.OperatorInterventionError,  # it shuts down, or is starting
    asyncpg.InsufficientResourcesError,
    asyncpg.exceptions.PostgresSystemError,
    asyncpg.InternalServerError,
    ConnectionError,
    OSError,
    EOFError,
)


class TryAgain(Exception):
    """Two transactions were in each other's way, and the server has ended this one. It may be repeated."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the database is. `str` of it has no password."""

    url: str
    name: str  # host, port and database, for messages
    is_pooled: bool = False  # through PgBouncer in transaction mode

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


@contextmanager
def translated(target: Target) -> Iterator[None]:
    """Translates the driver's and the system's errors to the store's."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise Conflict(str(error)) from error
    except asyncpg.RaiseError as error:
        raise NotAllowed(str(error)) from error
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
        raise TryAgain(str(error)) from error
    except _FULL as error:
        raise StoreFull(f"the database at {target} is full: {error}") from error
    except (TimeoutError, asyncpg.QueryCanceledError) as error:
        raise TookTooLong("the database did not answer in time") from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise StoreUnavailable(f"the database at {target} takes no changes: {error}; connect to the primary server") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreUnavailable(f"the role may not do this in the database at {target}: {error}; let it own the database") from error
    except asyncpg.InvalidCatalogNameError as error:
        raise StoreUnavailable(f"the database at {target} does not exist: {error}; create it") from error
    except asyncpg.UndefinedTableError as error:
        raise StoreUnavailable(
            f"the database at {target} is not sendryd's, or is empty: {error}; restore it, or run `sendryd migrate`"
        ) from error
    except asyncpg.UndefinedObjectError as error:
        raise StoreUnavailable(f"the database at {target} does not know what SENDRYD_DATABASE_URL asks of it: {error}") from error
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise StoreUnavailable(f"the database at {target} refuses the role: {error}") from error
    except _GONE as error:
        raise StoreUnavailable(f"the database at {target} cannot be reached: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # asyncio puts the address into the text
    if isinstance(error, OSError) and error.strerror:  # of a name that cannot be looked up
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__


async def connect(target: Target, timeout: float = CONNECT_TIMEOUT) -> "asyncpg.Connection[Any]":
    """A connection of the running loop, within a number of seconds. Raises the store's faults."""
    with translated(target):
        try:
            connection = await asyncpg.connect(target.url, timeout=timeout, statement_cache_size=0 if target.is_pooled else STATEMENTS)
        except TimeoutError as error:
            raise StoreUnavailable(f"the database at {target} does not answer") from error
        try:
            if not target.is_pooled:
                await connection.execute(SESSION)
            async with connection.transaction():
                # Sums are of this type; ours are whole numbers.
                await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_whole, format="text")
        except BaseException:
            connection.terminate()
            raise
        return connection


async def is_pooled(target: Target) -> bool:
    """Whether something between this program and the server hands sessions around."""
    connection = await connect(Target(target.url, target.name, is_pooled=True))
    try:
        with translated(target):
            async with connection.transaction():
                return bool(await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid())
    finally:
        connection.terminate()


async def _finish() -> None:
    """Ends what the driver still does, such as asking the server to end a statement, and lets the loop close what was ended."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for _ in range(2):
        await asyncio.sleep(0)  # noqa: TID251  lets others have their turn


def _whole(text: str) -> int | float:
    return float(text) if "." in text or "N" in text else int(text)


def _limit(seconds: float) -> str:
    """The server does not notice that no client waits for a statement: it must end it by itself."""
    return f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}"


def _clean(value: object) -> object:
    return value.replace(NO_TEXT, IN_ITS_PLACE) if isinstance(value, str) and NO_TEXT in value else value


class PostgresConnection:
    """`Connection` of PostgreSQL. One thread at a time may use it. After a fault that may have broken it, `is_broken` is true."""

    def __init__(self, target: Target, timeout: float, *, patience: float = PATIENCE) -> None:
        """`timeout`, in seconds, is that of each statement; `patience` that of the server for a transaction whose process does nothing more.
        Raises `StoreUnavailable`.
        """
        self.target = target
        self._patience = patience
        self.timeout = timeout
        self.changed = 0  # rows changed since the start
        self.faults = 0  # statements that failed: each has spoiled its transaction
        self._is_in_transaction = False
        self._loop = asyncio.new_event_loop()
        try:
            self._connection = self._loop.run_until_complete(connect(target, min(timeout, CONNECT_TIMEOUT)))
        except BaseException:
            self._loop.close()
            raise

    @property
    def is_broken(self) -> bool:
        """Whether the connection has ended."""
        return self._connection.is_closed()

    def close(self) -> None:
        """Ends the connection at once. What it has not committed is rolled back."""
        with suppress(Exception):
            self._connection.terminate()
            self._loop.run_until_complete(_finish())
        self._loop.close()

    def cancel(self) -> None:
        """Ends what runs, from another thread: the statement raises `StoreUnavailable`."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._connection.terminate)

    def _run(self, work: Callable[[], Awaitable[Result]]) -> Result:
        async def task() -> Result:
            if self._is_in_transaction or not self.target.is_pooled:
                return await work()
            async with self._connection.transaction():
                return await work()

        try:
            with translated(self.target):
                return self._loop.run_until_complete(task())
        except TookTooLong:
            self.faults += 1
            self._connection.terminate()  # the server may answer the next statement with what it owes for this one
            raise
        except BaseException as error:
            self.faults += 1
            if isinstance(error.__cause__, _CONFUSED):
                self._connection.terminate()
            raise

    def _values(self, statement: Statement, values: Row) -> list[object]:
        return [_clean(values[name]) for name in statement.parameters]

    def _fetch(self, statement: Statement, values: Row) -> list[Any]:
        found = self._run(lambda: self._connection.fetch(statement.postgres, *self._values(statement, values), timeout=self.timeout))
        if statement.is_change:
            self.changed += len(found)
        return found

    def rows(self, statement: Statement, values: Row, /) -> list[Row]:
        return [dict(record) for record in self._fetch(statement, values)]

    def sound_rows(self, statement: Statement, values: Row, /) -> list[Row | None]:
        return [dict(record) for record in self._fetch(statement, values)]

    def tuples(self, statement: Statement, values: Row, /) -> Iterable[tuple[Any, ...]]:
        return [tuple(record) for record in self._fetch(statement, values)]

    def row(self, statement: Statement, values: Row, /) -> Row | None:
        found = self._fetch(statement, values)
        return dict(found[0]) if found else None

    def value(self, statement: Statement, values: Row, /) -> Any:
        found = self._fetch(statement, values)
        return found[0][0] if found else None

    def change(self, statement: Statement, values: Row, /) -> int:
        if "RETURNING" in statement.postgres:
            return len(self._fetch(statement, values))
        tag = self._run(lambda: self._connection.execute(statement.postgres, *self._values(statement, values), timeout=self.timeout))
        number = int(tag.rpartition(" ")[2])
        self.changed += number
        return number

    def put(self, statement: Statement, rows: Sequence[Row], /) -> None:
        if rows:
            values = [self._values(statement, row) for row in rows]
            self._run(lambda: self._connection.executemany(statement.postgres, values, timeout=self.timeout))
            self.changed += len(rows)

    def follow_indexes(self) -> None:
        self.script(ALONG_INDEXES)

    def script(self, text: str) -> None:
        """Runs statements without parameters."""
        self._run(lambda: self._connection.execute(text, timeout=self.timeout))

    def begin(self, *, is_alone: bool = False) -> None:
        """Begins a transaction that writes. With `is_alone` it waits for the others that are, and they for it."""
        self._is_in_transaction = True
        alone = f"; SELECT pg_advisory_xact_lock({ALONE})" if is_alone else ""
        idle = f"SET LOCAL idle_in_transaction_session_timeout = {round(self._patience * 1000)}"
        self.script(f"BEGIN; {_limit(self.timeout)}; {idle}{alone}")

    def commit(self) -> None:
        """Commits."""
        self.script("COMMIT")
        self._is_in_transaction = False

    def roll_back(self) -> None:
        """Rolls back, if the connection is still there."""
        if self._is_in_transaction and not self.is_broken:
            with suppress(Exception):
                self.script("ROLLBACK")
        self._is_in_transaction = False

    @contextmanager
    def reading(self, seconds: float | None = None) -> Iterator[None]:
        """One read transaction: everything in it is as of its first statement. The server ends statements after `seconds`, by default after the
        connection's time-out.
        """
        self._is_in_transaction = True
        try:
            self.script(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_limit(seconds or self.timeout)}")
            yield
        finally:
            self.roll_back()
