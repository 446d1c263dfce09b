"""The named statements in PostgreSQL's words."""

import asyncio
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import asyncpg
import pytest

from sendryd.store.drivers.loading import load
from sendryd.store.drivers.statement import Statement
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

STORE = Path(str(resources.files("sendryd.store")))
# Other packages are of files of SQLite; of the derived one, what is read of the server's database is the server's.
PACKAGES = ["postgres", *(f"sql.{path.parent.name}" for path in sorted(STORE.glob("sql/*/queries.sql")))]
OF_THE_FILE = re.compile(r"\b(progress|figure|activity|sqlite_schema)\b")  # its tables
FLAGS = {"is_failing", "is_failed", "is_last"}  # the store passes True or False: the driver takes nothing else for a boolean


def statements() -> Iterator[tuple[str, Statement]]:
    for package in PACKAGES:
        yield from ((f"{package} {name}", statement) for name, statement in load(f"sendryd.store.{package}").items())
    for name, statement in load("sendryd.store.derived").items():
        if not OF_THE_FILE.search(statement.sqlite):
            yield f"derived {name}", statement


def test_every_statement_fits_the_schema() -> None:
    server = shared_server()
    database = server.new_database()
    try:
        assert asyncio.run(refused(server.url(database))) == []
    finally:
        server.drop_database(database)


async def refused(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    found = []
    for name, statement in statements():
        try:
            prepared = await connection.prepare(statement.where("1 = 1").postgres)
        except asyncpg.PostgresError as error:
            found.append(f"{name}: {error}")
            continue
        kinds = zip(statement.parameters, prepared.get_parameters(), strict=True)
        found += [f"{name}: {parameter} is a boolean" for parameter, kind in kinds if kind.name == "bool" and parameter not in FLAGS]
    await connection.close()
    return found


def test_json_is_read_by_statements_that_the_server_could_work_off_in_parallel() -> None:
    server = shared_server()
    database = server.new_database()
    try:
        assert asyncio.run(counted(server.url(database))) == 5000
    finally:
        server.drop_database(database)


async def counted(url: str) -> int:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
        "CREATE TABLE document (text TEXT); INSERT INTO document VALUES ('none');"
        "INSERT INTO document SELECT '{\"a\":\"' || n || '\"}' FROM generate_series(1, 5000) AS n"
    )
    rows = await connection.fetch("SELECT count(CASE WHEN json_valid(text) THEN text ->> 'a' END) FROM document")
    await connection.close()
    return int(rows[0][0])
