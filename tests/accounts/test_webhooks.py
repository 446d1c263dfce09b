"""Webhooks are made, changed and removed, tried out, and told again."""

import base64
from datetime import timedelta

import pytest

from sendryd.accounts.webhooks import SECRET_OVERLAP, BadWebhook, Signer, WebhookChange, Webhooks
from sendryd.model.actor import Person, Role, System
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, NotificationId, PersonId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookEvent
from sendryd.policy.payload import fact_id, payload_of
from sendryd.policy.permissions import may_see_url
from sendryd.policy.webhook_signature import sign
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Lease, Notice, NotificationFilter, NotificationOutcome, Store
from sendryd.store.errors import NotAllowed, NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import OWNER

ACCOUNT, STRANGER = AccountId(1), AccountId(2)
URL = "https://hooks.example.com/in"


def webhooks_of(store: Store, clock: ManualClock, *, allow_private: bool = False) -> Webhooks:
    rand = SeededRand(1)
    return Webhooks(store, clock=clock, ids=IdSource(clock, rand), rand=rand, allow_private=allow_private)


@pytest.fixture
def webhooks(store: Store, clock: ManualClock) -> Webhooks:
    return webhooks_of(store, clock)


async def give_up(store: Store, clock: ManualClock) -> list[Notification]:
    """What a dispatcher does when it has tried long enough."""
    lease = Lease(token=7, owner=OWNER)
    claims = await store.claim_notifications(now=clock.now(), lease=lease, limit=1000, busy=frozenset(), per_webhook=1000)
    for claim in claims:
        outcome = NotificationOutcome(
            notification_id=claim.notification.id, state=NotificationState.FAILED, due_at=None, status_code=500, response="no"
        )
        await store.record_notification(lease, outcome, clock.now())
    return [claim.notification for claim in claims]


async def owe(store: Store, clock: ManualClock, webhook: Webhook, count: int = 1) -> list[Notification]:
    notices = [Notice(type=WebhookEvent.DOMAIN_CREATED, body={"n": number}, created_at=clock.now()) for number in range(count)]
    return [await store.add_notification(ACCOUNT, webhook.id, notice) for notice in notices]


async def test_a_new_webhook(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(
        System(ACCOUNT), "HTTPS://Hooks.Example.com:443/in", ["email.opened", "email.delivered", "email.opened"]
    )
    assert webhook.url == URL
    assert webhook.events == (WebhookEvent.EMAIL_OPENED, WebhookEvent.EMAIL_DELIVERED)
    assert (webhook.is_active, webhook.created_at, webhook.failing_since) == (True, clock.now(), None)
    prefix, _, key = webhook.secret.partition("_")
    assert prefix == "whsec"
    assert 24 <= len(base64.b64decode(key, validate=True)) <= 64
    assert await store.get_webhook(ACCOUNT, webhook.id) == webhook
    assert (await webhooks.create(System(ACCOUNT), URL, ["email.opened"])).secret != webhook.secret


@pytest.mark.parametrize(
    ("url", "events", "field", "words"),
    [
        ("http://127.0.0.1/", ["email.opened"], "url", "public"),
        ("ftp://example.com/", ["email.opened"], "url", "https://"),
        (URL, [], "events", "at least one"),
        (URL, ["email.sent"], "events", "'email.sent'"),
        (URL, ["email.opened", "*"], "events", "email.delivered"),
    ],
)
async def test_what_cannot_be_a_webhook(webhooks: Webhooks, store: Store, url: str, events: list[str], field: str, words: str) -> None:
    with pytest.raises(BadWebhook, match=words) as caught:
        await webhooks.create(System(ACCOUNT), url, events)
    assert caught.value.field == field
    assert await store.count_webhooks(ACCOUNT) == 0
    webhook = await webhooks.create(System(ACCOUNT), URL, ["email.opened"])
    with pytest.raises(BadWebhook, match=words):
        await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(url=url, events=events))
    assert await store.get_webhook(ACCOUNT, webhook.id) == webhook


async def test_private_targets_where_they_are_allowed(store: Store, clock: ManualClock) -> None:
    webhook = await webhooks_of(store, clock, allow_private=True).create(System(ACCOUNT), "http://127.0.0.1:8080/", ["email.opened"])
    assert webhook.url == "http://127.0.0.1:8080/"


async def test_a_change_leaves_the_rest(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["email.opened"])
    clock.advance(timedelta(minutes=1))
    changed = await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(events=["email.clicked"]))
    assert (changed.url, changed.secret, changed.is_active) == (webhook.url, webhook.secret, True)
    assert changed.events == (WebhookEvent.EMAIL_CLICKED,)
    assert (changed.created_at, changed.updated_at) == (webhook.created_at, clock.now())
    assert await store.get_webhook(ACCOUNT, webhook.id) == changed
    paused = await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(is_active=False))
    assert (paused.is_active, paused.disabled_reason) == (False, None)


async def test_switched_on_again_it_begins_with_a_clean_record(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["email.opened"])
    await owe(store, clock, webhook)
    await give_up(store, clock)
    await store.disable_webhook(webhook.id, "gone", clock.now())
    disabled = await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(events=["email.clicked"]))
    assert (disabled.is_active, disabled.disabled_reason) == (False, "gone")
    assert disabled.failing_since is not None
    active = await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(is_active=True))
    assert (active.is_active, active.disabled_reason, active.failing_since) == (True, None, None)


async def test_another_url_begins_with_a_clean_record(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["email.opened"])
    await owe(store, clock, webhook)
    await give_up(store, clock)
    assert (await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(url=URL))).failing_since == clock.now()
    assert (await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(url=URL + "2"))).failing_since is None


async def test_other_accounts_have_nothing_to_do_with_it(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["email.opened"])
    (notification,) = await owe(store, clock, webhook)
    for call in (
        webhooks.update(System(STRANGER), webhook.id, WebhookChange(is_active=False)),
        webhooks.remove(System(STRANGER), webhook.id),
        webhooks.test_event(System(STRANGER), webhook.id),
        webhooks.replay(System(STRANGER), notification.id),
        webhooks.replay_range(System(STRANGER), webhook.id, start=clock.now(), end=clock.now()),
    ):
        with pytest.raises(NotFound):
            await call
    assert await store.get_webhook(ACCOUNT, webhook.id) == webhook


async def test_removal(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["email.opened"])
    (notification,) = await owe(store, clock, webhook)
    await webhooks.remove(System(ACCOUNT), webhook.id)
    assert await store.get_webhook(ACCOUNT, webhook.id) is None
    assert await store.get_notification(ACCOUNT, notification.id) is None
    for call in (
        webhooks.remove(System(ACCOUNT), webhook.id),
        webhooks.replay(System(ACCOUNT), NotificationId(1)),
        webhooks.test_event(System(ACCOUNT), WebhookId(1)),
    ):
        with pytest.raises(NotFound):
            await call


@pytest.mark.parametrize(
    ("events", "expected"),
    [(["email.opened", "email.delivered"], "email.delivered"), (["domain.created", "email.opened"], "domain.created")],
)
async def test_a_test_event_says_that_it_is_one(webhooks: Webhooks, events: list[str], expected: str) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, events)
    payload = payload_of(await webhooks.test_event(System(ACCOUNT), webhook.id))
    assert payload["type"] == payload["event"] == expected
    assert payload["data"]["test"] is True
    assert "test" in payload["data"]["message"]


async def test_disabled_webhooks_refuse_test_events_and_replays(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["email.opened"])
    (notification,) = await owe(store, clock, webhook)
    await webhooks.update(System(ACCOUNT), webhook.id, WebhookChange(is_active=False))
    for call in (
        webhooks.test_event(System(ACCOUNT), webhook.id),
        webhooks.replay(System(ACCOUNT), notification.id),
        webhooks.replay_range(System(ACCOUNT), webhook.id, start=clock.now(), end=clock.now()),
    ):
        with pytest.raises(NotAllowed, match="activate"):
            await call


async def test_a_replay_tells_the_same_fact_under_the_same_identity(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["domain.created"])
    (first,) = await owe(store, clock, webhook)
    await give_up(store, clock)
    clock.advance(timedelta(hours=1))
    second = await webhooks.replay(System(ACCOUNT), first.id)
    third = await webhooks.replay(System(ACCOUNT), second.id)
    assert len({first.id, second.id, third.id}) == 3
    assert fact_id(first) == fact_id(second) == fact_id(third)
    assert (second.state, second.attempts, second.due_at) == (NotificationState.PENDING, 0, clock.now())


async def test_a_range_is_replayed_once(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["domain.created"])
    await owe(store, clock, webhook)
    await give_up(store, clock)
    clock.advance(timedelta(hours=1))
    start = clock.now()
    failed = await owe(store, clock, webhook, 5)
    await give_up(store, clock)
    pending = await owe(store, clock, webhook)
    made = await webhooks.replay_range(System(ACCOUNT), webhook.id, start=start, end=clock.now(), batch=2)
    assert [each.origin_id for each in made] == [each.id for each in failed]
    all_of_them = await webhooks.replay_range(System(ACCOUNT), webhook.id, start=start, end=clock.now(), is_failed=False, batch=2)
    assert [each.origin_id for each in all_of_them] == [each.id for each in failed + pending]
    assert await webhooks.replay_range(System(ACCOUNT), webhook.id, start=start + timedelta(hours=1), end=start + timedelta(hours=2)) == []


async def test_ranges_that_cannot_be_replayed(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    webhook = await webhooks.create(System(ACCOUNT), URL, ["domain.created"])
    await owe(store, clock, webhook, 4)
    await give_up(store, clock)
    with pytest.raises(BadWebhook, match="shorter") as caught:
        await webhooks.replay_range(System(ACCOUNT), webhook.id, start=clock.now(), end=clock.now(), limit=3)
    assert caught.value.field == "to"
    with pytest.raises(BadWebhook, match="before from"):
        await webhooks.replay_range(System(ACCOUNT), webhook.id, start=clock.now(), end=clock.now() - timedelta(seconds=1))
    assert len((await store.page_notifications(ACCOUNT, limit=100)).items) == 4


async def test_a_rotated_secret_is_valid_beside_the_old_one_for_a_day(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    actor = System(ACCOUNT)
    webhook = await webhooks.create(actor, URL, ["email.opened"])
    signed = "\n".join(f"{name}: {value}" for name, value in sign(webhook.secret, b"{}", identity="evt_1", timestamp=1).items())
    assert await webhooks.check_signature(actor, webhook.id, signed, b"{}") is Signer.PRESENT
    rotated = await webhooks.rotate_secret(actor, webhook.id)
    assert rotated.secret != webhook.secret
    assert (rotated.previous_secret, rotated.previous_until) == (webhook.secret, clock.now() + SECRET_OVERLAP)
    assert await store.get_webhook(ACCOUNT, webhook.id) == rotated
    assert await webhooks.check_signature(actor, webhook.id, signed, b"{}") is Signer.PREVIOUS
    clock.advance(SECRET_OVERLAP)
    assert await webhooks.check_signature(actor, webhook.id, signed, b"{}") is Signer.EXPIRED
    settled = await webhooks.end_previous_secret(actor, webhook.id)
    assert (settled.secret, settled.previous_secret, settled.previous_until) == (rotated.secret, None, None)
    assert await webhooks.check_signature(actor, webhook.id, signed, b"{}") is Signer.UNKNOWN
    with pytest.raises(BadWebhook, match="no signature") as caught:
        await webhooks.check_signature(actor, webhook.id, "nothing", b"{}")
    assert caught.value.field == "headers"


async def test_all_that_fails_is_replayed_in_the_background(webhooks: Webhooks, store: Store, clock: ManualClock) -> None:
    actor = System(ACCOUNT)
    webhook = await webhooks.create(actor, URL, ["email.opened"])
    await owe(store, clock, webhook, 3)
    failed = await give_up(store, clock)
    clock.advance(timedelta(minutes=1))
    assert await webhooks.replay_failing(actor, webhook.id, NotificationFilter(end=failed[0].created_at), by="Mara") == 3
    assert await store.work_off_replays(now=clock.now(), limit=9) == [webhook.id]
    assert {each.id for each in await give_up(store, clock)} == {each.id for each in failed}
    assert await webhooks.send_again(actor, webhook.id, [failed[0].id]) == 1
    with pytest.raises(BadWebhook, match="before from"):
        await webhooks.replay_failing(actor, webhook.id, NotificationFilter(start=clock.now(), end=failed[0].created_at), by="")
    await webhooks.update(actor, webhook.id, WebhookChange(is_active=False))
    with pytest.raises(NotAllowed):
        await webhooks.replay_failing(actor, webhook.id, NotificationFilter(), by="")
    with pytest.raises(NotAllowed):
        await webhooks.send_again(actor, webhook.id, [failed[0].id])
    with pytest.raises(NotFound):
        await webhooks.rotate_secret(System(STRANGER), webhook.id)


@pytest.mark.parametrize(("role", "may"), [(Role.VIEWER, False), (Role.MEMBER, True), (Role.ADMIN, True), (Role.OWNER, True)])
def test_people_who_may_change_a_webhook_see_its_whole_url(role: Role, may: bool) -> None:
    for mode in KeyMode:
        assert may_see_url(Person(ACCOUNT, PersonId(1), role), mode) is may
