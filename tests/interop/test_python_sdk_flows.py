"""What users of the official Python SDK do with it: webhooks they can trust, repeats that send once, schedules, errors to act upon."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from sendry import ApiError, AuthenticationError, NotFoundError, RateLimitError, ValidationError, _types, verify_signature

from sendryd.runtime.clock import SystemClock
from sendryd.testing.loopthread import LoopThread
from sendryd.testing.process import RelayProcess
from sendryd.testing.webhookhost import ReceivedRequest, WebhookHost
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import DEPARTURES, ITEMS, LEFT_OUT_OF_LISTS, Client, WrongAnswer, check

AUTHOR: Final = f"hello@{SENDING_DOMAIN}"
RECIPIENT: Final = "user@example.org"
ALLOWED: Final = 3  # requests of a key in ten seconds, in the tests of the limit
MAIL: Final = {"from_": AUTHOR, "to": RECIPIENT, "text": "Hello"}


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# What the tests of the SDK rest on.


def test_answers_of_the_wrong_type_are_noticed() -> None:
    entry: dict[str, Any] = {"email": "a@example.org", "reason": "manual", "created_at": "2026-03-01T12:00:00.000Z"}
    check(_types.SuppressionEntry, {**entry, "more": 1}, "answer")
    for wrong in (
        {"email": "a@example.org", "reason": "manual"},
        {**entry, "reason": None},
        {**entry, "created_at": "2026-03-01"},
        [entry],
    ):
        with pytest.raises(WrongAnswer):
            check(_types.SuppressionEntry, wrong, "answer")
    for kind, wrong in ((_types.BatchUnsubscribeResponse, {"inserted": True}), (_types.DeleteResponse, {"deleted": 1})):
        with pytest.raises(WrongAnswer):
            check(kind, wrong, "answer")
    stats = {"sent": 1, "delivered": 1, "opened": 0, "clicked": 0, "bounced": 0, "complained": 0, "date": "2026-03-01"}
    check(_types.AnalyticsBucket, stats, "answer")
    with pytest.raises(WrongAnswer):
        check(_types.AnalyticsBucket, {**stats, "sent": 1.0}, "answer")


def test_departures_are_of_types_that_the_sdk_has() -> None:
    for name, key in (*DEPARTURES, *LEFT_OUT_OF_LISTS):
        assert key in getattr(_types, name).__annotations__
    assert len(ITEMS) == 11


# Errors.


def test_a_key_that_is_none(client: Client) -> None:
    with pytest.raises(AuthenticationError) as refused:
        client.with_key(f"sn_live_{'x' * 43}").call("emails.list")
    assert (refused.value.status_code, refused.value.code) == (401, "authentication_error")
    assert "API key" in refused.value.message
    with pytest.raises(AuthenticationError):
        client.with_key(f"sn_live_{'x' * 43}").call("attachments.download", "em_0000000000000", 0)


@pytest.mark.parametrize(
    ("scope", "name", "args", "needed"),
    [
        ("read_only", "emails.send", [{**MAIL, "subject": "x"}], "sending_access"),
        ("read_only", "emails.cancel", ["em_0000000000000"], "sending_access"),
        ("read_only", "domains.create", [{"name": "scope.test"}], "full_access"),
        ("sending_access", "webhooks.create", [{"url": "https://example.com/", "events": ["email.opened"]}], "full_access"),
        ("sending_access", "suppression.remove", ["a@example.org"], "full_access"),
    ],
)
def test_a_key_that_may_not(client: Client, scope: str, name: str, args: list[Any], needed: str) -> None:
    made = client.call("api_keys.create", {"name": f"{scope} {client.kind}", "scope": scope})
    with pytest.raises(ApiError) as refused:
        client.with_key(made["key"]).call(name, *args)
    assert (refused.value.status_code, refused.value.code) == (403, "insufficient_scope")
    assert needed in refused.value.message
    client.call("api_keys.remove", made["id"])


def test_a_domain_that_is_not_verified(client: Client) -> None:
    for name, params in (
        ("emails.send", {**MAIL, "from_": "me@unverified.example", "subject": "x"}),
        ("emails.send_batch", {"emails": [{**MAIL, "from_": "me@unverified.example", "subject": "x"}]}),
        (
            "emails.send_marketing",
            {**MAIL, "from_": "me@unverified.example", "subject": "x", "unsubscribe_url": "https://unverified.example/u"},
        ),
    ):
        with pytest.raises(ApiError) as refused:
            client.call(name, params)
        assert (refused.value.status_code, refused.value.code) == (403, "domain_not_verified")
        assert "unverified.example" in refused.value.message


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("emails.get", ["em_0000000000000"]),
        ("emails.get", ["../domains"]),
        ("domains.verify", ["dom_0000000000000"]),
        ("templates.render", ["tmpl_0000000000000"]),
        ("webhooks.update", ["wh_0000000000000", {"active": False}]),
        ("api_keys.remove", ["key_0000000000000"]),
        ("attachments.download", ["em_0000000000000", 0]),
        ("test_emails.get", ["te_0000000000000"]),
    ],
)
def test_what_is_not_there(client: Client, name: str, args: list[Any]) -> None:
    with pytest.raises(NotFoundError) as refused:
        client.call(name, *args)
    assert (refused.value.status_code, refused.value.code) == (404, "not_found")
    assert "not found" in refused.value.message


def test_a_domain_that_is_there_already(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.call("domains.create", {"name": SENDING_DOMAIN})
    assert (refused.value.status_code, refused.value.code) == (409, "conflict")
    details: Any = refused.value.details
    assert client.call("domains.get", details["id"])["name"] == SENDING_DOMAIN


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("emails.send", {"from_": AUTHOR, "subject": "x", "text": "x"}, "to"),
        ("emails.send", {**MAIL, "subject": "x", "to": "nobody"}, "to"),
        ("emails.send", {**MAIL}, "subject"),
        ("emails.send", {**MAIL, "subject": "x", "scheduled_at": "some day"}, "scheduled_at"),
        ("emails.send", {**MAIL, "subject": "x", "headers": {"Sender": "x@example.test"}}, "headers"),
        ("emails.send_marketing", {**MAIL, "subject": "x"}, "unsubscribe_url"),
        ("emails.send_batch", {"emails": []}, "emails"),
        ("emails.list", {"limit": 101}, "limit"),
        ("emails.list", {"cursor": "nonsense"}, "cursor"),
        ("domains.create", {"name": "x"}, "name"),
        ("webhooks.create", {"url": "https://example.com/", "events": []}, "events"),
        ("analytics.stats", {"to": "2026-01-31"}, "from"),
    ],
)
def test_requests_that_cannot_be_meant(client: Client, name: str, params: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        client.call(name, params)
    assert (refused.value.status_code, refused.value.code) == (422, "validation_error")
    details: Any = refused.value.details
    assert details["field"].partition(".")[0] == field
    assert field in refused.value.message.lower()


@pytest.fixture(scope="module")
def strict_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    """A server that lets a key do little."""
    with RelayProcess(tmp_path_factory.mktemp("strict") / "data", {"SENDRYD_API_RATE_LIMIT": f"{ALLOWED}/10s"}) as relay:
        yield relay


@pytest.fixture(scope="module")
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.mark.usefixtures("on_loopback")
@pytest.mark.parametrize("mode", ["live", "test"])
def test_too_many_requests(strict_relay: RelayProcess, loop: LoopThread, mode: str) -> None:
    key = strict_relay.keys[mode]
    client = Client(loop, strict_relay.ready["http"], key, is_async=mode == "test")
    for _ in range(ALLOWED):
        client.call("suppression.list")
    for name in ("suppression.list", "emails.list"):
        with pytest.raises(RateLimitError) as refused:
            client.call(name)
        assert (refused.value.status_code, refused.value.code) == (429, "rate_limit_error")
        assert type(refused.value.retry_after) is int
        assert 1 <= refused.value.retry_after <= 10
    with pytest.raises(RateLimitError) as refused:
        client.call("attachments.download", "em_0000000000000", 0)
    assert type(refused.value.retry_after) is int
    status, body = strict_relay.get("/v1/suppression", key)
    assert (status, body["error"]["code"], type(body["error"]["retry_after"])) == (429, "rate_limited", int)


# Sending.


def test_a_base_url_with_slashes_behind_it(client: Client, world: World) -> None:
    other = Client(world.thread, f"{world.relay.ready['http']}//", world.live_key, is_async=client.is_async)
    assert other.call("regions.list") == client.call("regions.list")


def test_from_is_also_read_as_the_sdk_leaves_it_in_queries(client: Client) -> None:
    period = {"from_": "2026-01-01", "to": "2026-12-31", "group_by": "domain"}
    for name in ("", "/regions", "/cohorts", "/benchmarks", "/comparison", "/export", "/breakdowns"):
        assert client.request("GET", f"/v1/analytics{name}", Any, params=period)


@pytest.mark.parametrize("style", ["send", "batch"])
def test_a_repeat_with_an_idempotency_key_sends_nothing(client: Client, world: World, style: str) -> None:
    """The SDK can only send the header with every request."""
    subject = f"idempotent {style} {client.kind}"
    careful = client.with_key(world.live_key, {"Idempotency-Key": f"order-42 {style} {client.kind}"})
    name = "emails.send" if style == "send" else "emails.send_batch"
    mail = {**MAIL, "subject": subject}
    params = mail if style == "send" else {"emails": [mail, {**mail, "subject": f"{subject} 2"}]}
    first = careful.call(name, params)
    assert careful.call(name, params) == first
    message_id = first["id"] if style == "send" else first["data"][0]["id"]
    assert careful.call("emails.get", message_id)["subject"] == subject  # the header is no matter elsewhere
    with pytest.raises(ApiError) as refused:
        careful.call(name, {**params, "from_": f"other@{SENDING_DOMAIN}"})
    assert (refused.value.status_code, refused.value.code) == (409, "idempotency_conflict")
    assert client.call(name, params) != first  # without the header it is another
    world.wait_for_mail(subject)
    world.wait_until(lambda: arrived(world, subject) >= 2)
    assert arrived(world, subject) == 2


def arrived(world: World, subject: str) -> int:
    return sum(f"\r\nSubject: {subject}\r\n".encode() in mail.content for mail in world.mailhost.mails)


def test_a_scheduled_email_is_changed_and_then_sent(client: Client, world: World) -> None:
    clock = SystemClock()
    first, then = f"planned {client.kind}", f"changed {client.kind}"
    when = iso(clock.now() + timedelta(days=2))
    sent = client.call("emails.send", {**MAIL, "subject": first, "html": "<p>old</p>", "scheduled_at": when})
    assert sent["status"] == "queued"
    path = f"/v1/emails/{sent['id']}"
    assert client.call("emails.get", sent["id"])["scheduled_at"] == when
    changed = client.request("PATCH", path, _types.Email, {"subject": then, "html": "<p>new</p>"})
    assert (changed["id"], changed["subject"], changed["scheduled_at"], changed["status"]) == (sent["id"], then, when, "queued")
    client.request("PATCH", path, _types.Email, {"scheduled_at": iso(clock.now() + timedelta(seconds=1))})
    content = world.decoded(world.wait_for_mail(then).content)
    assert b"<p>new</p>" in content
    assert b"<p>old</p>" not in content
    assert arrived(world, first) == 0
    world.relay.wait_for_status(sent["id"], {"delivered"}, key=world.live_key)
    for method, late in (("POST", f"{path}/cancel"), ("PATCH", path)):
        with pytest.raises(ApiError) as refused:
            client.request(method, late, Any, {"subject": "too late"})
        assert (refused.value.status_code, refused.value.code) == (409, "conflict")


def test_scheduled_marketing_is_cancelled(client: Client) -> None:
    sent = client.call(
        "emails.send_marketing",
        {
            **MAIL,
            "subject": "later",
            "unsubscribe_url": "https://example.test/u",
            "scheduled_at": iso(SystemClock().now() + timedelta(days=1)),
        },
    )
    for _ in range(2):
        assert client.call("emails.cancel", sent["id"]) == {"id": sent["id"], "status": "cancelled"}
    assert client.call("emails.get", sent["id"])["status"] == "cancelled"


# Webhooks.


@pytest.fixture
def host(world: World) -> Iterator[WebhookHost]:
    made = WebhookHost()
    world.thread.run(made.start())
    yield made
    world.thread.run(made.aclose())


def is_trusted(request: ReceivedRequest, secret: str, *, header: str = "sendry-signature", payload: str | None = None) -> bool:
    return verify_signature(request.body.decode() if payload is None else payload, request.headers.get(header, ""), secret)


def test_webhooks_verify_as_the_sdk_verifies_them(client: Client, world: World, host: WebhookHost) -> None:
    hook = client.call("webhooks.create", {"url": host.url, "events": ["email.delivered"]})
    other = client.call("webhooks.create", {"url": "https://hooks.example.com/", "events": ["email.opened"]})
    recipient = f"hooked-{client.kind}@example.org"
    sent = client.call("emails.send", {**MAIL, "to": recipient, "subject": f"héllo {client.kind}"})

    def told() -> list[ReceivedRequest]:
        return [request for request in host.received if sent["id"].encode() in request.body]

    world.wait_until(lambda: bool(told()))
    request = told()[0]
    assert is_trusted(request, hook["secret"])
    assert not is_trusted(request, other["secret"])
    assert not is_trusted(request, hook["secret"], payload=request.body.decode().replace(sent["id"], "em_0000000000000"))
    assert not is_trusted(request, hook["secret"], header="no-such-header")
    event = json.loads(request.body)
    assert (event["type"], event["data"]["email_id"], event["data"]["to"]) == ("email.delivered", sent["id"], recipient)
    assert event["data"]["timestamp"] == event["created_at"]

    def deliveries() -> list[Any]:
        page = client.request("GET", "/v1/webhooks/deliveries", dict[str, Any], params={"webhook_id": hook["id"], "limit": 100})
        return [each for each in page["data"] if each["payload"]["data"]["email_id"] == sent["id"] and each["delivered_at"]]

    world.wait_until(lambda: bool(deliveries()))
    (delivery,) = deliveries()
    assert (delivery["webhook_id"], delivery["payload"], delivery["status_code"], delivery["attempts"]) == (hook["id"], event, 200, 1)
    replayed = client.request("POST", f"/v1/webhooks/deliveries/{delivery['id']}/replay", dict[str, Any])
    assert replayed["queued"] is True
    assert replayed["id"] != delivery["id"]
    world.wait_until(lambda: len(told()) == 2)
    assert is_trusted(told()[1], hook["secret"])
    assert json.loads(told()[1].body) == event
    for each in (hook, other):
        client.call("webhooks.remove", each["id"])
