"""A process among others: what it hands over, and when."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest

from sendryd.app.nodes import ManyNodes
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.scheduler import Scheduler
from sendryd.runtime.clock import SystemClock
from sendryd.store.base import Owner
from sendryd.store.base.nodes import SHARDS, shard_of
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

# Of the second half of the shards, which the first of two processes gives up.
SITE = next(name for name in (f"mx{number}.test+0" for number in range(1000)) if shard_of(name) >= SHARDS // 2)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[PostgresStore]:
    database = shared_server().new_database()
    made = await open_store(shared_server().target(database), tmp_path, monotonic=monotonic)
    yield made
    await made.aclose()
    shared_server().drop_database(database)


class Engine:
    """A delivery engine with sessions, whose connections idle in the pool once the sessions are over."""

    shares = None

    def __init__(self, *busy: str) -> None:
        self.busy = set(busy)
        self.is_connected = bool(busy)
        self.has_other_shares = asyncio.Event()

    async def await_share(self, node: ManyNodes, *, is_owner: bool = True) -> None:
        while node.owns(SITE) is not is_owner:
            self.has_other_shares.clear()
            await self.has_other_shares.wait()

    def busy_sites(self) -> frozenset[str]:
        return frozenset(self.busy)

    def use_shares(self) -> None:
        self.has_other_shares.set()

    def close_idle(self) -> None:
        self.is_connected = bool(self.busy)

    def count_idle(self) -> int:
        return 0


async def exchange(_is_gained: Callable[[str], bool]) -> None:
    """Nothing is known of sites."""


async def test_connections_that_idled_after_their_last_session_are_closed_before_another_process_serves_the_site(
    store: PostgresStore,
) -> None:
    nodes = [ManyNodes(store, Owner(node=f"n{number}", boot=number), SystemClock(), f"p{number}") for number in range(2)]
    engines = [Engine(SITE), Engine()]
    for node, engine in zip(nodes, engines, strict=True):
        node.attend(cast("Scheduler", engine), cast("ConnectionPool[Any]", engine), exchange)
        await node.join(("delivery",))
    assert nodes[0].owns(SITE)
    tasks = [asyncio.create_task(node.run()) for node in nodes]
    async with asyncio.timeout(60):
        await engines[0].await_share(nodes[0], is_owner=False)
        engines[0].busy.clear()
        await engines[1].await_share(nodes[1])
    assert not engines[0].is_connected
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
