"""What recipients do with mail, who gets none, and by what messages are found."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, DeliveryId, SuppressionId, UnsubscribeId
from sendryd.model.message import MessageStatus
from sendryd.model.suppression import SuppressionReason
from sendryd.store.base import Engagement, EventFilter, MailStore, MessageFilter, NewSuppression, NewUnsubscribe, Outcome
from sendryd.store.errors import LeaseLost
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


async def test_a_delivery_is_found_by_its_number(store: MailStore, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@two.test"], lease=(lease := samples.lease()))
    await store.accept(new)
    second = new.deliveries[1]
    found = await store.find_delivery(second.id)
    assert found is not None
    assert (found.id, found.message, found.forward_path) == (second.id, new.message, "b@two.test")
    assert (found.state, found.delivered_at) == (DeliveryState.LEASED, None)
    done = Outcome(delivery_id=second.id, state=DeliveryState.DELIVERED, due_at=None, reply="250", events=())
    await store.record_attempt(lease, [done], LATER)
    found = await store.find_delivery(second.id)
    assert found is not None
    assert (found.state, found.delivered_at) == (DeliveryState.DELIVERED, LATER)
    assert await store.find_delivery(DeliveryId(5)) is None


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


async def test_a_bounce_suppresses_with_its_outcome_or_not_at_all(store: MailStore, samples: Samples) -> None:
    lease = samples.lease()
    new = samples.message(["u@x.test"], lease=lease)
    await store.accept(new)
    bounced = Outcome(
        delivery_id=new.deliveries[0].id,
        state=DeliveryState.BOUNCED,
        due_at=None,
        reply="550 no such user",
        events=(samples.event(EventType.BOUNCED),),
        suppression=suppression(samples),
    )
    with pytest.raises(LeaseLost):
        await store.record_attempt(samples.lease(), [bounced], LATER)
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == frozenset()
    await store.record_attempt(lease, [bounced], LATER)
    assert await store.find_suppressed(ACCOUNT, ["u@x.test"]) == {"u@x.test"}
    assert await store.find_suppressed(AccountId(2), ["u@x.test"]) == frozenset()


async def test_messages_are_found_by_recipient_subject_and_time(store: MailStore, samples: Samples) -> None:
    hidden = samples.message(["Bcc@Example.org"], subject="The 100% offer")
    hidden = replace(hidden, message=replace(hidden.message, to=("list@example.org",)))
    await store.accept(hidden)
    late = Samples(LATER)
    await store.accept(late.message(["b@example.org"], subject="Other", created_at=LATER))

    async def count(**conditions: object) -> int:
        which = replace(LIVE, **conditions)  # type: ignore[arg-type]  # each caller names fields
        found = len((await store.list_messages(ACCOUNT, which, limit=9)).items)
        assert await store.count_messages(ACCOUNT, which) == found
        return found

    assert await count(recipient="bcc@example.ORG") == 1
    assert await count(recipient="cc@example.org") == 0
    assert await count(recipient="list@example.org") == 0  # only who gets it
    assert await count(subject="100% OFFER") == 1
    assert await count(subject="100_") == 0
    assert await count(subject="e") == 2
    assert await count(created_from=LATER) == 1
    assert await count(created_from=NOW) == 2
    assert await count(created_from=LATER + timedelta(seconds=1)) == 0
    assert await count(recipient="b@example.org", subject="other", created_from=LATER, text="b@") == 1
    assert await count(recipient="b@example.org", subject="100") == 0
