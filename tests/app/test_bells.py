"""Doorbells that ring in all processes of a cluster."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest

from sendryd.app.cluster import DELIVERY, WEBHOOKS
from sendryd.app.nodes import ManyNodes
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.scheduler import Scheduler
from sendryd.runtime.clock import SystemClock
from sendryd.store.base import Owner
from sendryd.store.drivers.postgres import Target
from sendryd.store.postgres.database import PostgresDatabase
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.store.sql.mail.batch import Rows
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def database() -> str:
    return shared_server().new_database()


@pytest.fixture
async def stores(database: str, tmp_path: Path) -> AsyncIterator[list[PostgresStore]]:
    made = [await open_store(shared_server().target(database), tmp_path / name, monotonic=monotonic) for name in ("a", "b")]
    yield made
    for store in made:
        await store.aclose()
    shared_server().drop_database(database)


@pytest.fixture
async def nodes(stores: list[PostgresStore]) -> AsyncIterator[list[ManyNodes]]:
    """Two processes whose bells run."""
    found = [ManyNodes(store, Owner(node=f"n{number}", boot=number), SystemClock(), f"p{number}") for number, store in enumerate(stores)]
    tasks = []
    for node in found:
        bells = [node.doorbell_here(kind) for kind in (DELIVERY, WEBHOOKS)]
        tasks.append(asyncio.create_task(node.bells.run()))
        assert [await bell.wait(None) for bell in bells] == [True, True], "it listens from now on"
    yield found
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_one_process_sets_wakes_the_others(nodes: list[ManyNodes]) -> None:
    first, second = nodes
    first.doorbell(DELIVERY).set()
    assert await second.doorbell_here(DELIVERY).wait(None)
    assert not await second.doorbell_here(WEBHOOKS).wait(0)
    assert await first.doorbell_here(DELIVERY).wait(0), "waiters of the same process are woken at once"
    second.doorbell(WEBHOOKS).set()
    assert await first.doorbell_here(WEBHOOKS).wait(None)
    assert not await first.doorbell_here(DELIVERY).wait(0), "a process does not hear itself"


async def test_what_is_set_here_alone_wakes_no_other(nodes: list[ManyNodes]) -> None:
    first, second = nodes
    first.doorbell_here(DELIVERY).set()
    first.doorbell(WEBHOOKS).set()
    assert await second.doorbell_here(WEBHOOKS).wait(None)
    assert not await second.doorbell_here(DELIVERY).wait(0)


async def test_handing_over_rings_at_the_others_alone(nodes: list[ManyNodes]) -> None:
    first, second = nodes
    first.ring()
    assert await second.doorbell_here(DELIVERY).wait(None)
    assert not await first.doorbell_here(DELIVERY).wait(0)


async def test_many_sets_are_few_rings(nodes: list[ManyNodes], stores: list[PostgresStore]) -> None:
    first, second = nodes
    rung: list[str] = []
    line = await stores[1].open_line(rung.append, lambda: None)
    for _ in range(1000):
        first.doorbell(DELIVERY).set()
    first.doorbell(WEBHOOKS).set()
    assert await second.doorbell_here(WEBHOOKS).wait(None)
    second.doorbell(WEBHOOKS).set()
    assert await first.doorbell_here(WEBHOOKS).wait(None)
    assert len(rung) <= 3
    assert line is not None
    line.close()


async def test_a_connection_that_was_lost_is_made_again(nodes: list[ManyNodes], database: str) -> None:
    first, second = nodes
    shared_server().run(TERMINATE, database)
    for node in nodes:
        assert await node.doorbell_here(DELIVERY).wait(None), "what was rung meanwhile may have been missed"
    first.doorbell(DELIVERY).set()
    assert await second.doorbell_here(DELIVERY).wait(None)


async def test_through_a_pooler_nothing_is_heard(database: str, tmp_path: Path) -> None:
    target = Target(shared_server().url(database), "pooled", is_pooled=True)
    store = PostgresStore(PostgresDatabase(target, Rows, monotonic), tmp_path, None)
    assert await store.open_line(lambda _: None, lambda: None) is None
    await store.aclose()
    shared_server().drop_database(database)


async def test_a_process_exchanges_what_is_known_of_sites_when_its_shares_change(nodes: list[ManyNodes]) -> None:
    done = [asyncio.Event() for _ in nodes]

    class NoScheduler:
        shares = None

        def busy_sites(self) -> frozenset[str]:
            return frozenset()

        def use_shares(self) -> None:
            """Nothing waits."""

    class NoConnections:
        def count_kept(self, _is_counted: object) -> int:
            return 0

        def close_idle(self) -> None:
            """None idles."""

    async def exchange(number: int, _has_gained: object) -> None:
        done[number].set()

    first, second = nodes
    await first.join(("delivery",))
    await second.join(("delivery",))
    for number, node in enumerate(nodes):
        node.attend(cast("Scheduler", NoScheduler()), cast("ConnectionPool[Any]", NoConnections()), partial(exchange, number))
    tasks = [asyncio.create_task(node.run()) for node in nodes]
    async with asyncio.timeout(30):
        for each in done:
            await each.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert second.owns("*")
