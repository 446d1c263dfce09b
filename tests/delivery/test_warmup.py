"""Counts of warming addresses: caps, restarts, days, bounds."""

from datetime import date, timedelta

import pytest

from sendryd.delivery.warmup import WarmUp
from sendryd.policy.egress import Source
from sendryd.runtime.clock import SystemClock
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock


def today() -> date:
    return SystemClock().settled().date()


def new(first_day: date | None = None) -> Source:
    return Source("192.0.2.1", "a.test", warmup_from=first_day or today())


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_an_address_may_send_its_cap_to_each_site(store: MemoryStore) -> None:
    warm_up = WarmUp(store, SystemClock())
    assert warm_up.take(new(), "Gmail", 49) == ""
    assert warm_up.take(new(), "Gmail", 2) == "warming up address 192.0.2.1: 49 of 50 today to Gmail"
    assert warm_up.take(new(), "Gmail", 1) == ""
    assert warm_up.take(new(), "Yahoo", 50) == ""


async def test_what_was_not_delivered_is_given_back(store: MemoryStore) -> None:
    warm_up = WarmUp(store, SystemClock())
    warm_up.take(new(), "Gmail", 50)
    warm_up.give_back(new(), "Gmail", 30)
    assert warm_up.take(new(), "Gmail", 30) == ""
    assert warm_up.take(new(), "Gmail", 1) != ""


async def test_the_counts_survive_a_restart(store: MemoryStore) -> None:
    before = WarmUp(store, SystemClock())
    before.take(new(), "Gmail", 50)
    await before.store()
    before.give_back(new(), "Gmail", 1)
    await before.store()
    after = WarmUp(store, SystemClock())
    await after.load()
    assert after.take(new(), "Gmail", 1) == ""
    assert after.take(new(), "Gmail", 1) == "warming up address 192.0.2.1: 50 of 50 today to Gmail"


async def test_what_could_not_be_stored_is_stored_later(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    warm_up = WarmUp(store, SystemClock())
    warm_up.take(new(), "Gmail", 3)
    with monkeypatch.context() as broken:

        async def fail(*_: object, **__: object) -> None:
            raise StoreUnavailable("locked")

        broken.setattr(store, "add_egress_counts", fail)
        await warm_up.store()
    warm_up.take(new(), "Gmail", 4)
    await warm_up.store()
    assert await store.list_egress_counts(today()) == {("192.0.2.1", "Gmail"): 7}


async def test_a_new_day_begins_with_more(store: MemoryStore) -> None:
    clock = ManualClock()
    source = Source("192.0.2.1", "a.test", warmup_from=clock.settled().date())
    warm_up = WarmUp(store, clock)
    assert warm_up.take(source, "Gmail", 50) == ""
    clock.advance(timedelta(seconds=warm_up.seconds_of_day_left() + 1))
    assert warm_up.take(source, "Gmail", 100) == ""
    assert warm_up.take(source, "Gmail", 1).endswith("100 of 100 today to Gmail")


async def test_an_address_waits_for_its_first_day(store: MemoryStore) -> None:
    tomorrow = today() + timedelta(days=1)
    assert WarmUp(store, SystemClock()).take(new(tomorrow), "Gmail", 1) == f"address 192.0.2.1 begins to warm up on {tomorrow}"


async def test_sites_beyond_the_limit_share_a_count(store: MemoryStore) -> None:
    warm_up = WarmUp(store, SystemClock(), max_sites=2)
    for number in range(2):
        assert warm_up.take(new(), f"site{number}", 1) == ""
    assert warm_up.take(new(), "site8", 30) == ""
    assert warm_up.take(new(), "site9", 30).endswith("30 of 50 today to this site")


async def test_an_address_without_a_ramp_is_not_counted(store: MemoryStore) -> None:
    warm_up = WarmUp(store, SystemClock())
    assert warm_up.take(Source("192.0.2.2", "b.test"), "Gmail", 1_000_000) == ""
    await warm_up.store()
    assert await store.list_egress_counts(today()) == {}


async def test_another_process_goes_on_from_what_was_counted(store: MemoryStore) -> None:
    first, second = (WarmUp(store, SystemClock()) for _ in range(2))
    await second.load()
    first.take(new(), "Gmail", 40)
    await first.store()
    second.take(new(), "Gmail", 8)
    await second.load()
    assert second.take(new(), "Gmail", 2) == ""
    assert second.take(new(), "Gmail", 1) == "warming up address 192.0.2.1: 50 of 50 today to Gmail"
    await second.store()
    assert await store.list_egress_counts(today()) == {("192.0.2.1", "Gmail"): 50}
