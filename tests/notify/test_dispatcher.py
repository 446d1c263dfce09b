"""Webhooks are told what they are owed, in time."""

import asyncio
import json
from datetime import timedelta

import pytest
import standardwebhooks
import structlog
from sendry.resources.webhooks_util import verify_signature

from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.webhook import NotificationState, WebhookEvent
from sendryd.notify.answers import MAX_RESPONSE
from sendryd.notify.dispatcher import FAILING_FOR
from sendryd.notify.endpoint import START_WINDOW
from sendryd.policy.throttle import FAILURES_TO_SUSPEND
from sendryd.store.base import Lease, Notice, NotificationFilter, Outcome, Standing
from sendryd.testing.samples import OWNER, Samples
from sendryd.testing.webhookhost import Fate, Reaction, WebhookHost

from .conftest import ACCOUNT, DELAYS, SECRET, SHORT, World

pytestmark = pytest.mark.sockets


async def test_what_a_receiver_gets(world: World, host: WebhookHost) -> None:
    webhook = await world.webhook(host.url)
    (owed,) = await world.owe(webhook)
    world.start()
    (request,) = await host.wait(1)
    await world.watched.wait(1)
    assert (request.method, request.target) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("sendryd/")
    payload = json.loads(request.body)
    assert request.body == json.dumps(payload, separators=(",", ":")).encode()
    assert (payload["type"], payload["data"], payload["id"]) == ("domain.created", {"n": 0}, request.headers["webhook-id"])
    standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
    assert verify_signature(request.body.decode(), request.headers["sendry-signature"], SECRET)
    assert request.headers["x-sendry-signature"].startswith("sha256=")
    told = await world.get(owed)
    assert (told.state, told.attempts, told.status_code, told.response) == (NotificationState.DELIVERED, 1, 200, "ok")
    assert told.delivered_at == world.clock.now()


async def test_events_of_mail_are_told(world: World, host: WebhookHost) -> None:
    await world.webhook(host.url)
    samples, now = Samples(world.clock.now()), world.clock.now()
    lease = Lease(token=1, owner=OWNER)
    message = samples.message(["jürgen@example.org"], created_at=now, lease=lease)
    await world.store.accept(message)
    event = samples.event(EventType.DELIVERED, {"reply": "250 ok \udce9"})
    outcome = Outcome(delivery_id=message.deliveries[0].id, state=DeliveryState.DELIVERED, due_at=None, reply="250", events=(event,))
    await world.store.record_attempt(lease, [outcome], now)
    world.start()
    (request,) = await host.wait(1)
    payload = json.loads(request.body)
    assert payload["type"] == payload["event"] == "email.delivered"
    assert payload["data"]["to"] == "jürgen@example.org"
    assert "jürgen".encode() in request.body
    assert request.headers["webhook-id"].startswith("evt_")
    standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))


async def test_what_fails_is_tried_again_under_the_same_identity(world: World, host: WebhookHost) -> None:
    host.script = lambda request: Reaction(status=500 if request.number < 4 else 204, body=b"" if request.number == 4 else b"later")
    (owed,) = await world.owe(await world.webhook(host.url))
    world.start()
    for number, expected in enumerate(DELAYS, 1):
        await world.watched.wait(number)
        now = await world.get(owed)
        assert (now.state, now.attempts, now.status_code, now.response) == (NotificationState.PENDING, number, 500, "later")
        delay = await world.advance_to_due()
        assert expected * 0.9 <= delay <= expected * 1.1
    await world.watched.wait(4)
    assert (await world.get(owed)).state is NotificationState.DELIVERED
    assert len({request.headers["webhook-id"] for request in host.received}) == 1
    assert len({request.body for request in host.received}) == 1
    assert len({request.headers["webhook-timestamp"] for request in host.received}) == 4


async def test_it_is_given_up_after_the_last_delay(world: World, host: WebhookHost) -> None:
    host.script = lambda _: Reaction(status=400, body=b"no\0" + b"x" * 9_000)
    (owed,) = await world.owe(webhook := await world.webhook(host.url))
    made = world.start()
    for number in range(1, len(DELAYS) + 2):
        await world.watched.wait(number)
        if number <= len(DELAYS):
            await world.advance_to_due()
    told = await world.get(owed)
    assert (told.state, told.attempts, told.status_code) == (NotificationState.FAILED, 4, 400)
    assert len(told.response) == MAX_RESPONSE
    assert told.response.startswith("no\ufffdx")
    assert (await world.get_webhook(webhook)).is_active
    assert (made.statistics()["failed"], made.statistics()["given_up"]) == (4, 1)


async def test_retry_after_is_kept_by_all_that_goes_there(world: World, host: WebhookHost) -> None:
    host.script = lambda request: Reaction(status=429, headers={"Retry-After": "600"}) if request.number == 1 else Reaction()
    webhook = await world.webhook(host.url)
    (first,) = await world.owe(webhook)
    world.start()
    await world.watched.wait(1)
    assert timedelta(minutes=10) <= (await world.get(first)).due_at - world.clock.now() <= timedelta(minutes=11)
    (second,) = await world.owe(webhook)
    world.advance(timedelta(minutes=9))
    other = await world.webhook(host.url)
    await world.owe(other)
    world.wakeup.set()
    await host.wait(2)
    assert (await world.get(second)).attempts == 0
    world.advance(timedelta(minutes=3))
    await world.watched.wait(4)
    assert {(await world.get(each)).state for each in (first, second)} == {NotificationState.DELIVERED}


async def test_410_switches_it_off_at_once(world: World, host: WebhookHost) -> None:
    host.script = lambda _: Reaction(status=410, body=b"gone")
    webhook = await world.webhook(host.url)
    (owed,) = await world.owe(webhook)
    later = await world.store.add_notification(
        ACCOUNT, webhook.id, Notice(type=WebhookEvent.DOMAIN_CREATED, body={}, created_at=world.clock.now() + timedelta(hours=1))
    )
    with structlog.testing.capture_logs() as logs:
        made = world.start()
        await world.watched.wait(1)
        await made.stop()
    disabled = await world.get_webhook(webhook)
    assert not disabled.is_active
    assert "410" in (disabled.disabled_reason or "")
    assert {(await world.get(each)).state for each in (owed, later)} == {NotificationState.FAILED}
    (entry,) = [entry for entry in logs if entry["event"] == "webhook_disabled"]
    assert (entry["log_level"], entry["reason"]) == ("warning", disabled.disabled_reason)
    assert host.url not in str(logs)  # it may hold a password


async def test_days_of_nothing_but_failures_switch_it_off(world: World, host: WebhookHost) -> None:
    host.script = lambda _: Reaction(status=503, body=b"down")
    webhook = await world.webhook(host.url)
    await world.owe(webhook, START_WINDOW)
    made = world.start()
    await world.watched.wait(START_WINDOW)
    assert (await world.get_webhook(webhook)).failing_since == world.clock.now()
    world.advance(FAILING_FOR - timedelta(minutes=10))
    await world.watched.wait(START_WINDOW * 2)
    assert (await world.get_webhook(webhook)).is_active
    world.advance(timedelta(minutes=11))
    await world.watched.wait(START_WINDOW * 2 + FAILURES_TO_SUSPEND)
    await made.stop()
    disabled = await world.get_webhook(webhook)
    assert not disabled.is_active
    assert disabled.disabled_reason == "Every attempt failed for 3 days; the last one: down"
    assert await world.store.notification_due_at() is None
    assert made.statistics()["disabled"] == 1


async def test_a_rare_failure_does_not_switch_it_off(world: World, host: WebhookHost) -> None:
    """Two events in a week, each of which failed once."""
    host.script = lambda _: Reaction(status=500)
    webhook = await world.webhook(host.url)
    for number in (1, 2):
        await world.owe(webhook)
        made = world.start()
        await world.watched.wait(number)
        await made.stop()
        world.clock.advance(FAILING_FOR * 2)
    assert (await world.get_webhook(webhook)).is_active


async def test_a_success_ends_the_failing_time(world: World, host: WebhookHost) -> None:
    host.script = lambda request: Reaction(status=500 if request.number == 1 else 200)
    webhook = await world.webhook(host.url)
    await world.owe(webhook)
    world.start()
    await world.watched.wait(1)
    assert (await world.get_webhook(webhook)).failing_since is not None
    await world.advance_to_due()
    await world.watched.wait(2)
    assert (await world.get_webhook(webhook)).failing_since is None


async def test_what_another_process_writes_is_seen(world: World, host: WebhookHost) -> None:
    """Without being woken."""
    webhook = await world.webhook(host.url)
    world.start()
    await world.owe(webhook)
    await asyncio.wait_for(world.watched.wait(1), 3.0)


async def test_endpoints_are_forgotten(world: World, host: WebhookHost) -> None:
    host.script = lambda _: Reaction(status=500)
    made = world.start()
    webhook = await world.webhook(host.url)
    await world.owe(webhook)
    await world.watched.wait(1)
    assert made.statistics()["endpoints"] == 1
    while made.statistics()["attempts"]:  # what is watched is not its last step
        await asyncio.sleep(0)
    await world.store.remove_webhook(ACCOUNT, webhook.id)
    host.script = lambda _: Reaction()
    world.advance(timedelta(minutes=10))
    await world.owe(await world.webhook(host.url))
    world.wakeup.set()
    await world.watched.wait(2)
    assert made.statistics()["endpoints"] <= 1  # the second's, until the next look


async def test_each_attempt_is_kept_as_it_was_sent_and_answered(world: World, host: WebhookHost) -> None:
    refused = Reaction(status=500, headers={"Content-Type": "text/html"}, body=b"<script>alert(1)</script>\0\xff" + b"x" * MAX_RESPONSE)
    host.script = lambda request: refused if request.number == 1 else Reaction(status=204, body=b"")
    (owed,) = await world.owe(await world.webhook(host.url))
    world.start()
    await world.watched.wait(1)
    await world.advance_to_due()
    await world.watched.wait(2)
    last, first = (await world.store.list_webhook_attempts(ACCOUNT, [owed.id]))[owed.id]
    assert (first.number, first.status_code, first.content_type, first.url) == (1, 500, "text/html", host.url)
    assert first.response == ("<script>alert(1)</script>\ufffd\ufffd" + "x" * MAX_RESPONSE)[:MAX_RESPONSE]
    assert (last.number, last.status_code, last.response, last.fault) == (2, 204, "", "")
    for attempt, request in zip((first, last), host.received, strict=True):
        assert {name.lower(): value for name, value in attempt.headers.items()}.items() <= request.headers.items()
        assert attempt.headers["webhook-id"] == request.headers["webhook-id"]


async def test_an_attempt_without_an_answer_says_why(world: World, host: WebhookHost) -> None:
    host.script = lambda _request: Fate.SILENCE
    world.client._total_timeout = SHORT
    (owed,) = await world.owe(await world.webhook(host.url))
    world.start()
    await world.watched.wait(1)
    (attempt,) = (await world.store.list_webhook_attempts(ACCOUNT, [owed.id]))[owed.id]
    assert (attempt.status_code, attempt.response, attempt.fault) == (None, "", "No answer within 1 seconds.")


async def test_both_secrets_sign_until_the_old_one_is_over(world: World, host: WebhookHost) -> None:
    new = "whsec_" + "Zz3x" * 11
    until = world.clock.now() + timedelta(hours=1)
    webhook = await world.webhook(host.url, secret=new, previous_secret=SECRET, previous_until=until)
    await world.owe(webhook)
    world.start()
    (request,) = await host.wait(1)
    for secret in (new, SECRET):
        standardwebhooks.Webhook(secret).verify(request.body, dict(request.headers))
    assert verify_signature(request.body.decode(), request.headers["sendry-signature"], SECRET)
    await world.watched.wait(1)
    world.advance(timedelta(hours=1))
    await world.owe(webhook)
    world.wakeup.set()
    (_, request) = await host.wait(2)
    assert verify_signature(request.body.decode(), request.headers["sendry-signature"], new)
    assert SECRET not in request.headers["webhook-signature"]


async def test_a_replay_sends_each_failing_one_again_at_once(world: World, host: WebhookHost) -> None:
    host.script = lambda _request: Reaction(status=500)
    webhook = await world.webhook(host.url)
    owed = await world.owe(webhook, START_WINDOW)
    world.start()
    await world.watched.wait(START_WINDOW)  # the endpoint is suspended now
    host.script = lambda _request: Reaction()
    start, end = owed[0].created_at, world.clock.now()
    which = NotificationFilter(standing=Standing.FAILING, start=start, end=end)
    assert await world.store.add_replay(ACCOUNT, webhook.id, which, by="", now=end) == START_WINDOW
    world.wakeup.set()
    await world.watched.wait(2 * START_WINDOW)
    again = [request.headers["webhook-id"] for request in host.received[START_WINDOW:]]
    assert sorted(again) == sorted({request.headers["webhook-id"] for request in host.received})
    replay = await world.store.get_replay(ACCOUNT, webhook.id)
    assert replay is not None
    assert (replay.left, replay.delivered) == (0, START_WINDOW)
