"""Look-ups of the server's database, and what texts and contents may hold."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from sendryd.store.drivers.sizes import USUAL
from sendryd.store.drivers.statement import Statement
from sendryd.store.errors import ContentDamaged, StoreUnavailable, TookTooLong
from sendryd.store.postgres.contents import PIECE
from sendryd.store.postgres.database import PostgresDatabase
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.store.sql.mail.batch import Rows
from sendryd.testing.postgres import shared_server
from sendryd.testing.samples import ACCOUNT, NOW, Samples

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

MEGABYTES = 20


def of(text: str) -> Statement:
    return Statement("test", text, text)


ASLEEP = of(
    "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT 1 FROM pg_sleep(60)' AND state = 'active' AND datname = current_database()"
)
SLEEP = of("SELECT 1 FROM pg_sleep(60)")


@pytest.fixture
async def name() -> AsyncIterator[str]:
    made = shared_server().new_database()
    yield made
    shared_server().drop_database(made)


@pytest.fixture
async def database(name: str) -> AsyncIterator[PostgresDatabase]:
    made = PostgresDatabase(shared_server().target(name), Rows, monotonic, sizes=replace(USUAL, search_seconds=0.3), timeout=0.5)
    yield made
    await made.aclose()


@pytest.fixture
async def store(name: str, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    made = await open_store(shared_server().target(name), tmp_path, monotonic=monotonic)
    await made.ensure_account(ACCOUNT, "default", NOW)
    yield made
    await made.aclose()


async def nothing_sleeps(database: PostgresDatabase) -> None:
    while await database.read_value(ASLEEP):
        pass


async def test_a_search_that_takes_too_long_is_ended_at_the_server_too(database: PostgresDatabase) -> None:
    with pytest.raises(TookTooLong):
        await database.search(lambda connection: connection.rows(SLEEP, {}))
    await nothing_sleeps(database)
    assert await database.search(lambda connection: connection.value(of("SELECT 1"), {})) == 1


async def test_a_search_that_nobody_waits_for_is_ended(database: PostgresDatabase) -> None:
    search = asyncio.create_task(database.search(lambda connection: connection.rows(SLEEP, {})))
    while not await database.read_value(ASLEEP):
        if search.done():  # its time was over before a busy machine looked
            assert isinstance(search.exception(), TookTooLong)
            search = asyncio.create_task(database.search(lambda connection: connection.rows(SLEEP, {})))
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    await nothing_sleeps(database)


async def test_a_look_up_that_is_not_answered_in_time_is_a_fault_of_the_database(database: PostgresDatabase) -> None:
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await database.read(lambda connection: connection.rows(SLEEP, {}))
    await nothing_sleeps(database)
    assert await database.read_value(of("SELECT 1")) == 1


async def test_a_change_that_is_not_answered_in_time_fails_and_ends_at_the_server(database: PostgresDatabase) -> None:
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await database.change(SLEEP)
    await nothing_sleeps(database)
    await database.touch()


async def test_a_text_with_nul_is_stored_without_it(store: PostgresStore, samples: Samples) -> None:
    message = samples.message(subject="one\x00two")
    await store.accept(message)
    found = await store.get_message(ACCOUNT, message.message.id)
    assert found is not None
    assert found.message.subject == "one\ufffdtwo"


async def test_a_large_content_is_read_in_pieces(store: PostgresStore, samples: Samples) -> None:
    content = bytes(range(256)) * 4096 * MEGABYTES
    message = samples.message(content=content)
    await store.accept(message)
    size, checksum = 0, 0
    async for piece in store.stream_content(message.message.id):
        assert 0 < len(piece) <= PIECE
        size, checksum = size + len(piece), zlib.crc32(piece, checksum)
    assert (size, checksum) == (len(content), zlib.crc32(content))
    assert await store.read_content(message.message.id) == content


async def test_a_content_that_was_damaged_is_not_taken_for_whole(store: PostgresStore, samples: Samples, name: str) -> None:
    message = samples.message(content=b"x" * 3 * PIECE)
    await store.accept(message)
    shared_server().run("UPDATE content SET data = set_byte(data, 100000, 0)", name)
    with pytest.raises(ContentDamaged):
        await store.read_content(message.message.id)
    with pytest.raises(ContentDamaged):
        async for _ in store.stream_content(message.message.id):
            pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"host":"mx.example"}', ("mx.example",)),
        ('{"host":"a\\u0000b"}', ("a\ufffdb",)),
        ('{"host":"a\\udc80b","x":1}', ("a\ufffdb",)),
        ('{"host":"a\\ud83db"}', ("a\ufffdb",)),
        ('{"host":"\\ud83d\\ude00"}', ("\U0001f600",)),
        ('{"host":null}', (None,)),
        ("{}", (None,)),
        ("no JSON", ("invalid",)),
    ],
)
async def test_json_is_read_with_what_no_text_of_the_server_can_hold(database: PostgresDatabase, text: str, expected: tuple[Any]) -> None:
    query = of("SELECT CASE WHEN json_valid(CAST(:text AS TEXT)) THEN CAST(:text AS TEXT) ->> 'host' ELSE 'invalid' END")
    assert (await database.read_value(query, text=text),) == expected
