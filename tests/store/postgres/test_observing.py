"""What is seen of a server, and what is wrong with it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from sendryd.runtime.clock import SystemClock
from sendryd.store.postgres.observing import observe_server
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

CLOCK = SystemClock()
ADD_NODE = (
    "INSERT INTO node (name, boot, place, roles, state, was_silent, last_seen) VALUES ('{}', {}, '', '', '{}', {}, now() - interval '{}')"
)


@pytest.fixture
async def database() -> AsyncIterator[str]:
    name = shared_server().new_database()
    yield name
    shared_server().drop_database(name)


async def test_a_database_that_can_be_used(database: str) -> None:
    found = await observe_server(shared_server().target(database), CLOCK.now)
    assert (found.fault, found.pending, found.is_standby, found.silent, found.oldest, found.bloated) == ("", 0, False, (), None, ())
    assert found.major >= 15
    assert found.version.startswith(f"{found.major}.")
    assert 0 < found.connections_left < found.max_connections == 300
    assert set(found.unsafe) == {"fsync", "synchronous_commit", "full_page_writes"}, "servers of tests are fast, not safe"


async def test_a_database_without_our_tables_lacks_migrations() -> None:
    name = "test_without_tables"
    shared_server().run(f"CREATE DATABASE {name}")
    found = await observe_server(shared_server().target(name), CLOCK.now)
    assert found.pending > 0
    shared_server().drop_database(name)


async def test_a_database_that_is_not_there_is_a_fault() -> None:
    found = await observe_server(shared_server().target("no_such"), CLOCK.now)
    assert "no_such" in found.fault


async def test_clocks_that_differ(database: str) -> None:
    target = shared_server().target(database)
    fast = await observe_server(target, lambda: CLOCK.now() + timedelta(seconds=90))
    slow = await observe_server(target, lambda: CLOCK.now() - timedelta(seconds=90))
    assert timedelta(seconds=80) < fast.ahead < timedelta(seconds=91)
    assert timedelta(seconds=80) < -slow.ahead < timedelta(seconds=91)


async def test_nodes_that_fell_silent_until_they_are_back(database: str) -> None:
    for values in (("a", 1, "up", False, "1 second"), ("b", 2, "gone", True, "1 hour"), ("c", 3, "gone", False, "1 hour")):
        shared_server().run(ADD_NODE.format(*values), database)
    target = shared_server().target(database)
    found = await observe_server(target, CLOCK.now)
    assert [each.name for each in found.silent] == ["b"]
    assert found.silent[0].silence > timedelta(minutes=59)
    assert found.nodes == 1
    shared_server().run(ADD_NODE.format("b", 4, "up", False, "1 second"), database)
    found = await observe_server(target, CLOCK.now)
    assert (found.silent, found.nodes) == ((), 2)


async def test_a_connection_that_waits_is_no_long_transaction(database: str) -> None:
    connection = await asyncpg.connect(shared_server().url(database))
    await connection.execute("BEGIN")
    found = await asyncio.wait_for(observe_server(shared_server().target(database), CLOCK.now), 60)
    assert found.oldest is None
    await connection.close()
