"""Engagements: what recipients do with mail, stored with what follows from it."""

from dataclasses import replace
from datetime import timedelta

from sendryd.model.apikey import KeyMode
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, DeliveryId, SuppressionId, UnsubscribeId
from sendryd.model.message import MessageStatus
from sendryd.model.suppression import SuppressionReason
from sendryd.store.base import Engagement, EventFilter, MailStore, MessageFilter, NewSuppression, NewUnsubscribe
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
LIVE = MessageFilter(mode=KeyMode.LIVE)


def suppression(samples: Samples, email: str = "u@x.test") -> NewSuppression:
    return NewSuppression(id=SuppressionId(samples.number()), email=email, reason=SuppressionReason.HARD_BOUNCE)


def unsubscribe(samples: Samples, email: str, list_id: str | None) -> NewUnsubscribe:
    return NewUnsubscribe(id=UnsubscribeId(samples.number()), email=email, list_id=list_id, reason=None)


def engagement(samples: Samples, delivery_id: DeliveryId, event_type: EventType = EventType.OPENED, **changes: object) -> Engagement:
    made = Engagement(delivery_id=delivery_id, event=samples.event(event_type, {"by": "person"}), happened_at=LATER)
    return replace(made, **changes)  # type: ignore[arg-type]  # each caller names fields


async def test_what_recipients_do_is_stored_whole(store: MailStore, samples: Samples) -> None:
    new = samples.message(["u@x.test"])
    await store.accept(new)
    number = new.deliveries[0].id
    stored = await store.record_engagements(
        [
            engagement(samples, number),
            engagement(samples, DeliveryId(5)),  # gone
            engagement(samples, number, EventType.UNSUBSCRIBED, unsubscribe=unsubscribe(samples, "u@x.test", "news")),
            engagement(samples, number, EventType.COMPLAINED, suppression=suppression(samples)),
        ]
    )
    assert stored == 3
    page = await store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, message_id=new.message.id), limit=9)
    assert [event.type for event in page.items] == [EventType.COMPLAINED, EventType.UNSUBSCRIBED, EventType.OPENED, EventType.QUEUED]
    assert (page.items[2].created_at, page.items[2].metadata, page.items[2].recipient) == (LATER, {"by": "person"}, "u@x.test")
    assert page.items[2].delivery_id == number
    assert await store.find_suppressed(ACCOUNT, ["u@x.test", "v@x.test"]) == {"u@x.test"}
    assert await store.find_unsubscribed(ACCOUNT, "news", ["u@x.test"]) == {"u@x.test"}
    summary = await store.get_message(ACCOUNT, new.message.id)
    assert summary is not None
    assert summary.is_complained
    assert await store.count_messages(ACCOUNT, replace(LIVE, status=MessageStatus.COMPLAINED)) == 1
    assert await store.count_messages(ACCOUNT, replace(LIVE, status=MessageStatus.QUEUED)) == 0
    assert await store.record_engagements([]) == 0


async def test_what_stands_stays(store: MailStore, samples: Samples) -> None:
    new = samples.message(["u@x.test"])
    await store.accept(new)
    number = new.deliveries[0].id
    for _ in range(2):
        stored = await store.record_engagements(
            [engagement(samples, number, suppression=suppression(samples), unsubscribe=unsubscribe(samples, "u@x.test", None))]
        )
        assert stored == 1
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == {"u@x.test"}


async def test_who_left_a_list_and_who_left_them_all(store: MailStore, samples: Samples) -> None:
    new = samples.message()
    await store.accept(new)
    number = new.deliveries[0].id
    await store.record_engagements(
        [
            engagement(samples, number, unsubscribe=unsubscribe(samples, email, list_id))
            for email, list_id in (("a@x.test", "news"), ("b@x.test", "offers"), ("c@x.test", None))
        ]
    )
    everybody = ["a@x.test", "b@x.test", "c@x.test", "d@x.test"]
    assert await store.find_unsubscribed(ACCOUNT, "news", everybody) == {"a@x.test", "c@x.test"}
    assert await store.find_unsubscribed(ACCOUNT, None, everybody) == {"c@x.test"}
    assert await store.find_unsubscribed(AccountId(2), "news", everybody) == frozenset()
    assert await store.find_unsubscribed(ACCOUNT, "news", []) == frozenset()
