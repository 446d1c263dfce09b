"""Each statement is one that the server understands, with types for all parameters."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from sendryd.store.derived.queries import SQL as DERIVED
from sendryd.store.drivers.statement import Statement
from sendryd.store.postgres.queries import SQL as POSTGRES
from sendryd.store.sql.accounts.queries import SQL as ACCOUNTS
from sendryd.store.sql.bulk.queries import SQL as BULK
from sendryd.store.sql.health.queries import SQL as HEALTH
from sendryd.store.sql.inbound.queries import SQL as INBOUND
from sendryd.store.sql.lists.queries import SQL as LISTS
from sendryd.store.sql.mail.queries import SQL as MAIL
from sendryd.store.sql.people.queries import SQL as PEOPLE
from sendryd.store.sql.replies.queries import SQL as REPLIES
from sendryd.store.sql.reports.queries import SQL as REPORTS
from sendryd.store.sql.templates.queries import SQL as TEMPLATES
from sendryd.store.sql.webhooks.queries import SQL as WEBHOOKS
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

PARTS = (POSTGRES, ACCOUNTS, BULK, HEALTH, INBOUND, LISTS, MAIL, PEOPLE, REPLIES, REPORTS, TEMPLATES, WEBHOOKS)
OF_THE_FILE = {"progress", "figure", "activity", "sqlite_schema"}  # tables of the derived file, which is one of SQLite
FLAGS = {"is_failing", "is_failed", "is_last"}  # the store passes True or False


def all_statements() -> list[Statement]:
    followed = [each for each in DERIVED.values() if not OF_THE_FILE.intersection(each.sqlite.replace(";", " ").split())]
    return [*(each for part in PARTS for each in part.values()), *followed]


@pytest.fixture
async def connection() -> AsyncIterator["asyncpg.Connection[Any]"]:
    name = shared_server().new_database()
    made = await asyncpg.connect(shared_server().url(name))
    yield made
    await made.close()
    shared_server().drop_database(name)


async def test_the_server_understands_every_statement(connection: "asyncpg.Connection[Any]") -> None:
    refused = {}
    for statement in all_statements():
        try:
            await connection.prepare(statement.where("TRUE").postgres)
        except asyncpg.PostgresError as error:
            refused[statement.name] = str(error)
    assert refused == {}


async def test_a_flag_is_never_a_boolean_to_the_server_where_code_passes_a_number(connection: "asyncpg.Connection[Any]") -> None:
    """The driver takes True and False alone for a boolean."""
    found = set()
    for statement in all_statements():
        types = (await connection.prepare(statement.where("TRUE").postgres)).get_parameters()
        found.update(name for name, kind in zip(statement.parameters, types, strict=True) if kind.name == "bool")
    assert found <= FLAGS


async def test_statements_that_read_json_may_run_where_the_server_works_in_parallel(connection: "asyncpg.Connection[Any]") -> None:
    await connection.execute("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
    await connection.execute(
        "CREATE TABLE document (text TEXT); INSERT INTO document SELECT '{\"a\":\"' || n || '\"}' FROM generate_series(1, 5000) AS n; "
        "INSERT INTO document VALUES ('none')"
    )
    query = "SELECT count(CASE WHEN json_valid(text) THEN text ->> 'a' END) FROM document"
    assert await connection.fetchval(query) == 5000
