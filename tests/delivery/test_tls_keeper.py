"""Which hosts do TLS is stored, and read at the next start."""

from datetime import timedelta

import pytest

from sendryd.delivery.tls_keeper import TlsKeeper
from sendryd.delivery.tls_memory import WORKING_TIME, TlsMemory
from sendryd.policy.tls import ENCRYPTED, OPPORTUNISTIC
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock


async def test_what_was_learned_is_stored_seldom_and_read_at_the_next_start() -> None:
    store, clock, memory = MemoryStore(), ManualClock(), TlsMemory()
    keeper = TlsKeeper(store, memory, clock)
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    await keeper.store()
    first = await store.list_tls_hosts()
    assert first == [("a.test", clock.now())]
    clock.advance(timedelta(minutes=5))
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    await keeper.store()
    assert await store.list_tls_hosts() == first
    clock.advance(timedelta(hours=1))
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    memory.note_working("b.test", clock.monotonic(), is_weak=True)
    await keeper.store()
    assert [host for host, _ in await store.list_tls_hosts()] == ["a.test", "b.test"]
    clock.advance(timedelta(seconds=WORKING_TIME / 2))
    again = TlsMemory()
    await TlsKeeper(store, again, clock).load()
    for each in (memory, again):
        for moment, tls in ((0.0, ENCRYPTED), (WORKING_TIME / 2 + 1, OPPORTUNISTIC)):
            assert each.requirement("a.test", clock.monotonic() + moment, is_retry=False) == tls
    assert again.take_unstored() == {}
    clock.advance(timedelta(days=2))
    again.note_working("c.test", clock.monotonic(), is_weak=False)
    await TlsKeeper(store, again, clock).store()
    assert [host for host, _ in await store.list_tls_hosts()] == ["c.test"]


@pytest.mark.parametrize("leap", [timedelta(days=-9), timedelta(days=9)])
async def test_a_clock_that_is_set_forgets_no_host(leap: timedelta) -> None:
    store, clock, memory = MemoryStore(), ManualClock(), TlsMemory()
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    await TlsKeeper(store, memory, clock).store()
    clock.set_wall(clock.now() + leap)
    again = TlsMemory()
    await TlsKeeper(store, again, clock).load()
    assert again.requirement("a.test", clock.monotonic(), is_retry=True) == ENCRYPTED


async def test_what_the_store_does_not_take_is_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("locked")

    store, clock, memory = MemoryStore(), ManualClock(), TlsMemory()
    keeper = TlsKeeper(store, memory, clock)
    memory.note_working("a.test", clock.monotonic(), is_weak=False)
    with monkeypatch.context() as patch:
        patch.setattr(store, "note_tls_hosts", refuse)
        patch.setattr(store, "list_tls_hosts", refuse)
        await keeper.store()
        await keeper.load()
    await keeper.store()
    assert [host for host, _ in await store.list_tls_hosts()] == ["a.test"]


async def test_what_other_processes_have_found_is_read_and_forgets_nothing_newer() -> None:
    store, clock, memories = MemoryStore(), ManualClock(), [TlsMemory() for _ in range(2)]
    keepers = [TlsKeeper(store, memory, clock) for memory in memories]
    memories[0].note_working("a.test", clock.monotonic(), is_weak=False)
    await keepers[0].store()
    await keepers[1].load()
    assert memories[1].requirement("a.test", clock.monotonic(), is_retry=True) == ENCRYPTED
    clock.advance(timedelta(seconds=WORKING_TIME - 1))
    memories[1].note_working("a.test", clock.monotonic(), is_weak=False)
    await keepers[1].load()
    clock.advance(timedelta(seconds=WORKING_TIME - 1))
    assert memories[1].requirement("a.test", clock.monotonic(), is_retry=True) == ENCRYPTED
