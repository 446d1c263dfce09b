"""What was cancelled or has expired is a line of the mail log, once, whoever did it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import EventId
from sendryd.model.message import Message
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Ended, NewEvent, QueueFilter
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.upkeep.endings import BATCH, EndingsFollower


class Lines(MailLog):
    """Keeps the lines."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.found: list[tuple[str, str, dict[str, Any]]] = []

    def outcome(self, event: str, message: Message, recipient: str, fields: Any) -> None:
        self.found.append((event, recipient, dict(fields)))


class World:
    """A store with one waiting message, and a follower."""

    async def open(self, store: MemoryStore | None = None) -> "World":
        self.clock = ManualClock(NOW)
        self.store = store or MemoryStore()
        await self.store.ensure_account(ACCOUNT, "default", NOW)
        self.ids = IdSource(self.clock, SeededRand(1))
        self.lines = Lines(self.clock)
        self.follower = EndingsFollower(self.store, clock=self.clock, mail_log=self.lines)
        self.samples = Samples()
        await self.store.accept(self.samples.message(["a@example.org", "b@example.org"]))
        return self

    def make_event(self, event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self.ids.next()), type=event_type, metadata=metadata)


async def test_a_cancelled_delivery_is_logged_once() -> None:
    world = await World().open()
    await world.store.cancel(QueueFilter(), world.clock.now(), world.make_event)
    await world.follower.run_once()
    await world.follower.run_once()
    assert [(event, recipient) for event, recipient, _ in world.lines.found] == [
        ("cancelled", "a@example.org"),
        ("cancelled", "b@example.org"),
    ]


async def test_an_expired_delivery_is_logged_with_its_age() -> None:
    world = await World().open()
    world.clock.advance(timedelta(seconds=3600))
    now = world.clock.now()
    await world.store.expire_deliveries(now=now, created_before=now, make_event=world.make_event, limit=10)
    await world.follower.run_once()
    assert [event for event, _, _ in world.lines.found] == ["expired", "expired"]
    assert all(fields["delay"] >= 3600 for _, _, fields in world.lines.found)


async def test_a_scheduled_message_that_ends_before_its_time_has_waited_for_nothing() -> None:
    world = await World().open()
    scheduled_at = NOW + timedelta(hours=2)
    await world.store.accept(world.samples.message(["c@example.org"], scheduled_at=scheduled_at))
    await world.store.cancel(QueueFilter(), world.clock.now(), world.make_event)
    await world.follower.run_once()
    assert [fields["delay"] for _, recipient, fields in world.lines.found if recipient == "c@example.org"] == [0]


async def test_what_ended_before_the_start_is_not_logged_again() -> None:
    world = await World().open()
    await world.store.cancel(QueueFilter(), world.clock.now(), world.make_event)
    world.clock.advance(timedelta(seconds=5))
    await EndingsFollower(world.store, clock=world.clock, mail_log=world.lines).run_once()
    assert world.lines.found == []


async def test_what_is_committed_late_is_still_logged() -> None:
    world = await World().open()
    earlier = world.make_event(EventType.CANCELLED, {})
    world.clock.advance(timedelta(seconds=30))
    await world.follower.run_once()
    await world.store.cancel(QueueFilter(delivery_id=next(iter(world.store._deliveries))), NOW, lambda _type, _data: earlier)
    await world.follower.run_once()
    assert len(world.lines.found) == 1


async def test_what_ended_while_no_program_ran_is_logged_by_the_next() -> None:
    world = await World().open()
    seen = world.clock.now()
    world.clock.advance(timedelta(hours=3))
    await world.store.cancel(QueueFilter(), world.clock.now(), world.make_event)
    world.clock.advance(timedelta(hours=3))
    follower = EndingsFollower(world.store, clock=world.clock, mail_log=world.lines, last_seen=seen)
    await follower.run_once()
    await follower.run_once()
    assert [recipient for _, recipient, _ in world.lines.found] == ["a@example.org", "b@example.org"]
    await EndingsFollower(world.store, clock=world.clock, mail_log=world.lines, last_seen=world.clock.now()).run_once()
    await EndingsFollower(world.store, clock=world.clock, mail_log=world.lines).run_once()
    assert len(world.lines.found) == 2


async def test_what_ends_while_the_follower_is_paused_is_logged() -> None:
    world = await World().open()
    await world.follower.run_once()
    await world.store.cancel(QueueFilter(), world.clock.now(), world.make_event)
    world.clock.advance(timedelta(hours=1))
    await world.follower.run_once()
    assert len(world.lines.found) == 2


class Counting(MemoryStore):
    """Knows how many endings were read, and how many at once."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    async def read_ended(self, event_ids: Sequence[EventId]) -> list[Ended]:
        self.read.append(len(event_ids))
        return await super().read_ended(event_ids)


async def test_thousands_that_end_at_once_are_read_a_few_at_a_time_and_once() -> None:
    store = Counting()
    world = await World().open(store)
    for _ in range(10):
        await world.store.accept(world.samples.message([f"user{number}@example.org" for number in range(50)]))
    await world.store.cancel(QueueFilter(), world.clock.now(), world.make_event)
    await world.follower.run_once()
    await world.follower.run_once()
    assert store.read == [BATCH, BATCH, 102]
    assert len(world.lines.found) == 502
