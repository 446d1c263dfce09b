"""The named statements in PostgreSQL's words."""

import asyncio
from importlib import resources
from pathlib import Path

import asyncpg
import pytest

from sendryd.store.drivers.loading import load
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

STORE = Path(str(resources.files("sendryd.store")))
# The other packages are of files of SQLite.
PACKAGES = ["postgres", *(f"sql.{path.parent.name}" for path in sorted(STORE.glob("sql/*/queries.sql")))]


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
    for package in PACKAGES:
        for name, statement in load(f"sendryd.store.{package}").items():
            try:
                await connection.prepare(statement.where("1 = 1").postgres)
            except asyncpg.PostgresError as error:
                found.append(f"{package} {name}: {error}")
    await connection.close()
    return found
