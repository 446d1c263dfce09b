"""Batches of opens and clicks, and unsubscribes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.policy.tracking import UnsubscribeToken
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Engagement, Store
from sendryd.store.errors import StoreUnavailable
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT
from sendryd.tracking.recorder import BATCH, MAX_WAITING, Recorder, Seen

from .conftest import CHROME, TrackingWorld


class Weakness:
    """Stands before a store's `record_engagements`: can be down, and tells how it was asked."""

    def __init__(self, store: Store) -> None:
        self._record = store.record_engagements
        self.is_down = False
        self.batches: list[int] = []

    async def __call__(self, engagements: Sequence[Engagement]) -> int:
        if self.is_down:
            raise StoreUnavailable
        self.batches.append(len(engagements))
        return await self._record(engagements)


class TickingClock(ManualClock):
    """Whoever sleeps waits for the next tick."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = asyncio.Event()
        self._tick = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asleep.set()
        await self._tick.wait()
        self._tick.clear()
        await super().sleep(seconds)

    async def tick(self) -> None:
        """Lets the sleeper go, and waits until it sleeps again."""
        self.asleep.clear()
        self._tick.set()
        await self.asleep.wait()


@pytest.fixture
def weakness(tracking: TrackingWorld, monkeypatch: pytest.MonkeyPatch) -> Weakness:
    made = Weakness(tracking.store)
    monkeypatch.setattr(tracking.store, "record_engagements", made)
    return made


def seen(world: TrackingWorld, *, link: str | None = None, user_agent: str = CHROME, ip: str = "192.0.2.7") -> Seen:
    return Seen(delivery_id=world.delivery_id, link=link, user_agent=user_agent, ip=ip, is_prefetch=False, happened_at=world.clock.now())


async def judged(world: TrackingWorld, mode: KeyMode = KeyMode.LIVE) -> list[object]:
    return [event.metadata.get("clicked_by", event.metadata.get("opened_by")) for event in await world.events(mode)]


async def test_all_is_written_in_batches_in_order(tracking: TrackingWorld, weakness: Weakness) -> None:
    for number in range(2 * BATCH + 50):
        tracking.recorder.add(seen(tracking, link=f"https://example.com/{number}"))
    events = await tracking.events()
    assert [event.metadata["link"] for event in events] == [f"https://example.com/{number}" for number in range(2 * BATCH + 50)]
    assert weakness.batches == [BATCH, BATCH, 50]
    assert tracking.recorder.statistics() == {"waiting": 0, "recorded": 2 * BATCH + 50, "repeated": 0, "dropped": 0}


async def test_who_repeats_itself_within_a_second_counts_once(tracking: TrackingWorld) -> None:
    for _ in range(10_000):
        tracking.recorder.add(seen(tracking))
    for other in (seen(tracking, ip="192.0.2.8"), seen(tracking, user_agent="Other"), seen(tracking, link="https://example.com/")):
        tracking.recorder.add(other)
    tracking.clock.advance(timedelta(seconds=1))
    tracking.recorder.add(seen(tracking))
    assert len(await tracking.events()) == 5
    assert tracking.recorder.repeated == 9_999


async def test_memory_is_bounded_and_what_is_dropped_is_counted(tracking: TrackingWorld) -> None:
    for number in range(MAX_WAITING + 7):
        tracking.recorder.add(seen(tracking, link=f"https://example.com/{number}"))
    assert (tracking.recorder.statistics()["waiting"], tracking.recorder.dropped) == (MAX_WAITING, 7)
    assert "7 dropped" in repr(tracking.recorder)


async def test_what_the_store_could_not_take_is_tried_again(tracking: TrackingWorld, weakness: Weakness) -> None:
    weakness.is_down = True
    tracking.recorder.add(seen(tracking))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await tracking.recorder.flush()
    weakness.is_down = False
    assert len(await tracking.events()) == 1


async def test_two_flushes_at_once_write_everything_once(tracking: TrackingWorld) -> None:
    for number in range(BATCH + 1):
        tracking.recorder.add(seen(tracking, link=f"https://example.com/{number}"))
    await asyncio.gather(tracking.recorder.flush(), tracking.recorder.flush())
    assert len(await tracking.events()) == BATCH + 1


async def test_it_writes_every_quarter_of_a_second_and_outlives_a_store_that_is_down(tracking: TrackingWorld, weakness: Weakness) -> None:
    clock = TickingClock()
    tracking.recorder = Recorder(tracking.store, clock=clock, ids=IdSource(clock, SeededRand(1)))
    task = asyncio.create_task(tracking.recorder.run())
    await clock.asleep.wait()
    weakness.is_down = True
    tracking.recorder.add(seen(tracking))
    await clock.tick()
    await clock.tick()
    assert tracking.recorder.statistics()["waiting"] == 1
    weakness.is_down = False
    await clock.tick()
    assert tracking.recorder.statistics() == {"waiting": 0, "recorded": 1, "repeated": 0, "dropped": 0}
    assert clock.monotonic() == 1000.75
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_clicks_right_behind_the_delivery_are_scanners(tracking: TrackingWorld) -> None:
    await tracking.add_message(recipient="carol@example.org")
    tracking.recorder.add(seen(tracking, link="https://example.com/1"))
    assert await judged(tracking) == ["scanner"], "the receiving server has not even taken it"
    await tracking.deliver()
    for milliseconds in (500, 1400, 200):  # 0.5, 1.9 and 2.1 seconds
        tracking.clock.advance(timedelta(milliseconds=milliseconds))
        tracking.recorder.add(seen(tracking, link="https://example.com/1"))
    assert await judged(tracking) == ["scanner", "scanner", "scanner", "person"]


async def test_a_click_that_waits_for_the_store_is_judged_by_when_it_came(tracking: TrackingWorld) -> None:
    await tracking.add_message(recipient="carol@example.org")
    tracking.recorder.add(seen(tracking, link="https://example.com/1"))
    tracking.clock.advance(timedelta(seconds=30))
    await tracking.deliver()
    assert await judged(tracking) == ["scanner"]


async def test_a_message_that_counts_as_bounced_may_be_read_all_the_same(tracking: TrackingWorld) -> None:
    await tracking.add_message(recipient="carol@example.org")
    await tracking.deliver(DeliveryState.BOUNCED)
    tracking.recorder.add(seen(tracking))
    assert await judged(tracking) == ["person"]


async def test_a_test_suite_may_be_quick(tracking: TrackingWorld) -> None:
    await tracking.add_message(mode=KeyMode.TEST)
    tracking.recorder.add(seen(tracking, link="https://example.com/1"))
    assert await judged(tracking, KeyMode.TEST) == ["person"]


async def test_the_memory_of_deliveries_is_bounded(tracking: TrackingWorld) -> None:
    tracking.recorder = Recorder(tracking.store, clock=tracking.clock, ids=IdSource(tracking.clock, SeededRand(1)), max_known=2)
    for number in range(5):
        await tracking.add_message(recipient=f"{number}@example.org")
        await tracking.deliver()
        tracking.recorder.add(seen(tracking))
    assert await judged(tracking) == ["scanner"] * 5


async def test_parallel_twins_unsubscribe_once(tracking: TrackingWorld) -> None:
    token = UnsubscribeToken(tracking.delivery_id, ACCOUNT, "BOB@example.org", "news")
    await asyncio.gather(*(tracking.recorder.unsubscribe(token, reason="one-click", user_agent="", ip=None) for _ in range(20)))
    assert [event.metadata for event in await tracking.events()] == [{"reason": "one-click"}]
    assert await tracking.store.find_unsubscribed(ACCOUNT, "news", ["bob@example.org"]) == {"bob@example.org"}
    assert await tracking.store.find_unsubscribed(ACCOUNT, "offers", ["bob@example.org"]) == frozenset()


async def test_an_unsubscribe_outlives_its_message(tracking: TrackingWorld) -> None:
    token = UnsubscribeToken(type(tracking.delivery_id)(5), ACCOUNT, "carol@example.org", None)
    await tracking.recorder.unsubscribe(token, reason="one-click", user_agent="", ip=None)
    page = await tracking.store.page_unsubscribes(ACCOUNT, limit=10)
    assert [(each.email, each.list_id, each.reason) for each in page.items] == [("carol@example.org", None, "one-click")]
    assert await tracking.events() == []
