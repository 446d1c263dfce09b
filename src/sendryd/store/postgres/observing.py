"""What is seen of the server, for the examination of the installation. Works on a database that lacks migrations too."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sendryd.policy.health.server import LONG_TRANSACTION, MANY_DEAD, Bloated, LongTransaction, ServerState, SilentNode
from sendryd.store.drivers.postgres import Target, connect, translated
from sendryd.store.errors import StoreError
from sendryd.store.postgres import migrate

if TYPE_CHECKING:
    import asyncpg

TIMEOUT: Final = 10.0  # seconds for one look
SAFETY: Final = ("fsync", "synchronous_commit", "full_page_writes")
SETTINGS: Final = f"""SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('server_version') AS version,
    pg_is_in_recovery() AS is_standby, current_setting('max_connections')::int AS most,
    ARRAY(SELECT name FROM unnest(ARRAY{list(SAFETY)}) AS name WHERE current_setting(name) = 'off') AS unsafe,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - (SELECT sum(numbackends) FROM pg_stat_database)::int AS connections_left,
    (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS age"""
OLDEST: Final = """SELECT pid, application_name, clock_timestamp() - xact_start AS age FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL
    ORDER BY xact_start LIMIT 1"""
BLOATED: Final = """SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables
    WHERE n_dead_tup > $1 AND n_dead_tup > n_live_tup ORDER BY n_dead_tup DESC LIMIT 5"""
NODES: Final = """SELECT name, min(clock_timestamp() - last_seen) AS silence, bool_or(state <> 'gone') AS is_heard, bool_or(was_silent) AS was_silent
    FROM node GROUP BY name ORDER BY name"""


async def observe_server(target: Target, now: Callable[[], datetime]) -> ServerState:
    """Looks at the server. `now` is this machine's clock."""
    try:
        connection = await connect(Target(target.url, target.name, is_pooled=True))  # the sessions of one that is not serve too
        try:
            with translated(target):
                return await _observe(connection, target, now)
        finally:
            connection.terminate()
    except StoreError as error:
        return ServerState(name=str(target), fault=str(error))


async def _observe(connection: "asyncpg.Connection[Any]", target: Target, now: Callable[[], datetime]) -> ServerState:
    async with connection.transaction(readonly=True):
        settings = await connection.fetchrow(SETTINGS, timeout=TIMEOUT)
        before = now()
        there = await connection.fetchval("SELECT clock_timestamp()", timeout=TIMEOUT)
        after = now()
        pending = await migrate.lacking(connection)
        nodes = [] if pending else await connection.fetch(NODES, timeout=TIMEOUT)
        oldest = await connection.fetchrow(OLDEST, timeout=TIMEOUT)
        bloated = await connection.fetch(BLOATED, MANY_DEAD, timeout=TIMEOUT)
    assert settings is not None
    return ServerState(
        name=str(target),
        version=settings["version"].partition(" ")[0],
        major=settings["major"],
        pending=len(pending),
        is_standby=settings["is_standby"],
        unsafe=tuple(settings["unsafe"]),
        ahead=_difference(before, there, after),
        silent=tuple(SilentNode(name=row["name"], silence=row["silence"]) for row in nodes if row["was_silent"] and not row["is_heard"]),
        nodes=sum(row["is_heard"] for row in nodes),
        connections_left=settings["connections_left"],
        max_connections=settings["most"],
        oldest=_long(oldest) if oldest is not None and oldest["age"] > LONG_TRANSACTION else None,
        bloated=tuple(Bloated(name=row["relname"], dead=row["n_dead_tup"], living=row["n_live_tup"]) for row in bloated),
        age=settings["age"],
    )


def _difference(before: datetime, there: datetime, after: datetime) -> timedelta:
    """How far this machine's clock is ahead: none if the server's time lies between the question and the answer."""
    if there < before:
        return before - there
    return after - there if there > after else timedelta()


def _long(row: "asyncpg.Record") -> LongTransaction:
    return LongTransaction(process=row["pid"], age=row["age"], program=row["application_name"])
