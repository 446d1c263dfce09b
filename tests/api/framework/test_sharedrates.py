"""The rate limit of keys that use several processes of a cluster."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import monotonic

import pytest

from sendryd.api.framework.sharedrates import SharedRateLimits
from sendryd.policy.ratelimit import RateLimiter
from sendryd.store.errors import StoreUnavailable
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.testing.clock import ManualClock
from sendryd.testing.postgres import shared_server

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

COUNT, PERIOD = 10, 1e6  # a bucket that does not fill while a test runs


@pytest.fixture
def database() -> str:
    return shared_server().new_database()


@pytest.fixture
async def stores(database: str, tmp_path: Path) -> AsyncIterator[list[PostgresStore]]:
    """Two processes."""
    target = shared_server().target(database)
    made = [await open_store(target, tmp_path / name, monotonic=monotonic) for name in ("a", "b")]
    yield made
    for store in made:
        await store.aclose()
    shared_server().drop_database(database)


def limits_of(stores: Sequence[PostgresStore]) -> list[SharedRateLimits]:
    clock = ManualClock()
    return [SharedRateLimits(store, RateLimiter(COUNT, PERIOD), clock, count=COUNT, period=PERIOD) for store in stores]


def use(limits: SharedRateLimits, most: int = 10 * COUNT) -> int:
    """How many of so many requests are let through."""
    return sum(limits.take(1, 0.0).wait == 0 for _ in range(most))


async def test_what_is_used_at_one_process_is_used_at_the_others(stores: list[PostgresStore]) -> None:
    first, second = limits_of(stores)
    assert use(first, 6) == 6
    await first.exchange()
    await second.exchange()
    assert use(second) == 4
    await second.exchange()
    await first.exchange()
    assert use(first) == 0


async def test_a_process_that_never_saw_the_key_learns_of_it(stores: list[PostgresStore]) -> None:
    first, second = limits_of(stores)
    assert use(first) == COUNT
    await first.exchange()
    await second.exchange()
    assert use(second) == 0


async def test_what_was_used_too_much_is_owed(stores: list[PostgresStore], database: str) -> None:
    first, second = limits_of(stores)
    assert (use(first), use(second)) == (COUNT, COUNT)
    for limits in (first, second, first):
        await limits.exchange()
    seconds = PERIOD / COUNT
    assert first.take(1, 0.0).wait == pytest.approx(second.take(1, 0.0).wait, rel=0.01)
    assert first.take(1, 0.0).wait == pytest.approx(11 * seconds, rel=0.01)
    shared_server().run(f"UPDATE rate_bucket SET counted_at = counted_at - make_interval(secs => {11 * seconds})", database)
    assert second.take(1, 0.0).wait > 0
    third = limits_of(stores)[0]
    assert use(third, 1) == 1
    await third.exchange()
    assert use(third) == 0


async def test_what_is_used_during_an_exchange_is_not_lost(stores: list[PostgresStore]) -> None:
    first, second = limits_of(stores)
    assert use(first, 2) == 2
    exchange = asyncio.create_task(first.exchange())
    await asyncio.sleep(0)  # it has begun
    assert use(first, 3) == 3
    await exchange
    assert use(first, 1) == 1
    for limits in (first, second):
        await limits.exchange()
    assert use(second) == 4


async def test_keys_do_not_share(stores: list[PostgresStore]) -> None:
    first, second = limits_of(stores)
    use(first)
    await first.exchange()
    await second.exchange()
    assert second.take(2, 0.0).wait == 0


async def test_while_the_database_is_away_each_process_limits_alone(stores: list[PostgresStore], database: str, tmp_path: Path) -> None:
    away = await open_store(shared_server().target(database), tmp_path / "c", monotonic=monotonic)
    first, second = limits_of([away, stores[0]])
    await away.aclose()
    assert use(first) == COUNT
    with pytest.raises(StoreUnavailable):
        await first.exchange()
    assert use(first) == 0
    assert use(second) == COUNT


async def test_keys_that_are_not_used_any_more_are_forgotten(stores: list[PostgresStore], database: str) -> None:
    first, second = limits_of(stores)
    use(first)
    await first.exchange()
    await stores[0].forget_counts()
    await second.exchange()
    assert use(second) == 0
    shared_server().run("UPDATE rate_bucket SET counted_at = counted_at - interval '2 days'", database)
    await stores[0].forget_counts()
    assert use(limits_of(stores)[1]) == COUNT
