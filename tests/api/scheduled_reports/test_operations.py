"""Scheduled reports as a client sees them."""

import asyncio
from typing import Any

import pytest

from sendryd.accounts.scheduled_reports import MAX_REPORTS
from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import AccountId, format_id
from sendryd.testing.api import ApiWorld

Key = tuple[ApiKey, str]
REPORTS = "/v1/analytics/scheduled-reports"


async def schedule(api: ApiWorld, secret: str, frequency: str = "weekly") -> dict[str, Any]:
    answer = await api.send("POST", REPORTS, secret, {"frequency": frequency, "recipients": ["Ann@Example.org", "ann@example.org"]})
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    return made


@pytest.mark.parametrize(("frequency", "next_at"), [("daily", "2026-03-02"), ("weekly", "2026-03-02"), ("monthly", "2026-04-01")])
async def test_a_report_is_scheduled(api: ApiWorld, owner_key: Key, frequency: str, next_at: str) -> None:
    made = await schedule(api, owner_key[1], frequency)
    assert made["id"].startswith("rep_")
    assert {**made, "id": ""} == {
        "id": "",
        "frequency": frequency,
        "recipients": ["ann@example.org"],
        "next_at": f"{next_at}T06:00:00.000Z",
        "created_at": "2026-03-01T12:00:00.000Z",
    }
    assert (await api.get(REPORTS, owner_key[1])).json == {"data": [made]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "frequency"),
        ({"frequency": "hourly", "recipients": ["a@example.org"]}, "frequency"),
        ({"frequency": "daily"}, "recipients"),
        ({"frequency": "daily", "recipients": []}, "recipients"),
        ({"frequency": "daily", "recipients": [f"u{n}@example.org" for n in range(11)]}, "recipients"),
        ({"frequency": "daily", "recipients": ["a@example.org", "nobody"]}, "recipients.1"),
    ],
)
async def test_what_cannot_be_scheduled(api: ApiWorld, owner_key: Key, body: object, field: str) -> None:
    answer = await api.send("POST", REPORTS, owner_key[1], body)
    assert (answer.status, answer.json["error"]["details"]["field"]) == (422, field)
    assert (await api.get(REPORTS, owner_key[1])).json == {"data": []}


async def test_requests_at_the_same_time_cannot_pass_the_limit_of_reports(api: ApiWorld, owner_key: Key) -> None:
    body = {"frequency": "daily", "recipients": ["a@example.org"]}
    for _ in range(MAX_REPORTS - 1):
        await schedule(api, owner_key[1])
    answers = await asyncio.gather(*(api.send("POST", REPORTS, owner_key[1], body) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status == 409)
    assert refused.fault[1] == "conflict"
    assert "50 scheduled reports, the most that it may have: remove one first" in refused.json["error"]["message"]


async def test_reports_of_others_are_out_of_reach(api: ApiWorld, owner_key: Key, stranger: Key) -> None:
    made = await schedule(api, owner_key[1])
    assert (await api.get(REPORTS, stranger[1])).json == {"data": []}
    for name in (made["id"], "x", format_id("em", 5)):
        assert (await api.send("DELETE", f"{REPORTS}/{name}", stranger[1])).fault == (404, "not_found", None)
    assert (await api.send("DELETE", f"{REPORTS}/{made['id']}", owner_key[1])).json == {"deleted": True}
    assert (await api.send("DELETE", f"{REPORTS}/{made['id']}", owner_key[1])).status == 404


async def test_only_full_access_schedules_and_removes_reports(api: ApiWorld) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "weak", scope=Scope.READ_ONLY)
    for method, path in (("POST", REPORTS), ("DELETE", f"{REPORTS}/x")):
        assert (await api.send(method, path, secret, {})).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(REPORTS, secret)).status == 200
