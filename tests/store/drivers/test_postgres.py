"""Connections to PostgreSQL: what goes wrong is said in one sentence, without the password."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from sendryd.store.drivers.postgres import PostgresConnection, Target, TryAgain, is_pooled, translated
from sendryd.store.drivers.statement import Statement
from sendryd.store.errors import Conflict, NotAllowed, StoreError, StoreFull, StoreUnavailable, TookTooLong
from sendryd.store.postgres import migrate
from sendryd.testing.pgbouncer import shared_bouncer
from sendryd.testing.postgres import Server, free_port, make_folder_of_server, own_server, shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

TIMEOUT = 5.0
PASSWORD = "Correct-1"
SECRET = "Zebra-9"  # another password


def of(text: str) -> Statement:
    return Statement("test", text, text)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a role that has a password and may do nothing."""
    with own_server({"synchronous_commit": "on"}) as made:
        made.run(f"CREATE ROLE limited LOGIN PASSWORD '{PASSWORD}'")
        made.run("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        rules = made.data / "pg_hba.conf"
        rules.write_text("host all limited 127.0.0.1/32 scram-sha-256\n" + rules.read_text("utf-8"), "utf-8")
        made.stop()
        made.start(made.port)
        yield made


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    made = server.new_database()
    yield made
    server.drop_database(made)


def as_role(server: Server, database: str, role: str, password: str = PASSWORD) -> Target:
    return Target(f"postgresql://{role}:{password}@127.0.0.1:{server.port}/{database}", "db.example/mail")


def fault_of(target: Target, *statements: str) -> str:
    """The sentence about what fails."""
    with pytest.raises(StoreUnavailable) as caught:
        connection = PostgresConnection(target, TIMEOUT)
        try:
            for statement in statements:
                connection.change(of(statement), {})
        finally:
            connection.close()
    sentence = str(caught.value)
    assert "\n" not in sentence
    for password in (PASSWORD, SECRET):
        assert password not in sentence + repr(caught.value)
    return sentence


def test_a_wrong_password(server: Server) -> None:
    fault = fault_of(as_role(server, "postgres", "limited", SECRET))
    assert fault == 'the database at db.example/mail refuses the role: password authentication failed for user "limited"'


def test_a_role_that_does_not_exist(server: Server) -> None:
    fault = fault_of(as_role(server, "postgres", "nobody"))
    assert fault == 'the database at db.example/mail refuses the role: role "nobody" does not exist'


def test_a_database_that_does_not_exist(server: Server) -> None:
    fault = fault_of(as_role(server, "missing", "limited"))
    assert fault == 'the database at db.example/mail does not exist: database "missing" does not exist; create it'


def test_a_port_that_nothing_listens_at() -> None:
    fault = fault_of(Target(f"postgresql://limited:{SECRET}@127.0.0.1:{free_port()}/mail", "db.example/mail"))
    assert fault == "the database at db.example/mail cannot be reached: Connection refused"


def test_a_host_that_has_no_address() -> None:
    fault = fault_of(Target(f"postgresql://limited:{SECRET}@nothing.invalid/mail", "db.example/mail"))
    assert fault.startswith("the database at db.example/mail cannot be reached: ")


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    fault = fault_of(Target(f"postgresql://limited:{SECRET}@/mail?host={tmp_path}", "db.example/mail"))
    assert fault == "the database at db.example/mail cannot be reached: No such file or directory"


def test_a_role_without_rights(server: Server, database: str) -> None:
    fault = fault_of(as_role(server, database, "limited"), "UPDATE account SET name = 'x'")
    assert fault == (
        "the role may not do this in the database at db.example/mail: permission denied for table account; let it own the database"
    )


def test_a_server_that_takes_no_changes(server: Server, database: str) -> None:
    server.run(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    fault = fault_of(server.target(database), "UPDATE account SET name = 'x'")
    assert fault == (
        f"the database at 127.0.0.1:{server.port}/{database} takes no changes: cannot execute UPDATE in a read-only transaction; "
        "connect to the primary server"
    )


def test_a_database_without_the_tables(server: Server, database: str) -> None:
    fault = fault_of(server.target(database), "UPDATE absent SET name = 'x'")
    assert fault == (
        f'the database at 127.0.0.1:{server.port}/{database} is not sendryd\'s, or is empty: relation "absent" does not exist; '
        "restore it, or run `sendryd migrate`"
    )


def test_no_connection_is_left(server: Server) -> None:
    fault = fault_of(as_role(server, "postgres", "crowded"))
    assert fault == 'the database at db.example/mail cannot be reached: too many connections for role "crowded"'


def test_a_session_that_the_server_ends(server: Server, database: str) -> None:
    connection = PostgresConnection(server.target(database), TIMEOUT)
    number = connection.value(of("SELECT pg_backend_pid()"), {})
    server.run(f"SELECT pg_terminate_backend({number}, 5000)")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        connection.value(of("SELECT 1"), {})
    assert connection.is_broken
    connection.close()


def test_a_connection_that_the_driver_has_a_wrong_view_of_is_not_used_again(server: Server, database: str) -> None:
    connection = PostgresConnection(server.target(database), TIMEOUT)
    with pytest.raises(StoreUnavailable):
        connection.value(of("SELECT $1::integer"), {})  # without a value, of which the driver complains
    assert connection.is_broken
    connection.close()


@pytest.mark.needs("root")
def test_a_process_that_stops_in_a_transaction_does_not_stop_the_others(server: Server, database: str) -> None:
    stopped = PostgresConnection(server.target(database), TIMEOUT, patience=0.2)
    other = PostgresConnection(server.target(database), TIMEOUT)
    stopped.begin(is_alone=True)
    other.begin(is_alone=True)  # once the server has ended the first
    other.commit()
    with pytest.raises(StoreUnavailable):
        stopped.commit()
    for connection in (stopped, other):
        connection.close()


def test_a_full_disk(server: Server, database: str) -> None:
    folder = make_folder_of_server()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False, capture_output=True)
        if mounted.returncode:
            pytest.skip("may not mount")
        try:
            shutil.chown(folder, server.data.owner())
            server.run(f"CREATE TABLESPACE small LOCATION '{folder}'")
            server.run("CREATE TABLE filled (data TEXT) TABLESPACE small", database)
            connection = PostgresConnection(server.target(database), TIMEOUT)
            with pytest.raises(StoreFull, match=f"the database at {connection.target} is full: could not extend file"):
                connection.change(of("INSERT INTO filled SELECT repeat('x', 1000) FROM generate_series(1, 5000)"), {})
            assert not connection.is_broken
            connection.close()
            server.run("DROP TABLE filled", database)
            server.run("DROP TABLESPACE small")
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        folder.rmdir()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.UniqueViolationError("x"), Conflict),
        (asyncpg.RaiseError("x"), NotAllowed),
        (asyncpg.DeadlockDetectedError("x"), TryAgain),
        (asyncpg.SerializationError("x"), TryAgain),
        (asyncpg.QueryCanceledError("x"), TookTooLong),
        (TimeoutError(), TookTooLong),
        (asyncpg.DiskFullError("x"), StoreFull),
        (asyncpg.OutOfMemoryError("x"), StoreFull),
        (asyncpg.CannotConnectNowError("x"), StoreUnavailable),
        (asyncpg.AdminShutdownError("x"), StoreUnavailable),
        (asyncpg.PostgresIOError("x"), StoreUnavailable),
        (asyncpg.InternalServerError("x"), StoreUnavailable),
        (ConnectionResetError(), StoreUnavailable),
        (asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"), StoreUnavailable),
    ],
)
def test_errors_become_those_of_the_store(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected), translated(Target("postgresql://x", "x")):
        raise error


def test_what_is_wrong_with_a_statement_is_a_bug_and_stays_one() -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError), translated(Target("postgresql://x", "x")):
        raise asyncpg.PostgresSyntaxError("x")
    assert not issubclass(asyncpg.PostgresSyntaxError, StoreError)


def test_a_target_shows_no_password() -> None:
    target = Target(f"postgresql://limited:{SECRET}@db.example/mail", "db.example/mail")
    assert SECRET not in f"{target} {target!r}"


async def test_a_direct_connection_is_not_pooled(server: Server) -> None:
    assert not await is_pooled(server.target("postgres"))


@pytest.mark.needs("pgbouncer")
async def test_a_connection_through_pgbouncer_is_pooled() -> None:
    assert await is_pooled(shared_bouncer().target("postgres"))


@pytest.mark.needs("pgbouncer")
def test_nothing_is_left_behind_in_a_pooled_session() -> None:
    found = shared_server().new_database()
    target = shared_bouncer().target(found)
    assert asyncio.run(migrate.pending(target)) == []
    connections = [PostgresConnection(replace(target, is_pooled=True), TIMEOUT) for _ in range(2)]
    for connection in connections:
        connection.begin(is_alone=True)
        connection.commit()
        with connection.reading(1.0):
            assert connection.value(of("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"), {}) == 0
        settings = "SELECT current_setting('statement_timeout'), current_setting('jit'), current_setting('application_name')"
        assert connection.tuples(of(settings), {}) == [("0", "on", "")]
        connection.close()
    shared_server().drop_database(found)


def test_sums_and_averages_are_numbers(server: Server) -> None:
    connection = PostgresConnection(server.target("postgres"), TIMEOUT)
    statement = of("SELECT sum(n::bigint), avg(n), sum(n / 2.0), 'NaN'::numeric > 0 FROM generate_series(1, 3) AS n")
    assert connection.tuples(statement, {}) == [(6, 2.0, 3.0, True)]
    connection.close()
