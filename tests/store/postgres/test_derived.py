"""The derived file of a machine follows the server's database, which may be gone for some time."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import asyncpg
import pytest

from sendryd.store.derived.file import FILE_NAME
from sendryd.store.errors import StoreUnavailable
from sendryd.store.postgres.store import open_store
from sendryd.testing.postgres import shared_server
from sendryd.testing.samples import ACCOUNT, NOW, Samples

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

UNTIL = NOW + timedelta(days=1)


@pytest.fixture
async def database() -> AsyncIterator[str]:
    made = shared_server().new_database()
    yield made
    shared_server().drop_database(made)


async def test_following_goes_on_after_the_session_has_ended(database: str, tmp_path: Path, samples: Samples) -> None:
    store = await open_store(shared_server().target(database), tmp_path, monotonic=monotonic)
    await store.ensure_account(ACCOUNT, "default", NOW)
    await store.accept(samples.message())
    await store.follow(until=UNTIL, limit=10)
    file = (tmp_path / FILE_NAME).stat().st_ino
    shared_server().run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'")
    with pytest.raises(StoreUnavailable):
        await store.follow(until=UNTIL, limit=10)
    await store.follow(until=UNTIL, limit=10)
    assert (tmp_path / FILE_NAME).stat().st_ino == file
    await store.aclose()


async def test_a_first_step_that_fails_costs_no_derived_file(database: str, tmp_path: Path, samples: Samples) -> None:
    target = shared_server().target(database)
    store = await open_store(target, tmp_path, monotonic=monotonic)
    await store.ensure_account(ACCOUNT, "default", NOW)
    await store.accept(samples.message())
    await store.follow(until=UNTIL, limit=10)
    await store.aclose()
    file = (tmp_path / FILE_NAME).stat().st_ino
    store = await open_store(target, tmp_path, monotonic=monotonic, timeout=0.3)
    locking = await asyncpg.connect(target.url)
    async with locking.transaction():
        await locking.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await store.follow(until=UNTIL, limit=10)
    await locking.close()
    await store.follow(until=UNTIL, limit=10)
    assert (tmp_path / FILE_NAME).stat().st_ino == file
    await store.aclose()


async def test_changes_of_messages_stay_for_the_indexes_of_other_machines(database: str, tmp_path: Path, samples: Samples) -> None:
    store = await open_store(shared_server().target(database), tmp_path, monotonic=monotonic)
    await store.ensure_account(ACCOUNT, "default", NOW)
    message = samples.message()
    await store.accept(message)
    connection = await asyncpg.connect(shared_server().url(database))
    await connection.execute("INSERT INTO amended (message_id) VALUES ($1)", message.message.id)
    await store.follow(until=UNTIL, limit=10)
    await store.prune_derived(UNTIL)
    assert await connection.fetchval("SELECT count(*) FROM amended") == 1
    await connection.execute("UPDATE amended SET amended_at = now() - interval '8 days'")
    await store.prune_derived(UNTIL)
    assert await connection.fetchval("SELECT count(*) FROM amended") == 0
    await connection.close()
    await store.aclose()
