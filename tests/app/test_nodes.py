"""A process among others: what it hands over, and when."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
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

    def count_kept(self, _is_counted: object) -> int:
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


class OneHop:
    """A delivery engine that opens all sessions with the smart host that it may, and whose connections take a while to close."""

    def __init__(self, node: ManyNodes) -> None:
        self.node = node
        self.shares = self
        self.busy = self.kept = 0
        self.asks = False

    @property
    def open(self) -> int:
        return self.busy + self.kept

    def sessions_of_one_hop(self) -> int:
        return self.busy

    def busy_sites(self) -> frozenset[str]:
        return frozenset()

    def use_shares(self) -> None:
        if self.asks:
            self.busy = max(self.busy, self.node.share(MOST) - self.kept)

    def close_idle(self) -> None:
        """Its server still counts what says goodbye."""

    def count_kept(self, _is_counted: object) -> int:
        return self.kept


MOST = 20


@pytest.mark.parametrize("seed", range(6))
async def test_all_processes_together_have_no_more_sessions_with_a_smart_host_than_one_may_have(store: PostgresStore, seed: int) -> None:
    chance = Random(seed)
    engines: list[OneHop] = []

    async def come() -> None:
        number = len(engines)
        node = ManyNodes(store, Owner(node=f"n{number}", boot=number), SystemClock(), f"p{number}")
        engines.append(OneHop(node))
        node.attend(cast("Scheduler", engines[-1]), cast("ConnectionPool[Any]", engines[-1]), exchange)
        await node.join(("delivery",))

    await come()
    for _ in range(200):
        engine = chance.choice(engines)
        match chance.randrange(12):
            case 0 if len(engines) < 5:
                await come()
            case 1 if len(engines) > 2 and chance.random() < 0.3:
                await store.ask_to_drain(f"n{chance.randrange(len(engines))}")
            case 2 | 3:
                engine.asks = True
            case 4 | 5:
                ended = chance.randint(0, engine.busy)
                engine.busy, engine.kept = engine.busy - ended, engine.kept + ended
            case 6 | 7:
                engine.kept = chance.randint(0, engine.kept)
            case _:
                await engine.node.beat()
        engine.use_shares()
        assert sum(each.open for each in engines) <= MOST
    left = [engine for engine in engines if not engine.node.is_draining]
    for engine in [*engines, *engines] * 3:
        engine.busy, engine.kept, engine.asks = 0, 0, engine in left
        await engine.node.beat()
        engine.use_shares()
    if left:
        assert sum(engine.node.share(MOST) for engine in left) == MOST, "those that drain leave their part to the others"
