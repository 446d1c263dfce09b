"""Attempts are kept with their notification; failing ones are found, counted and sent again, each once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sendryd.model.ids import AccountId, NotificationId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookAttempt, WebhookEvent
from sendryd.store.base import Notice, NotificationFilter, NotificationOutcome, Standing, Store, WebhookHealth
from sendryd.store.errors import NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

LATER = NOW + timedelta(minutes=5)
OTHER = AccountId(2)
ALL = NotificationFilter(standing=Standing.FAILING, start=NOW - timedelta(days=1), end=NOW + timedelta(days=1))
WAITING = NotificationFilter(standing=Standing.WAITING)
SENT = WebhookAttempt(
    started_at=LATER,
    duration_ms=212,
    url="https://hooks.example.com/in",
    headers={"webhook-id": "evt_1"},
    status_code=500,
    content_type="text/plain",
    response="KeyError: 'order_id'",
    fault="",
)
SILENT = replace(SENT, status_code=None, content_type="", response="", fault="No answer within 15 seconds.")


@pytest.fixture
async def hook(store: Store, samples: Samples) -> Webhook:
    made = samples.webhook(WebhookEvent.DOMAIN_CREATED)
    await store.add_webhook(made)
    return made


async def owe(
    store: Store, hook: Webhook, count: int = 1, *, at: datetime = NOW, event: WebhookEvent = WebhookEvent.DOMAIN_CREATED
) -> None:
    for number in range(count):
        await store.add_notification(ACCOUNT, hook.id, Notice(type=event, body={"n": number}, created_at=at))


async def answer(
    store: Store,
    samples: Samples,
    state: NotificationState,
    attempt: WebhookAttempt | None = SENT,
    *,
    limit: int = 99,
    now: datetime = LATER,
) -> list[NotificationId]:
    """All that is due is tried, with this outcome."""
    lease = samples.lease()
    claims = await store.claim_notifications(now=now, lease=lease, limit=limit, busy=frozenset(), per_webhook=limit)
    for claim in claims:
        outcome = NotificationOutcome(
            notification_id=claim.notification.id,
            state=state,
            due_at=now + timedelta(hours=1) if state is NotificationState.PENDING else None,
            status_code=attempt.status_code if attempt else None,
            response=attempt.response if attempt else "",
            attempt=attempt,
        )
        await store.record_notification(lease, outcome, now)
    return [claim.notification.id for claim in claims]


async def found(store: Store, hook: Webhook, which: NotificationFilter = ALL) -> list[NotificationId]:
    """Oldest first."""
    page = await store.search_notifications(ACCOUNT, hook.id, which, limit=1000)
    return [each.id for each in page.items][::-1]


async def get(store: Store, number: NotificationId) -> Notification:
    notification = await store.get_notification(ACCOUNT, number)
    assert notification is not None
    return notification


async def work_off(store: Store, limit: int = 2) -> int:
    """The number of steps."""
    steps = 0
    while await store.work_off_replays(now=LATER, limit=limit):
        steps += 1
    return steps


async def test_each_attempt_is_kept_with_its_outcome(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook)
    (number,) = await answer(store, samples, NotificationState.PENDING)
    await answer(store, samples, NotificationState.FAILED, SILENT, now=LATER + timedelta(hours=2))
    kept = await store.list_webhook_attempts(ACCOUNT, [number, NotificationId(99)])
    assert kept == {number: [replace(SILENT, number=2), replace(SENT, number=1)]}
    assert await store.list_webhook_attempts(ACCOUNT, [number], is_last=True) == {number: [replace(SILENT, number=2)]}
    assert await store.list_webhook_attempts(OTHER, [number]) == {}


async def test_text_of_strangers_is_kept_as_far_as_it_can_be(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook)
    (number,) = await answer(store, samples, NotificationState.FAILED, replace(SENT, response="\ud800<script>", content_type="\udfff"))
    kept = await store.list_webhook_attempts(ACCOUNT, [number])
    assert (kept[number][0].response, kept[number][0].content_type) == ("?<script>", "?")


async def test_the_last_twenty_attempts_of_a_notification_are_kept(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook)
    (number,) = await found(store, hook, WAITING)
    for hours in range(23):
        await answer(store, samples, NotificationState.PENDING, now=LATER + timedelta(hours=2 * hours))
    kept = (await store.list_webhook_attempts(ACCOUNT, [number]))[number]
    assert [each.number for each in kept] == list(range(23, 3, -1))


async def test_attempts_go_with_their_notification(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook)
    (number,) = await answer(store, samples, NotificationState.FAILED)
    await store.delete_notifications(created_before=NOW + timedelta(days=1), limit=9)
    assert await store.list_webhook_attempts(ACCOUNT, [number]) == {}
    assert (await store.read_webhook_health(ACCOUNT, hook.id, since=NOW, limit=9)).attempts == 0


async def test_health_counts_the_newest_attempts(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook, 4)
    await answer(store, samples, NotificationState.DELIVERED, replace(SENT, status_code=204, duration_ms=90), limit=1)
    await answer(store, samples, NotificationState.FAILED, limit=1)
    await answer(store, samples, NotificationState.FAILED, SILENT, limit=1)
    health = await store.read_webhook_health(ACCOUNT, hook.id, since=NOW, limit=9)
    assert health == WebhookHealth(attempts=3, successes=1, durations=(90, 212))
    assert (await store.read_webhook_health(ACCOUNT, hook.id, since=LATER + timedelta(seconds=1), limit=9)).attempts == 0
    assert (await store.read_webhook_health(ACCOUNT, hook.id, since=NOW, limit=2)).attempts == 2
    assert (await store.read_webhook_health(OTHER, hook.id, since=NOW, limit=9)).attempts == 0


async def test_failing_are_those_that_were_tried_in_vain(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook, 4)
    given_up = await answer(store, samples, NotificationState.FAILED, limit=1)
    retried = await answer(store, samples, NotificationState.PENDING, limit=1)
    await answer(store, samples, NotificationState.DELIVERED, limit=1)
    assert await found(store, hook) == given_up + retried
    assert await store.count_notifications(ACCOUNT, hook.id, ALL) == 2
    assert await store.count_notifications(ACCOUNT, hook.id, ALL, limit=1) == 1
    assert await store.count_notifications(OTHER, hook.id, ALL) == 0
    (waiting,) = await found(store, hook, WAITING)
    assert await store.count_notifications(ACCOUNT, hook.id, WAITING) == 1
    await store.claim_notifications(now=LATER, lease=samples.lease(), limit=9, busy=frozenset(), per_webhook=9)
    assert await found(store, hook, WAITING) == [waiting]  # it is being sent


async def test_a_list_is_filtered_and_paged(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook, 2)
    await owe(store, hook, 2, at=NOW + timedelta(minutes=2), event=WebhookEvent.DOMAIN_DELETED)
    numbers = await found(store, hook, NotificationFilter())
    await answer(store, samples, NotificationState.FAILED, replace(SENT, status_code=503), limit=1)
    assert await found(store, hook, NotificationFilter(type=WebhookEvent.DOMAIN_DELETED)) == numbers[2:]
    assert await found(store, hook, NotificationFilter(status_code=503)) == numbers[:1]
    assert await found(store, hook, NotificationFilter(start=NOW + timedelta(minutes=1))) == numbers[2:]
    assert await found(store, hook, NotificationFilter(end=NOW + timedelta(minutes=1))) == numbers[:2]
    first = await store.search_notifications(ACCOUNT, hook.id, NotificationFilter(), limit=3)
    assert (first.has_more, [each.id for each in first.items]) == (True, numbers[:0:-1])
    rest = await store.search_notifications(ACCOUNT, hook.id, NotificationFilter(), limit=3, before=numbers[1])
    assert (rest.has_more, [each.id for each in rest.items]) == (False, numbers[:1])
    assert (await store.search_notifications(OTHER, hook.id, NotificationFilter(), limit=3)).items == ()


async def test_chosen_ones_are_sent_again(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook, 3)
    (failed,) = await answer(store, samples, NotificationState.FAILED, limit=1)
    (delivered,) = await answer(store, samples, NotificationState.DELIVERED, limit=1)
    (waiting,) = await found(store, hook, WAITING)
    assert await store.send_again(OTHER, hook.id, [failed, delivered], LATER) == 0
    assert await store.send_again(ACCOUNT, hook.id, [failed, delivered, waiting], LATER) == 2
    again = await get(store, failed)
    assert (again.state, again.attempts, again.due_at, again.response) == (NotificationState.PENDING, 0, LATER, SENT.response)
    assert (await get(store, delivered)).state is NotificationState.DELIVERED
    newest = (await found(store, hook, NotificationFilter()))[-1]
    assert (await get(store, newest)).origin_id == delivered


async def test_a_replay_makes_each_failing_one_due_once(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook, 7)
    failing = await answer(store, samples, NotificationState.FAILED, limit=3)
    failing += await answer(store, samples, NotificationState.PENDING, limit=2)
    assert await store.get_replay(ACCOUNT, hook.id) is None
    assert await store.add_replay(ACCOUNT, hook.id, ALL, by="mara@acme.example", now=LATER) == 5
    begun = await store.get_replay(ACCOUNT, hook.id)
    assert begun is not None
    assert (begun.total, begun.left, begun.unmade, begun.made_by, begun.created_at) == (5, 5, 5, "mara@acme.example", LATER)
    assert await store.work_off_replays(now=LATER, limit=2) == [hook.id]
    half = await store.get_replay(ACCOUNT, hook.id)
    assert half is not None
    assert (half.left, half.unmade, half.waiting) == (5, 3, 2)
    assert await work_off(store) == 2
    assert await found(store, hook) == []
    answered = await answer(store, samples, NotificationState.DELIVERED)
    assert sorted(answered) == sorted({*answered})
    assert {*answered} >= {*failing}
    ended = await store.get_replay(ACCOUNT, hook.id)
    assert ended is not None
    assert (ended.left, ended.delivered, ended.failed) == (0, 5, 0)
    assert await answer(store, samples, NotificationState.DELIVERED) == []
    assert await store.get_replay(OTHER, hook.id) is None


async def test_a_replay_takes_what_matches_and_nothing_newer(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook, 2)
    await owe(store, hook, event=WebhookEvent.DOMAIN_DELETED)
    await owe(store, hook, at=NOW + timedelta(days=2))
    failing = await answer(store, samples, NotificationState.FAILED, replace(SENT, status_code=503), limit=1)
    await answer(store, samples, NotificationState.FAILED, now=LATER + timedelta(days=3))
    which = replace(ALL, type=WebhookEvent.DOMAIN_CREATED, status_code=503)
    assert await store.add_replay(ACCOUNT, hook.id, which, by="", now=LATER) == 1
    await owe(store, hook)
    await answer(store, samples, NotificationState.FAILED, replace(SENT, status_code=503))
    await work_off(store)
    assert await answer(store, samples, NotificationState.DELIVERED) == failing


async def test_a_fact_counts_by_its_newest_notification(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook)
    (first,) = await answer(store, samples, NotificationState.FAILED)
    (second,) = [each.id for each in await store.replay(ACCOUNT, [first], LATER)]
    assert await found(store, hook) == []  # it is on its way
    await answer(store, samples, NotificationState.FAILED)
    assert await found(store, hook) == [second]
    await store.add_replay(ACCOUNT, hook.id, ALL, by="", now=LATER)
    await work_off(store)
    assert await answer(store, samples, NotificationState.DELIVERED) == [second]
    assert await found(store, hook) == []


async def test_a_replay_waits_while_its_webhook_is_paused(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook)
    failing = await answer(store, samples, NotificationState.FAILED)
    await store.add_replay(ACCOUNT, hook.id, ALL, by="", now=LATER)
    await store.disable_webhook(hook.id, "gone", LATER)
    assert await work_off(store) == 0
    off = await store.get_webhook(ACCOUNT, hook.id)
    assert off is not None
    await store.update_webhook(off, replace(off, is_active=True))
    assert await work_off(store) == 1
    assert await answer(store, samples, NotificationState.DELIVERED) == failing


async def test_a_second_replay_takes_the_place_of_the_first(store: Store, samples: Samples, hook: Webhook) -> None:
    await owe(store, hook, 3)
    failing = await answer(store, samples, NotificationState.FAILED)
    await store.add_replay(ACCOUNT, hook.id, ALL, by="", now=LATER)
    await store.work_off_replays(now=LATER, limit=1)
    assert await store.add_replay(ACCOUNT, hook.id, ALL, by="", now=LATER) == 2
    await work_off(store)
    assert sorted(await answer(store, samples, NotificationState.DELIVERED)) == failing


async def test_a_webhook_that_is_gone_cannot_be_replayed(store: Store, hook: Webhook) -> None:
    with pytest.raises(NotFound):
        await store.add_replay(OTHER, hook.id, ALL, by="", now=LATER)
    await store.add_replay(ACCOUNT, hook.id, ALL, by="", now=LATER)
    await store.remove_webhook(ACCOUNT, hook.id)
    assert await work_off(store) == 0


async def test_secrets_are_replaced_with_the_webhook(store: Store, hook: Webhook) -> None:
    rotated = replace(hook, secret="whsec_bmV3", previous_secret=hook.secret, previous_until=LATER)
    await store.update_webhook(hook, rotated)
    assert await store.get_webhook(ACCOUNT, hook.id) == rotated
    assert rotated.second_secret(NOW) == hook.secret
    assert rotated.second_secret(LATER) is None
