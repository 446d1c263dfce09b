"""The follower: figures appear soon after the facts, but not before their identifiers have settled."""

from datetime import timedelta

from sendryd.model.apikey import KeyMode
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.upkeep.follower import LAG, Follower


async def test_mail_is_counted_once_its_identifier_is_old_enough() -> None:
    store, clock = MemoryStore(), ManualClock()
    now = clock.now()
    await store.accept(Samples(now).message(created_at=now))

    async def accepted() -> int:
        return sum(each.accepted for each in await store.list_minutes(ACCOUNT, KeyMode.LIVE, start=now - timedelta(hours=1), end=now + LAG))

    follower = Follower(store, clock=clock)
    await follower.run_once()
    assert await accepted() == 0
    clock.advance(LAG + timedelta(seconds=1))
    await follower.run_once()
    assert await accepted() == 1
