"""Webhooks as a client sees them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import AccountId, NotificationId, format_id, parse_id
from sendryd.model.webhook import NotificationState, WebhookEvent
from sendryd.store.base import Lease, NotificationOutcome
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases
from sendryd.testing.samples import OWNER

Key = tuple[ApiKey, str]
PATH = "/v1/webhooks"
URL = "https://hooks.example.com/in"
EVENTS = ["email.delivered", "email.bounced"]


@pytest.fixture
async def webhook(api: ApiWorld, owner: str) -> dict[str, Any]:
    return await add(api, owner)


async def add(api: ApiWorld, secret: str, url: str = URL) -> dict[str, Any]:
    api.clock.advance(timedelta(seconds=1))
    answer = await api.send("POST", PATH, secret, {"url": url, "events": EVENTS})
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    return made


async def finish(api: ApiWorld, state: NotificationState) -> None:
    """What the dispatcher does with all that is due."""
    now = api.clock.now()
    lease = Lease(token=7, owner=OWNER)
    due = now + timedelta(minutes=5) if state is NotificationState.PENDING else None
    for claim in await api.store.claim_notifications(now=now, lease=lease, limit=100, busy=frozenset(), per_webhook=100):
        outcome = NotificationOutcome(
            notification_id=claim.notification.id, state=state, due_at=due, status_code=500, response="<b>broken</b>"
        )
        await api.store.record_notification(lease, outcome, now)


async def test_a_new_webhook_has_the_shape_of_the_contract(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    assert webhook["id"].startswith("wh_")
    assert webhook["secret"].startswith("whsec_")
    assert {**webhook, "id": "", "secret": ""} == {
        "id": "",
        "secret": "",
        "url": URL,
        "events": EVENTS,
        "active": True,
        "failing_since": None,
        "disabled_reason": None,
        "created_at": "2026-03-01T12:00:01.000Z",
        "updated_at": "2026-03-01T12:00:01.000Z",
    }
    assert (await api.get(f"{PATH}/{webhook['id']}", owner)).json == webhook


async def test_lists_have_no_secrets(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    other = await add(api, owner, "https://other.example.net/Hook")
    listed = (await api.get(PATH, owner)).json
    shown = [{name: value for name, value in each.items() if name != "secret"} for each in (other, webhook)]
    assert listed == {"data": shown, "has_more": False, "next_cursor": None, "total": 2}
    assert (await api.get(f"{PATH}?q=HOOKS.example", owner)).json["data"] == [shown[1]]
    first = (await api.get(f"{PATH}?limit=1", owner)).json
    assert (first["data"], first["has_more"], first["total"]) == ([shown[0]], True, 2)
    assert (await api.get(f"{PATH}?limit=1&cursor={first['next_cursor']}", owner)).json["data"] == [shown[1]]


@cases("url", ["http://127.0.0.1/x", "https://localhost/", "ftp://example.com", "hooks", "https://a:b@example.com", "", 5, None])
async def test_urls_that_are_refused(api: ApiWorld, owner: str, webhook: dict[str, Any], url: object) -> None:
    assert (await api.send("POST", PATH, owner, {"url": url, "events": EVENTS})).fault == (422, "validation_error", "url")
    if url is not None:
        assert (await api.send("PUT", f"{PATH}/{webhook['id']}", owner, {"url": url})).fault == (422, "validation_error", "url")
    assert (await api.get(PATH, owner)).json["total"] == 1


@cases("events", [[], ["email.sent"], ["*"], "email.delivered", None, [5], ["email.delivered"] * 101])
async def test_events_that_are_refused(api: ApiWorld, owner: str, events: object) -> None:
    answer = await api.send("POST", PATH, owner, {"url": URL, "events": events})
    assert (answer.status, answer.json["error"]["details"]["field"].split(".")[0]) == (422, "events")


async def test_an_unknown_event_is_answered_with_those_there_are(api: ApiWorld, owner: str) -> None:
    message = (await api.send("POST", PATH, owner, {"url": URL, "events": ["email.sent"]})).json["error"]["message"]
    assert "'email.sent' is not an event" in message
    assert all(event.value in message for event in WebhookEvent)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_updates_change_what_they_name(api: ApiWorld, owner: str, webhook: dict[str, Any], method: str) -> None:
    api.clock.advance(timedelta(hours=1))
    target = f"{PATH}/{webhook['id']}"
    changed = (await api.send(method, target, owner, {"active": False, "url": None})).json
    assert changed == {**webhook, "active": False, "updated_at": "2026-03-01T13:00:01.000Z"}
    changed = (await api.send(method, target, owner, {"events": ["email.clicked"], "active": True})).json
    assert (changed["events"], changed["active"], changed["url"]) == (["email.clicked"], True, URL)
    assert (await api.send(method, target, owner)).json == changed
    for body, field in (({"active": "no"}, "active"), ({"events": []}, "events"), ({"events": ["x"]}, "events")):
        assert (await api.send(method, target, owner, body)).fault == (422, "validation_error", field)


async def test_removal(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    target = f"{PATH}/{webhook['id']}"
    assert (await api.send("DELETE", target, owner)).json == {"deleted": True}
    for method in ("GET", "PUT", "DELETE"):
        assert (await api.send(method, target, owner)).fault == (404, "not_found", None)


async def test_a_test_event_is_owed_and_shown(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    made = (await api.send("POST", f"{PATH}/{webhook['id']}/test", owner)).json
    assert made["queued"] is True
    (row,) = (await api.get(f"{PATH}/deliveries", owner)).json["data"]
    payload = row.pop("payload")
    assert row == {
        "id": made["id"],
        "webhook_id": webhook["id"],
        "event": "email.delivered",
        "status": "pending",
        "status_code": None,
        "response": None,
        "attempts": 0,
        "next_attempt_at": "2026-03-01T12:00:01.000Z",
        "delivered_at": None,
        "created_at": "2026-03-01T12:00:01.000Z",
    }
    assert payload["type"] == payload["event"] == "email.delivered"
    assert payload["data"]["test"] is True


async def test_deliveries_tell_how_it_went(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    other = await add(api, owner, "https://other.example.net/")
    await api.send("POST", f"{PATH}/{webhook['id']}/test", owner)
    await finish(api, NotificationState.PENDING)
    (row,) = (await api.get(f"{PATH}/deliveries?webhook_id={webhook['id']}", owner)).json["data"]
    assert (row["status"], row["status_code"], row["attempts"], row["response"]) == ("pending", 500, 1, "<b>broken</b>")
    assert row["next_attempt_at"] == "2026-03-01T12:05:02.000Z"
    api.clock.advance(timedelta(minutes=5))
    await finish(api, NotificationState.DELIVERED)
    (row,) = (await api.get(f"{PATH}/deliveries", owner)).json["data"]
    assert (row["status"], row["delivered_at"], row["next_attempt_at"]) == ("delivered", "2026-03-01T12:05:02.000Z", None)
    assert (await api.get(f"{PATH}/deliveries?webhook_id={other['id']}", owner)).json["data"] == []
    for query, field in (("webhook_id=x", "webhook_id"), ("cursor=wh_1", "cursor")):
        assert (await api.get(f"{PATH}/deliveries?{query}", owner)).fault == (422, "validation_error", field)


async def test_one_delivery_is_replayed(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    made = (await api.send("POST", f"{PATH}/{webhook['id']}/test", owner)).json
    await finish(api, NotificationState.FAILED)
    again = (await api.send("POST", f"{PATH}/deliveries/{made['id']}/replay", owner)).json
    assert again["queued"] is True
    rows = (await api.get(f"{PATH}/deliveries", owner)).json["data"]
    assert [(row["id"], row["status"]) for row in rows] == [(again["id"], "pending"), (made["id"], "failed")]
    assert rows[0]["payload"]["id"] == rows[1]["payload"]["id"]


async def test_a_range_is_replayed(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    target = f"{PATH}/{webhook['id']}"
    for state in (NotificationState.FAILED, NotificationState.DELIVERED):
        await api.send("POST", f"{target}/test", owner)
        await finish(api, state)
    assert (await api.send("POST", f"{target}/replay", owner, {"from": "2026-03-02", "to": "2026-03-03"})).json == {"queued": 0}
    assert (await api.send("POST", f"{target}/replay", owner, {"from": "2026-03-01", "to": "2026-03-01"})).json == {"queued": 1}
    everything = {"from_": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00+01:00", "failed_only": False}
    assert (await api.send("POST", f"{target}/replay", owner, everything)).json == {"queued": 2}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"),
        ({"from": "2026-03-01"}, "to"),
        ({"from": "yesterday", "to": "2026-03-01"}, "from"),
        ({"from": 5, "to": "2026-03-01"}, "from"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "to"),
        ({"from": "2026-03-01", "to": "2026-03-02", "failed_only": "no"}, "failed_only"),
    ],
)
async def test_bad_ranges(api: ApiWorld, owner: str, webhook: dict[str, Any], body: object, field: str) -> None:
    assert (await api.send("POST", f"{PATH}/{webhook['id']}/replay", owner, body)).fault == (422, "validation_error", field)


async def test_disabled_webhooks_refuse_test_events_and_replays(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    target = f"{PATH}/{webhook['id']}"
    made = (await api.send("POST", f"{target}/test", owner)).json
    await api.send("PUT", target, owner, {"active": False})
    day = {"from": "2026-03-01", "to": "2026-03-02"}
    for path in (f"{target}/test", f"{target}/replay", f"{PATH}/deliveries/{made['id']}/replay"):
        assert (await api.send("POST", path, owner, day)).fault == (409, "conflict", None)


async def test_other_accounts_and_other_ids_are_not_found(api: ApiWorld, owner: str, stranger: Key, webhook: dict[str, Any]) -> None:
    made = (await api.send("POST", f"{PATH}/{webhook['id']}/test", owner)).json
    day = {"from": "2026-03-01", "to": "2026-03-02"}
    paths = [("POST", f"{PATH}/deliveries/{made['id']}/replay"), ("POST", f"{PATH}/deliveries/{webhook['id']}/replay")]
    for name in (webhook["id"], "x", format_id("em", 5)):
        paths += [(method, f"{PATH}/{name}") for method in ("GET", "PUT", "PATCH", "DELETE")]
        paths += [("POST", f"{PATH}/{name}/test"), ("POST", f"{PATH}/{name}/replay")]
    for method, path in paths:
        assert (await api.send(method, path, stranger[1], day)).fault == (404, "not_found", None), (method, path)
    assert (await api.get(PATH, stranger[1])).json["total"] == 0
    assert (await api.get(f"{PATH}/deliveries", stranger[1])).json["data"] == []
    assert (await api.get(f"{PATH}/deliveries?webhook_id={webhook['id']}", stranger[1])).json["data"] == []
    number = parse_id(made["id"], "whd")
    assert number is not None
    assert await api.store.get_notification(AccountId(1), NotificationId(number)) is not None


async def test_only_full_access_manages(api: ApiWorld, owner: str, webhook: dict[str, Any]) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "weak", scope=Scope.SENDING_ACCESS)
    target = f"{PATH}/{webhook['id']}"
    for method, path in (("POST", PATH), ("PUT", target), ("DELETE", target), ("POST", f"{target}/test"), ("POST", f"{target}/replay")):
        assert (await api.send(method, path, secret, {})).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(target, secret)).status == 200


async def test_an_account_has_fifty_webhooks(api: ApiWorld) -> None:
    _, live = await api.keys.create(System(AccountId(1)), "live")
    _, test = await api.keys.create(System(AccountId(1)), "test", mode=KeyMode.TEST)
    body = {"url": "https://example.com/in", "events": ["email.delivered"]}
    answers = await asyncio.gather(*(api.send("POST", "/v1/webhooks", live, body) for _ in range(52)))
    assert sorted(each.status for each in answers) == [200] * 50 + [409] * 2
    for secret in (live, test):
        refused = await api.send("POST", "/v1/webhooks", secret, body)
        assert (refused.status, refused.json["code"]) == (409, "conflict")
        assert refused.json["message"] == "The account has 50 webhooks, the most that it may have: remove one first"
    assert (await api.send("DELETE", f"/v1/webhooks/{answers[0].json['id']}", live)).status == 200
    assert (await api.send("POST", "/v1/webhooks", live, body)).status == 200
