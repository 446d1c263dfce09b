"""Notifications: stored with the fact, claimed by leases, tried again, given up, replayed."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainSettings, DomainStatus
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, DeliveryId, DomainId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookEvent
from sendryd.store.base import ClaimedNotification, DomainCheck, Engagement, Notice, NotificationOutcome, Outcome, Owner, Store
from sendryd.store.errors import Conflict, LeaseLost, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, OWNER, Samples

from .backends import Open

LATER = NOW + timedelta(minutes=5)
YEARS = timedelta(days=3650)
NEXT_BOOT = Owner(node=OWNER.node, boot=OWNER.boot + 1)
NOBODY: frozenset[WebhookId] = frozenset()
BOUNCED, DELIVERED, OPENED = WebhookEvent.EMAIL_BOUNCED, WebhookEvent.EMAIL_DELIVERED, WebhookEvent.EMAIL_OPENED
NOTICE = Notice(type=WebhookEvent.DOMAIN_CREATED, body={"name": "Gr\u00fcn.test", "n": 1}, created_at=NOW)
CHECK = DomainCheck(status=DomainStatus.VERIFIED, records=(), checked_at=LATER, verified_at=LATER, failing_since=None, failures=0)


async def hook(store: Store, samples: Samples, *events: WebhookEvent, account_id: AccountId = ACCOUNT) -> Webhook:
    made = samples.webhook(*events, account_id=account_id)
    await store.add_webhook(made)
    return made


async def happen(store: Store, samples: Samples, *types: EventType, account_id: AccountId = ACCOUNT, at: datetime = NOW) -> DeliveryId:
    """A message for which these things happened."""
    new = samples.message(account_id=account_id)
    await store.accept(new)
    events = [Engagement(delivery_id=new.deliveries[0].id, event=samples.event(each, {"n": 1}), happened_at=at) for each in types]
    assert await store.record_engagements(events) == len(types)
    await fan_out(store)
    return new.deliveries[0].id


async def fan_out(store: Store, limit: int = 2) -> None:
    while await store.fan_out(limit=limit):
        pass


async def owed(store: Store, account_id: AccountId = ACCOUNT) -> list[Notification]:
    """Oldest first."""
    await fan_out(store)
    page = await store.page_notifications(account_id, limit=1000)
    return list(page.items)[::-1]


async def claim(
    store: Store, samples: Samples, *, now: datetime = LATER, limit: int = 99, busy: frozenset[WebhookId] = NOBODY, per_webhook: int = 99
) -> list[ClaimedNotification]:
    lease = samples.lease()
    return await store.claim_notifications(now=now, lease=lease, limit=limit, busy=busy, per_webhook=per_webhook)


def outcome(claimed: ClaimedNotification, state: NotificationState, **changes: object) -> NotificationOutcome:
    made = NotificationOutcome(
        notification_id=claimed.notification.id,
        state=state,
        due_at=LATER + timedelta(hours=1) if state is NotificationState.PENDING else None,
        status_code=200 if state is NotificationState.DELIVERED else 500,
        response="answer",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # each caller names fields


async def test_each_event_is_owed_to_the_webhooks_that_ask_for_it(store: Store, samples: Samples) -> None:
    some = await hook(store, samples, DELIVERED, BOUNCED)
    every = await hook(store, samples, *WebhookEvent)
    off = await hook(store, samples, DELIVERED)
    await store.update_webhook(off, replace(off, is_active=False))
    await hook(store, samples, DELIVERED, account_id=AccountId(2))
    await hook(store, samples, WebhookEvent.DOMAIN_CREATED)
    delivery_id = await happen(store, samples, EventType.DELIVERED, EventType.OPENED, EventType.SENT, EventType.UNSUBSCRIBED)
    found = await owed(store)
    assert [(each.webhook_id, each.type) for each in found] == [(some.id, DELIVERED), (every.id, DELIVERED), (every.id, OPENED)]
    first = found[0]
    assert first.event is not None
    assert (first.event.delivery_id, first.event.type, first.event.metadata) == (delivery_id, EventType.DELIVERED, {"n": 1})
    assert (first.state, first.attempts, first.due_at, first.created_at) == (NotificationState.PENDING, 0, NOW, NOW)
    assert (first.origin_id, first.body, first.mode, first.response, first.status_code) == (first.id, None, KeyMode.LIVE, "", None)
    assert await store.get_notification(ACCOUNT, first.id) == first
    assert await store.get_notification(AccountId(2), first.id) is None


async def test_no_webhook_is_told_of_a_copy_for_an_archive(store: Store, samples: Samples) -> None:
    await hook(store, samples, *WebhookEvent)
    new = samples.message(("archive@team.test", "user@example.org"))
    archive, user = new.deliveries
    await store.accept(replace(new, deliveries=(replace(archive, is_copy=True), user)))
    bounces = [Engagement(delivery_id=each.id, event=samples.event(EventType.BOUNCED), happened_at=NOW) for each in new.deliveries]
    await store.record_engagements(bounces)
    assert [each.event.delivery_id for each in await owed(store) if each.event] == [user.id]


async def test_a_fact_is_stored_once_for_any_number_of_webhooks(store: Store, samples: Samples) -> None:
    for _ in range(50):
        await hook(store, samples, DELIVERED)
    new = samples.message()
    await store.accept(new)
    for _ in range(3):
        event = samples.event(EventType.DELIVERED)
        await store.record_engagements([Engagement(delivery_id=new.deliveries[0].id, event=event, happened_at=NOW)])
    assert (await store.page_notifications(ACCOUNT, limit=1000)).items == ()
    assert [await store.fan_out(limit=100) for _ in range(3)] == [2, 1, 0]
    assert len((await store.page_notifications(ACCOUNT, limit=1000)).items) == 150


async def test_a_fact_is_not_told_to_a_webhook_that_came_later(store: Store, samples: Samples) -> None:
    await hook(store, samples, DELIVERED)
    new = samples.message()
    await store.accept(new)
    event = samples.event(EventType.DELIVERED)
    await store.record_engagements([Engagement(delivery_id=new.deliveries[0].id, event=event, happened_at=NOW)])
    later = replace(samples.webhook(DELIVERED), created_at=LATER)
    await store.add_webhook(later)
    assert later.id not in {each.webhook_id for each in await owed(store)}
    assert len(await owed(store)) == 1


async def test_an_outcome_and_what_it_owes_are_one_commit(store: Store, samples: Samples) -> None:
    await hook(store, samples, DELIVERED, BOUNCED)
    lease = samples.lease()
    new = samples.message(["a@one.test", "b@two.test"], lease=lease)
    await store.accept(new)
    outcomes = [
        Outcome(delivery_id=each.id, state=state, due_at=None, reply="", events=(samples.event(event_type),))
        for each, state, event_type in zip(
            new.deliveries, (DeliveryState.DELIVERED, DeliveryState.BOUNCED), (EventType.DELIVERED, EventType.BOUNCED), strict=True
        )
    ]
    with pytest.raises(LeaseLost):
        await store.record_attempt(samples.lease(), outcomes, LATER)
    assert await owed(store) == []
    await store.record_attempt(lease, outcomes, LATER)
    assert [(each.type, each.due_at) for each in await owed(store)] == [(DELIVERED, LATER), (BOUNCED, LATER)]


async def test_what_a_test_key_sent_is_marked(store: Store, samples: Samples) -> None:
    await hook(store, samples, DELIVERED)
    new = samples.message(mode=KeyMode.TEST)
    captured = replace(new.deliveries[0], events=(samples.event(), samples.event(EventType.DELIVERED)))
    await store.accept_all([replace(new, deliveries=(captured,))], None, kept_since=NOW)
    assert [(each.type, each.mode) for each in await owed(store)] == [(DELIVERED, KeyMode.TEST)]


async def test_a_notice_is_owed_with_the_fact(store: Store, samples: Samples) -> None:
    asking = await hook(store, samples, WebhookEvent.DOMAIN_CREATED, WebhookEvent.DOMAIN_DELETED)
    await hook(store, samples, DELIVERED)
    domain = samples.domain()
    await store.add_domain(domain, NOTICE)
    await store.remove_domain(domain.domain.id, NOW, replace(NOTICE, type=WebhookEvent.DOMAIN_DELETED))
    with pytest.raises(NotFound):
        await store.remove_domain(domain.domain.id, NOW, NOTICE)
    found = await owed(store)
    assert [(each.webhook_id, each.type) for each in found] == [
        (asking.id, WebhookEvent.DOMAIN_CREATED),
        (asking.id, WebhookEvent.DOMAIN_DELETED),
    ]
    assert (found[0].body, found[0].event, found[0].mode) == (NOTICE.body, None, KeyMode.LIVE)


async def test_a_webhook_takes_what_it_is_owed_with_it(store: Store, samples: Samples) -> None:
    gone, kept = await hook(store, samples), await hook(store, samples)
    await happen(store, samples, *[EventType.DELIVERED] * 5)
    (held, *_) = await claim(store, samples, limit=1)
    await store.remove_webhook(ACCOUNT, gone.id)
    assert {each.webhook_id for each in await owed(store)} == {kept.id}
    assert len(await owed(store)) == 5
    lease = samples.lease()
    assert held.webhook == gone
    assert await store.record_notification(lease, outcome(held, NotificationState.DELIVERED), LATER) is None


async def test_a_test_event_is_owed_whatever_the_webhook_asks_for(store: Store, samples: Samples) -> None:
    webhook = await hook(store, samples, BOUNCED)
    await store.update_webhook(webhook, replace(webhook, is_active=False))
    made = await store.add_notification(ACCOUNT, webhook.id, NOTICE)
    assert (made.type, made.body, made.webhook_id, made.origin_id) == (NOTICE.type, NOTICE.body, webhook.id, made.id)
    assert await owed(store) == [made]
    assert await claim(store, samples) == []
    for account_id, webhook_id in ((AccountId(2), webhook.id), (ACCOUNT, WebhookId(5))):
        with pytest.raises(NotFound):
            await store.add_notification(account_id, webhook_id, NOTICE)


async def test_notifications_are_listed_newest_first(store: Store, samples: Samples) -> None:
    first, second = await hook(store, samples), await hook(store, samples)
    await happen(store, samples, *[EventType.DELIVERED] * 3)
    numbers = [each.id for each in (await owed(store))[::-1]]
    page = await store.page_notifications(ACCOUNT, limit=4)
    assert ([each.id for each in page.items], page.has_more) == (numbers[:4], True)
    rest = await store.page_notifications(ACCOUNT, limit=2, before=page.items[-1].id)
    assert ([each.id for each in rest.items], rest.has_more) == (numbers[4:], False)
    for webhook in (first, second):
        found = await store.page_notifications(ACCOUNT, webhook_id=webhook.id, limit=9)
        assert [each.webhook_id for each in found.items] == [webhook.id] * 3
    assert (await store.page_notifications(AccountId(2), webhook_id=first.id, limit=9)).items == ()


async def test_notifications_of_one_message_are_listed(store: Store, samples: Samples) -> None:
    await hook(store, samples, OPENED, DELIVERED)
    first, _ = [await happen(store, samples, EventType.OPENED, EventType.DELIVERED) for _ in range(2)]
    ours = await store.find_delivery(first)
    assert ours
    found = await store.list_notifications_of(ACCOUNT, ours.message.id, limit=10)
    assert [(each.type, each.event and each.event.delivery_id) for each in found] == [(DELIVERED, first), (OPENED, first)]
    assert [each.type for each in await store.list_notifications_of(ACCOUNT, ours.message.id, limit=1)] == [DELIVERED]
    assert await store.list_notifications_of(AccountId(2), ours.message.id, limit=10) == []


async def test_the_oldest_due_are_claimed_once(store: Store, samples: Samples) -> None:
    webhook = await hook(store, samples)
    for minutes in (3, 1, 9, 2):
        await happen(store, samples, EventType.DELIVERED, at=NOW + timedelta(minutes=minutes))
    assert await store.notification_due_at() == NOW + timedelta(minutes=1)
    claims = await claim(store, samples, limit=2)
    assert [each.notification.due_at for each in claims] == [NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)]
    assert {each.notification.state for each in claims} == {NotificationState.LEASED}
    assert {each.webhook for each in claims} == {webhook}
    assert await store.notification_due_at() == NOW + timedelta(minutes=3)
    assert len(await claim(store, samples)) == 1
    assert await claim(store, samples) == []
    assert await store.notification_due_at() == NOW + timedelta(minutes=9)
    assert await claim(store, samples, limit=0) == await claim(store, samples, per_webhook=0) == []


async def test_due_times_of_another_clock_are_brought_forward(store: Store, samples: Samples) -> None:
    await hook(store, samples)
    await happen(store, samples, EventType.DELIVERED, at=NOW + YEARS)
    await happen(store, samples, EventType.DELIVERED, at=NOW + timedelta(hours=1))
    assert await claim(store, samples) == []
    latest = NOW + timedelta(hours=9)
    assert await store.bring_notifications_forward(now=NOW, latest=latest) == 1
    assert await store.bring_notifications_forward(now=NOW, latest=latest) == 0
    (claimed,) = await claim(store, samples)
    assert claimed.notification.created_at == NOW + YEARS


async def test_only_leases_of_dead_boots_and_named_ones_are_returned(store: Store, samples: Samples) -> None:
    await hook(store, samples)
    await happen(store, samples, EventType.DELIVERED, EventType.DELIVERED)
    first, second = await claim(store, samples)
    assert await store.return_dead_notifications(OWNER) == 0
    assert await store.claim_notifications(now=LATER + YEARS, lease=samples.lease(), limit=9, busy=NOBODY, per_webhook=9) == []
    assert await store.list_leased_notifications(NEXT_BOOT) == []
    assert set(await store.list_leased_notifications(OWNER)) == {first.notification.id, second.notification.id}
    assert await store.return_notifications(NEXT_BOOT, [first.notification.id]) == 0
    assert await store.return_notifications(OWNER, [first.notification.id]) == 1
    assert await store.return_dead_notifications(Owner(node="other", boot=9)) == 0
    assert await store.return_dead_notifications(NEXT_BOOT) == 1
    assert await store.return_dead_notifications(NEXT_BOOT) == 0
    assert len(await claim(store, samples)) == 2


async def test_the_oldest_of_several_webhooks_come_first(store: Store, samples: Samples) -> None:
    first, second = await hook(store, samples, DELIVERED), await hook(store, samples, BOUNCED)
    for minutes, event_type in ((4, EventType.DELIVERED), (1, EventType.DELIVERED), (3, EventType.BOUNCED), (2, EventType.BOUNCED)):
        await happen(store, samples, event_type, at=NOW + timedelta(minutes=minutes))
    assert [each.webhook for each in await claim(store, samples, limit=3)] == [first, second, second]
    assert [each.webhook for each in await claim(store, samples, limit=3)] == [first]


async def test_busy_and_crowded_webhooks_are_stepped_over(store: Store, samples: Samples) -> None:
    dead = await hook(store, samples, DELIVERED)
    alive = await hook(store, samples, BOUNCED)
    await happen(store, samples, *[EventType.DELIVERED] * 30)
    await happen(store, samples, *[EventType.BOUNCED] * 5, at=NOW + timedelta(minutes=1))
    busy = frozenset({dead.id})
    assert await store.notification_due_at(busy=busy) == NOW + timedelta(minutes=1)
    assert await store.notification_due_at(busy=busy | {alive.id}) is None
    claims = await claim(store, samples, limit=3, busy=busy)
    assert [each.webhook.id for each in claims] == [alive.id] * 3
    claims = await claim(store, samples, per_webhook=2)
    assert [each.webhook.id for each in claims] == [dead.id, dead.id, alive.id, alive.id]
    assert await store.notification_due_at(busy=busy) is None


async def test_a_late_outcome_counts_until_somebody_leases_the_notification(store: Store, samples: Samples) -> None:
    await hook(store, samples)
    await happen(store, samples, EventType.DELIVERED, EventType.DELIVERED)
    lease = samples.lease()
    early, late = await store.claim_notifications(now=LATER, lease=lease, limit=9, busy=NOBODY, per_webhook=9)
    assert await store.return_dead_notifications(NEXT_BOOT) == 2
    assert await store.record_notification(lease, outcome(early, NotificationState.DELIVERED), LATER) is not None
    second = samples.lease(NEXT_BOOT)
    (again,) = await store.claim_notifications(now=LATER, lease=second, limit=9, busy=NOBODY, per_webhook=9)
    assert again.notification.id == late.notification.id
    with pytest.raises(LeaseLost):
        await store.record_notification(lease, outcome(late, NotificationState.DELIVERED), LATER)
    with pytest.raises(LeaseLost):
        await store.record_notification(replace(second, owner=OWNER), outcome(late, NotificationState.DELIVERED), LATER)
    assert await store.record_notification(second, outcome(again, NotificationState.DELIVERED), LATER) is not None
    with pytest.raises(LeaseLost):
        await store.record_notification(second, outcome(again, NotificationState.DELIVERED), LATER)
    assert [(each.state, each.attempts) for each in await owed(store)] == [(NotificationState.DELIVERED, 1)] * 2


async def test_attempts_and_the_health_of_the_webhook(store: Store, samples: Samples) -> None:
    webhook = await hook(store, samples)
    await happen(store, samples, EventType.DELIVERED)
    lease = samples.lease()

    async def attempt(hours: int, state: NotificationState, **changes: object) -> Webhook | None:
        now = LATER + timedelta(hours=hours)
        (claimed,) = await store.claim_notifications(now=now, lease=lease, limit=9, busy=NOBODY, per_webhook=9)
        assert claimed.notification.attempts == hours
        return await store.record_notification(lease, outcome(claimed, state, **changes), now)

    for hours in range(2):
        again = LATER + timedelta(hours=hours + 1)
        found = await attempt(hours, NotificationState.PENDING, due_at=again, response="x" * 3000 + "\ud800", status_code=None)
        assert found == replace(webhook, failing_since=LATER)
        assert await store.notification_due_at() == again
    (waiting,) = await owed(store)
    assert (waiting.state, waiting.attempts, len(waiting.response), waiting.status_code) == (NotificationState.PENDING, 2, 2000, None)
    found = await attempt(2, NotificationState.DELIVERED, response="\ud800ok")
    assert found == webhook
    (done,) = await owed(store)
    assert (done.state, done.attempts, done.status_code, done.response) == (NotificationState.DELIVERED, 3, 200, "?ok")
    assert done.delivered_at == LATER + timedelta(hours=2)
    assert await store.notification_due_at() is None


async def test_a_webhook_that_is_switched_off_is_owed_nothing_more(store: Store, samples: Samples) -> None:
    webhook, other = await hook(store, samples), await hook(store, samples, OPENED)
    await happen(store, samples, *[EventType.DELIVERED] * 5)
    await happen(store, samples, EventType.OPENED)
    (tried, *_) = await claim(store, samples, limit=2, busy=frozenset({other.id}))
    later = LATER + timedelta(days=5)
    await store.disable_webhook(webhook.id, "it failed for days", later)
    found = await store.get_webhook(ACCOUNT, webhook.id)
    assert found == replace(webhook, is_active=False, disabled_reason="it failed for days", updated_at=later)
    mine = [each for each in await owed(store) if each.webhook_id == webhook.id]
    assert {(each.state, each.response) for each in mine} == {(NotificationState.FAILED, "it failed for days")}
    with pytest.raises(LeaseLost):
        await store.record_notification(samples.lease(), outcome(tried, NotificationState.DELIVERED), later)
    await happen(store, samples, EventType.DELIVERED)
    assert [each.webhook.id for each in await claim(store, samples, now=later)] == [other.id]
    await store.disable_webhook(webhook.id, "again", later + timedelta(days=1))
    await store.disable_webhook(WebhookId(5), "again", later)
    assert await store.get_webhook(ACCOUNT, webhook.id) == found


async def test_what_an_account_switched_off_waits(store: Store, samples: Samples) -> None:
    webhook = await hook(store, samples)
    await happen(store, samples, EventType.DELIVERED)
    await store.update_webhook(webhook, replace(webhook, is_active=False))
    assert await claim(store, samples) == []
    assert await store.notification_due_at() is None
    await store.update_webhook(replace(webhook, is_active=False), webhook)
    assert len(await claim(store, samples)) == 1


async def test_the_last_answer_is_kept_when_it_is_given_up(store: Store, samples: Samples) -> None:
    webhook = await hook(store, samples)
    await happen(store, samples, EventType.DELIVERED)
    lease = samples.lease()
    (claimed,) = await store.claim_notifications(now=LATER, lease=lease, limit=9, busy=NOBODY, per_webhook=9)
    await store.record_notification(lease, outcome(claimed, NotificationState.PENDING), LATER)
    await store.disable_webhook(webhook.id, "it failed for days", LATER)
    (given_up,) = await owed(store)
    assert (given_up.state, given_up.response, given_up.status_code) == (NotificationState.FAILED, "answer", 500)


async def test_facts_are_owed_again(store: Store, samples: Samples) -> None:
    webhook = await hook(store, samples, DELIVERED, WebhookEvent.DOMAIN_CREATED)
    await happen(store, samples, EventType.DELIVERED)
    await store.add_domain(samples.domain(), NOTICE)
    mail, notice = await owed(store)
    made = await store.replay(ACCOUNT, [notice.id, mail.id], LATER)
    assert [(each.origin_id, each.type, each.body, each.due_at) for each in made] == [
        (notice.id, notice.type, NOTICE.body, LATER),
        (mail.id, DELIVERED, None, LATER),
    ]
    assert made[1].event == mail.event
    (again,) = await store.replay(ACCOUNT, [made[1].id], LATER)
    assert (again.origin_id, again.state, again.attempts) == (mail.id, NotificationState.PENDING, 0)
    for account_id, missing in ((AccountId(2), mail.id), (ACCOUNT, NotificationId(99))):
        with pytest.raises(NotFound):
            await store.replay(account_id, [notice.id, missing], LATER)
    assert len(await owed(store)) == 5
    found = await store.find_notifications(ACCOUNT, webhook.id, start=NOW, end=LATER, is_failed=False, limit=9)
    assert found == [mail.id, notice.id]  # no replays


async def test_notifications_of_a_time_are_found(store: Store, samples: Samples) -> None:
    webhook = await hook(store, samples)
    for minutes in range(5):
        await happen(store, samples, EventType.DELIVERED, at=NOW + timedelta(minutes=minutes))
    numbers = [each.id for each in await owed(store)]
    lease = samples.lease()
    for each in await store.claim_notifications(now=LATER, lease=lease, limit=2, busy=NOBODY, per_webhook=9):
        await store.record_notification(lease, outcome(each, NotificationState.FAILED), LATER)

    async def find(start: int, end: int, *, is_failed: bool = False, limit: int = 9) -> list[NotificationId]:
        return await store.find_notifications(
            ACCOUNT, webhook.id, start=NOW + timedelta(minutes=start), end=NOW + timedelta(minutes=end), is_failed=is_failed, limit=limit
        )

    assert await find(1, 3) == numbers[1:4]
    assert await find(0, 9, limit=2) == numbers[:2]
    assert await find(1, 9, is_failed=True) == numbers[1:2]
    assert await store.find_notifications(AccountId(2), webhook.id, start=NOW, end=LATER, is_failed=False, limit=9) == []


async def test_a_notification_outlives_its_event(store: Store, samples: Samples) -> None:
    await hook(store, samples)
    await happen(store, samples, EventType.DELIVERED)
    await store.delete_events(created_before=NOW + timedelta(days=1), limit=99)
    (claimed,) = await claim(store, samples)
    assert (claimed.notification.event, claimed.notification.body, claimed.notification.mode) == (None, {}, KeyMode.LIVE)


async def test_old_notifications_are_deleted_oldest_first(store: Store, samples: Samples) -> None:
    await hook(store, samples)
    for days in range(5):
        await happen(store, samples, EventType.DELIVERED, at=NOW + timedelta(days=days))
    numbers = [each.id for each in await owed(store)]
    before = NOW + timedelta(days=3)
    assert [await store.delete_notifications(created_before=before, limit=2) for _ in range(3)] == [2, 1, 0]
    assert [each.id for each in await owed(store)] == numbers[3:]
    await store.delete_notifications(created_before=NOW + timedelta(days=9), limit=9)
    await happen(store, samples, EventType.DELIVERED)
    assert (await owed(store))[0].id > numbers[-1]  # a number is never given twice


async def test_what_is_owed_survives_a_restart(open_store: Open, samples: Samples) -> None:
    store = await open_store()
    webhook = await hook(store, samples)
    await asyncio.gather(*(happen(store, samples, EventType.DELIVERED) for _ in range(50)))
    (held,) = await claim(store, samples, limit=1)
    await store.aclose()
    again = await open_store()
    assert len(await claim(again, samples)) == 49
    assert await claim(again, samples, now=LATER + YEARS) == []
    assert await again.return_dead_notifications(NEXT_BOOT) == 50
    (returned, *_) = await claim(again, samples, limit=1)
    assert returned == replace(held, webhook=webhook)
    await again.aclose()


def domain_hook(samples: Samples) -> Webhook:
    return Webhook(
        id=WebhookId(samples.number()),
        account_id=ACCOUNT,
        url="https://example.test/domain_hook",
        events=(WebhookEvent.DOMAIN_CREATED, WebhookEvent.DOMAIN_UPDATED, WebhookEvent.DOMAIN_DELETED),
        secret="whsec_x",
        is_active=True,
        created_at=NOW,
        updated_at=NOW,
    )


def notice(event_type: WebhookEvent, **body: object) -> Notice:
    return Notice(type=event_type, body=body, created_at=LATER)


async def test_changes_of_a_domain_owe_their_notices(store: Store, samples: Samples) -> None:
    webhook = domain_hook(samples)
    await store.add_webhook(webhook)
    new = samples.domain()
    number = new.domain.id
    await store.add_domain(new, notice(WebhookEvent.DOMAIN_CREATED, step=1))
    checked = await store.record_domain_check(new.domain, CHECK, notice(WebhookEvent.DOMAIN_UPDATED, step=2))
    await store.record_domain_check(checked, CHECK)
    await store.set_domain_settings(checked, DomainSettings(region="eu"), notice(WebhookEvent.DOMAIN_UPDATED, step=3))
    await store.remove_domain(number, NOW, notice(WebhookEvent.DOMAIN_DELETED, step=4))
    await store.fan_out(limit=100)
    owed = (await store.page_notifications(ACCOUNT, limit=9)).items
    assert [(each.type, each.body) for each in reversed(owed)] == [
        (WebhookEvent.DOMAIN_CREATED, {"step": 1}),
        (WebhookEvent.DOMAIN_UPDATED, {"step": 2}),
        (WebhookEvent.DOMAIN_UPDATED, {"step": 3}),
        (WebhookEvent.DOMAIN_DELETED, {"step": 4}),
    ]
    assert all((each.webhook_id, each.state, each.due_at) == (webhook.id, NotificationState.PENDING, LATER) for each in owed)


async def test_a_change_that_fails_owes_nothing(store: Store, samples: Samples) -> None:
    webhook = domain_hook(samples)
    await store.add_webhook(webhook)
    await store.add_domain(samples.domain())
    missing = replace(samples.domain().domain, id=DomainId(9))
    created, updated, deleted = (notice(each) for each in webhook.events)
    with pytest.raises(Conflict):
        await store.add_domain(samples.domain(), created)
    for attempt in (
        store.record_domain_check(missing, CHECK, updated),
        store.set_domain_settings(missing, DomainSettings(), updated),
        store.remove_domain(DomainId(9), NOW, deleted),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await store.fan_out(limit=100) == 0
