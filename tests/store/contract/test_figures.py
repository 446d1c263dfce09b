"""Figures by minute, hour and day."""

from dataclasses import replace
from datetime import datetime, timedelta

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.figures import LATENCY_BUCKETS, MinuteFigures
from sendryd.model.ids import AccountId
from sendryd.store.base import Engagement, NewMessage, Outcome, Store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

from .backends import Open

MINUTE, HOUR, DAY = NOW.replace(second=0), NOW.replace(minute=0, second=0), NOW.replace(hour=0, minute=0, second=0)
TYPES = {
    DeliveryState.DELIVERED: (EventType.SENT, EventType.DELIVERED),
    DeliveryState.BOUNCED: (EventType.BOUNCED,),
    DeliveryState.QUEUED: (EventType.DEFERRED,),
}


def places(*bounds: float) -> tuple[int, ...]:
    """Latencies by the upper bounds of their places."""
    return tuple(bounds.count(bound) for bound in LATENCY_BUCKETS)


async def follow(store: Store, until: datetime = NOW + timedelta(days=1)) -> None:
    while await store.follow(until=until, limit=1):
        pass


async def list_minutes(store: Store, mode: KeyMode = KeyMode.LIVE, account_id: AccountId = ACCOUNT) -> list[MinuteFigures]:
    return await store.list_minutes(account_id, mode, start=MINUTE, end=MINUTE + timedelta(days=1))


async def attempt(store: Store, samples: Samples, new: NewMessage, state: DeliveryState, after: float) -> None:
    """Records the outcome of an attempt of the first delivery, some seconds after acceptance."""
    assert new.lease is not None
    due_at = NOW + timedelta(hours=1) if state is DeliveryState.QUEUED else None
    events = tuple(samples.event(each) for each in TYPES[state])
    outcome = Outcome(delivery_id=new.deliveries[0].id, state=state, due_at=due_at, reply="", events=events)
    await store.record_attempt(new.lease, [outcome], NOW + timedelta(seconds=after))


async def test_outcomes_are_counted_in_the_minute_in_which_they_happened(store: Store, samples: Samples) -> None:
    mails = [samples.message(lease=samples.lease()) for _ in range(4)]
    for new in mails:
        await store.accept(new)
    await attempt(store, samples, mails[0], DeliveryState.DELIVERED, 1.2)
    await attempt(store, samples, mails[1], DeliveryState.DELIVERED, 61)
    await attempt(store, samples, mails[2], DeliveryState.BOUNCED, 62)
    await attempt(store, samples, mails[3], DeliveryState.QUEUED, 63)
    assert await list_minutes(store) == []
    assert await store.figures_until() is None
    await follow(store)
    first = MinuteFigures(minute=MINUTE, accepted=4, delivered=1, latency=places(2.0))
    second = MinuteFigures(minute=MINUTE + timedelta(minutes=1), delivered=1, bounced=1, deferred=1, latency=places(300.0))
    assert await list_minutes(store) == [first, second]
    assert await store.list_minutes(ACCOUNT, KeyMode.LIVE, start=second.minute, end=NOW + timedelta(days=1)) == [second]
    assert await store.list_minutes(ACCOUNT, KeyMode.LIVE, start=MINUTE, end=second.minute) == [first]
    whole = MinuteFigures(minute=HOUR, accepted=4, delivered=2, bounced=1, deferred=1, latency=places(2.0, 300.0))
    assert await store.list_hours(ACCOUNT, KeyMode.LIVE, start=HOUR, end=NOW) == [whole]
    days = await store.list_days(ACCOUNT, KeyMode.LIVE, start=DAY, end=NOW)
    assert [(each.minute, each.accepted, each.delivered) for each in days] == [(DAY, 4, 2)]
    assert await store.figures_until() == NOW + timedelta(days=1)


async def test_each_fact_is_counted_once(store: Store, samples: Samples) -> None:
    await store.accept(samples.message())
    await follow(store)
    await follow(store)
    await store.accept(samples.message())
    await follow(store)
    assert [each.accepted for each in await list_minutes(store)] == [2]


async def test_facts_from_after_the_time_wait_for_the_next_call(store: Store, samples: Samples) -> None:
    await store.accept(samples.message())
    await follow(store, NOW)
    assert await list_minutes(store) == []
    await follow(store)
    assert [each.accepted for each in await list_minutes(store)] == [1]


async def test_opens_clicks_and_complaints_count_each_delivery_once_and_no_scanner(store: Store, samples: Samples) -> None:
    new = samples.message(("ann@example.org", "bob@example.org"))
    await store.accept(new)
    ann, bob = (each.id for each in new.deliveries)
    made = [
        (ann, EventType.OPENED, {"opened_by": "scanner"}),
        (ann, EventType.OPENED, {"opened_by": "person"}),
        (ann, EventType.OPENED, {"opened_by": "person"}),
        (bob, EventType.OPENED, {}),
        (ann, EventType.CLICKED, {"clicked_by": "scanner"}),
        (bob, EventType.CLICKED, {"clicked_by": "person"}),
        (bob, EventType.COMPLAINED, {}),
        (bob, EventType.COMPLAINED, {}),
    ]
    for number, event_type, metadata in made:
        await store.record_engagements([Engagement(delivery_id=number, event=samples.event(event_type, metadata), happened_at=NOW)])
    await follow(store)
    assert await list_minutes(store) == [MinuteFigures(minute=MINUTE, accepted=1, opened=2, clicked=1, complained=1)]


async def test_accounts_and_test_mail_are_counted_apart(store: Store, samples: Samples) -> None:
    other = AccountId(2)
    await store.ensure_account(other, "other", NOW)
    await store.accept(samples.message(mode=KeyMode.TEST))
    await store.accept(samples.message(account_id=other))
    await follow(store)
    assert [each.accepted for each in await list_minutes(store, KeyMode.TEST)] == [1]
    assert [each.accepted for each in await list_minutes(store, account_id=other)] == [1]
    assert await list_minutes(store) == []


async def test_the_latency_of_scheduled_mail_counts_from_its_time(store: Store, samples: Samples) -> None:
    new = samples.message(lease=samples.lease(), scheduled_at=NOW + timedelta(hours=2))
    await store.accept(new)
    await attempt(store, samples, new, DeliveryState.DELIVERED, 2 * 3600 + 7)
    await follow(store)
    assert [each.latency for each in await list_minutes(store) if each.delivered] == [places(10.0)]


async def test_the_next_start_goes_on(open_store: Open, samples: Samples) -> None:
    store = await open_store()
    await store.ensure_account(ACCOUNT, "default", NOW)
    await store.accept(samples.message())
    await follow(store)
    await store.aclose()
    store = await open_store()
    await store.accept(samples.message())
    await follow(store)
    assert [each.accepted for each in await list_minutes(store)] == [2]
    await store.aclose()


async def test_copies_for_archives_and_reports_to_senders_are_no_mail_of_the_account(store: Store, samples: Samples) -> None:
    new = samples.message(["archive@example.org", "user@example.org"], lease=samples.lease())
    archive, user = new.deliveries
    await store.accept(replace(new, deliveries=(replace(archive, is_copy=True), user)))
    await attempt(store, samples, new, DeliveryState.DELIVERED, 1.2)  # the copy
    report = samples.message(lease=samples.lease())
    report = replace(report, message=replace(report.message, api_key_id=None, reverse_path=""))
    await store.accept(report)
    await attempt(store, samples, report, DeliveryState.DELIVERED, 1.2)
    relayed = samples.message(lease=samples.lease())
    relayed = replace(relayed, message=replace(relayed.message, reverse_path=""))  # a bounce that an app sends with its key
    await store.accept(relayed)
    await attempt(store, samples, relayed, DeliveryState.BOUNCED, 1.2)
    await follow(store)
    assert await list_minutes(store) == [MinuteFigures(minute=MINUTE, accepted=2, bounced=1, latency=places())]
