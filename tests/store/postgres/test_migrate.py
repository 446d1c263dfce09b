"""Migrations of the server's database."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from sendryd.store.drivers.postgres import Target
from sendryd.store.errors import SchemaMismatch
from sendryd.store.postgres import migrate
from sendryd.store.postgres.store import open_store
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

EMPTY = "test_migrate_empty"


@pytest.fixture
def target() -> Iterator[Target]:
    """A database without tables."""
    server = shared_server()
    server.run(f"CREATE DATABASE {EMPTY}")
    yield server.target(EMPTY)
    server.drop_database(EMPTY)


def names(migrations: list[migrate.Migration]) -> list[str]:
    return [each.name for each in migrations]


async def test_an_empty_database_lacks_all_and_gets_all_once(target: Target) -> None:
    everything = names(list(migrate.all_migrations()))
    assert everything[0] == "0001_initial"
    assert names(await migrate.pending(target)) == everything
    assert names(await migrate.apply(target)) == everything
    assert await migrate.pending(target) == []
    assert await migrate.apply(target) == []


async def test_of_several_processes_one_applies_them(target: Target) -> None:
    applied = await asyncio.gather(*(migrate.apply(target) for _ in range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrate.all_migrations())]
    assert await migrate.pending(target) == []


async def test_a_store_is_not_opened_before_its_migrations(target: Target, tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"lacks \d+ migration\(s\): run `sendryd migrate`"):
        await open_store(target, tmp_path, monotonic=monotonic)


async def test_a_database_of_a_newer_version_is_refused(target: Target, tmp_path: Path) -> None:
    await migrate.apply(target)
    shared_server().run("INSERT INTO migration (number, name, checksum) VALUES (9999, '9999_later', 'x')", EMPTY)
    message = r"a newer version of sendryd has changed the database \(9999_later\): install that version"
    for act in (migrate.pending, migrate.apply):
        with pytest.raises(SchemaMismatch, match=message):
            await act(target)
    with pytest.raises(SchemaMismatch, match=message):
        await open_store(target, tmp_path, monotonic=monotonic)


async def test_a_database_of_another_version_is_refused(target: Target) -> None:
    await migrate.apply(target)
    shared_server().run("UPDATE migration SET checksum = 'x' WHERE number = 1", EMPTY)
    with pytest.raises(SchemaMismatch, match="made by another version of sendryd: 0001_initial differs"):
        await migrate.apply(target)


async def test_a_migration_that_fails_leaves_nothing(target: Target) -> None:
    shared_server().run("CREATE TABLE webhook (x int)", EMPTY)
    with pytest.raises(Exception, match="webhook"):
        await migrate.apply(target)
    shared_server().run("DROP TABLE webhook", EMPTY)
    assert names(await migrate.apply(target)) == names(list(migrate.all_migrations()))
