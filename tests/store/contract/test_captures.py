"""Captured mail: deleted in the Test Inbox, and outcomes played on it."""

from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, EventId, MessageId
from sendryd.store.base import EventFilter, MailStore, NewEvent, Play
from sendryd.store.errors import NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
OTHER = AccountId(ACCOUNT + 1)
BOUNCE = Play(type=EventType.BOUNCED, metadata={"reason": "played"}, state=DeliveryState.BOUNCED)
OPEN = Play(type=EventType.OPENED, metadata={"opened_by": "person"})


class Maker:
    """Makes events."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __call__(self, event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self._samples.number()), type=event_type, metadata=metadata)


async def events(store: MailStore, message_id: MessageId) -> list[EventType]:
    found = await store.list_events(ACCOUNT, EventFilter(mode=KeyMode.TEST, message_id=message_id), limit=20)
    return [each.type for each in found.items]


async def test_captured_mail_is_deleted_with_its_content_and_other_mail_is_not(store: MailStore, samples: Samples) -> None:
    captured, live, waiting = samples.message(mode=KeyMode.TEST), samples.message(), samples.message()
    for new in (captured, live, waiting):
        await store.accept(new)
    numbers = [captured.message.id, live.message.id, waiting.message.id, MessageId(5)]
    assert await store.delete_captured(OTHER, numbers) == 0
    assert await store.delete_captured(ACCOUNT, numbers) == 1
    assert await store.delete_captured(ACCOUNT, numbers) == 0
    assert await store.get_message(ACCOUNT, captured.message.id) is None
    with pytest.raises(NotFound):
        await store.read_content(captured.message.id)
    assert await store.read_content(live.message.id) == live.content
    assert await store.count_events(ACCOUNT, EventFilter(mode=KeyMode.TEST)) == 1
    assert (await store.compare_spool()).is_whole


async def test_an_outcome_is_played_on_each_delivered_recipient(store: MailStore, samples: Samples) -> None:
    captured, live = samples.message(["a@x.test", "b@x.test"], mode=KeyMode.TEST), samples.message()
    for new in (captured, live):
        await store.accept(new)
    number, make = captured.message.id, Maker(samples)
    assert await store.play(OTHER, number, OPEN, make, LATER) == 0
    assert await store.play(ACCOUNT, live.message.id, OPEN, make, LATER) == 0
    assert await store.play(ACCOUNT, number, OPEN, make, LATER) == 2
    assert await store.play(ACCOUNT, number, BOUNCE, make, LATER) == 2
    assert await store.play(ACCOUNT, number, BOUNCE, make, LATER) == 0
    assert (await events(store, number))[:4] == [EventType.BOUNCED, EventType.BOUNCED, EventType.OPENED, EventType.OPENED]
    summary = await store.get_message(ACCOUNT, number)
    assert summary is not None
    assert summary.states == {DeliveryState.BOUNCED: 2}
