"""Figures as a client sees them."""

import csv
import io
import json
from datetime import timedelta
from urllib.parse import quote

import pytest

from sendryd.model.actor import System
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.event import EventType
from sendryd.model.ids import AccountId, EventId
from sendryd.store.base import Engagement, EventFilter, NewEvent
from sendryd.testing.api import ApiWorld
from sendryd.testing.cases import cases

Key = tuple[ApiKey, str]
PATH = "/v1/analytics"
DAYS = "from=2026-03-01&to=2026-03-03"
ZEROS = {"sent": 0, "delivered": 0, "opened": 0, "clicked": 0, "bounced": 0, "complained": 0, "inbound_received": 0}


async def happen(api: ApiWorld, key: ApiKey, *types: EventType, recipients: int = 1) -> None:
    """Mail is accepted, and this becomes of it within seconds."""
    number = await api.add_message(key, recipients=[f"u{n}@example.org" for n in range(recipients)])
    told = await api.store.list_events(key.account_id, EventFilter(mode=key.mode, message_id=number), limit=100)
    for delivery_id in {event.delivery_id for event in told.items if event.delivery_id is not None}:
        for event_type in types:
            event = NewEvent(id=EventId(api.ids.next()), type=event_type, metadata={})
            await api.store.record_engagements([Engagement(delivery_id=delivery_id, event=event, happened_at=api.clock.now())])


async def make_history(api: ApiWorld, key: ApiKey) -> None:
    """Four delivered, one of them opened and clicked, and one bounced on the first day; one delivered on the third."""
    await happen(api, key, EventType.DELIVERED, recipients=3)
    await happen(api, key, EventType.DELIVERED, EventType.OPENED, EventType.CLICKED)
    await happen(api, key, EventType.BOUNCED)
    api.clock.advance(timedelta(days=2))
    await happen(api, key, EventType.DELIVERED)


async def test_stats_have_the_shape_of_the_contract(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    body = (await api.get(f"{PATH}?{DAYS}", owner_key[1])).json
    assert body == {
        "summary": {
            **ZEROS,
            "sent": 6,
            "delivered": 5,
            "opened": 1,
            "clicked": 1,
            "bounced": 1,
            "delivery_rate": 0.833333,
            "open_rate": 0.2,
            "click_rate": 0.2,
            "bounce_rate": 0.166667,
            "complaint_rate": 0.0,
        },
        "timeseries": [
            {"date": "2026-03-01", **ZEROS, "sent": 5, "delivered": 4, "opened": 1, "clicked": 1, "bounced": 1},
            {"date": "2026-03-02", **ZEROS},
            {"date": "2026-03-03", **ZEROS, "sent": 1, "delivered": 1},
        ],
    }
    assert (await api.get(f"{PATH}/stats?{DAYS}", owner_key[1])).json == body
    assert (await api.get(f"{PATH}/?{DAYS.replace('from=', 'from_=')}", owner_key[1])).json == body


async def test_times_are_exact_and_dates_whole(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])  # the first at 12:00:01, the last two days and three seconds behind it

    async def delivered(start: str, end: str) -> int:
        answer = await api.get(f"{PATH}?from={quote(start)}&to={quote(end)}", owner_key[1])
        count: int = answer.json["summary"]["delivered"]
        return count

    assert await delivered("2026-03-01T12:00:01Z", "2026-03-01T12:00:02Z") == 3
    assert await delivered("2026-03-01T14:00:01+02:00", "2026-03-01T14:00:03+02:00") == 4
    assert await delivered("2026-03-01", "2026-03-01") == 4
    assert await delivered("2026-03-02", "2026-03-03") == 1
    assert await delivered("2026-02-01", "2026-02-28") == 0


@pytest.mark.parametrize(
    ("granularity", "dates"),
    [
        ("week", ["2026-02-23", "2026-03-02"]),
        ("month", ["2026-03-01"]),
        ("day", ["2026-03-01", "2026-03-02", "2026-03-03"]),
    ],
)
async def test_granularity(api: ApiWorld, owner_key: Key, granularity: str, dates: list[str]) -> None:
    await make_history(api, owner_key[0])
    series = (await api.get(f"{PATH}?{DAYS}&granularity={granularity}", owner_key[1])).json["timeseries"]
    assert [point["date"] for point in series] == dates
    assert sum(point["sent"] for point in series) == 6


async def test_hours(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    series = (await api.get(f"{PATH}?from=2026-03-01&to=2026-03-01&granularity=hour", owner_key[1])).json["timeseries"]
    assert len(series) == 24
    assert [point["date"] for point in series if point["sent"]] == ["2026-03-01T12:00:00.000Z"]


async def test_domain_and_tag_filter(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    for query, sent in (("domain=Example.TEST.", 6), ("domain=other.test", 0), ("tag=kind", 0), ("tag=kind:x", 0)):
        assert (await api.get(f"{PATH}?{DAYS}&{query}", owner_key[1])).json["summary"]["sent"] == sent


@cases("path", ["", "/stats", "/cohorts", "/benchmarks", "/comparison", "/export", "/regions", "/breakdowns"])
@cases(
    ("query", "field"),
    [
        ("", "from"),
        ("from=2026-03-01", "to"),
        ("to=2026-03-01", "from"),
        ("from=yesterday&to=2026-03-01", "from"),
        ("from=2026-03-01&to=2026-02-31", "to"),
        ("from=2026-03-02&to=2026-03-01", "to"),
        ("from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "to"),
        ("from=2020-01-01&to=2026-03-01", "to"),
        ("from=0001-01-01&to=2026-03-01", "from"),
        ("from=2026-03-01&to=9999-12-31", "to"),
        ("from=2026-03-01T00:00:00%2B99:00&to=2026-03-02", "from"),
    ],
)
async def test_bad_periods(api: ApiWorld, owner_key: Key, path: str, query: str, field: str) -> None:
    assert (await api.get(f"{PATH}{path}?group_by=domain&{query}", owner_key[1])).fault == (422, "validation_error", field)


@cases(
    ("target", "field"),
    [
        (f"?{DAYS}&granularity=minute", "granularity"),
        ("?from=2025-01-01&to=2026-01-01&granularity=hour", "granularity"),
        (f"?{DAYS}&domain=no+domain", "domain"),
        (f"/cohorts?{DAYS}&granularity=hour", "granularity"),
        ("/cohorts?from=2025-01-01&to=2026-01-01&granularity=day", "granularity"),
        (f"/cohorts?{DAYS}&metric=bounce_rate", "metric"),
        (f"/breakdowns?{DAYS}", "group_by"),
        (f"/breakdowns?{DAYS}&group_by=tag", "group_by"),
        (f"/breakdowns?{DAYS}&group_by=domain&limit=51", "limit"),
        (f"/breakdowns?{DAYS}&group_by=domain&limit=0", "limit"),
        (f"/export?{DAYS}&format=xml", "format"),
    ],
)
async def test_bad_queries(api: ApiWorld, owner_key: Key, target: str, field: str) -> None:
    assert (await api.get(PATH + target, owner_key[1])).fault == (422, "validation_error", field)


async def test_a_series_that_is_too_long_is_refused_with_advice(api: ApiWorld, owner_key: Key) -> None:
    answer = await api.get(f"{PATH}?from=2025-01-01&to=2026-01-01&granularity=hour", owner_key[1])
    assert "take longer ones or a shorter time" in answer.json["error"]["message"]


async def test_cohorts(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    body = (await api.get(f"{PATH}/cohorts?{DAYS}&granularity=day&metric=delivery_rate", owner_key[1])).json
    assert (body["granularity"], body["metric"]) == ("day", "delivery_rate")
    assert [(row["cohort_date"], row["period_offset"], row["total_sent"], row["metric_value"]) for row in body["cohorts"]] == [
        ("2026-03-01", 0, 5, 0.8),
        ("2026-03-01", 1, 5, 0.8),
        ("2026-03-01", 2, 5, 0.8),
        ("2026-03-03", 0, 1, 1.0),
    ]
    assert (await api.get(f"{PATH}/cohorts?{DAYS}", owner_key[1])).json["granularity"] == "week"


async def test_breakdowns(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    body = (await api.get(f"{PATH}/breakdowns?{DAYS}&group_by=domain", owner_key[1])).json
    (row,) = body["data"]
    assert (body["group_by"], row["id"], row["name"], row["sent"], row["delivery_rate"]) == ("domain", None, "example.test", 6, 0.833333)
    (row,) = (await api.get(f"{PATH}/breakdowns?{DAYS}&group_by=template", owner_key[1])).json["data"]
    assert (row["id"], row["name"], row["sent"]) == (None, None, 6)


async def test_comparison(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    body = (await api.get(f"{PATH}/comparison?from=2026-03-03&to=2026-03-04", owner_key[1])).json
    assert (body["current"]["sent"], body["previous"]["sent"]) == (1, 5)
    assert body["changes"] == {
        "sent_pct": -80.0,
        "delivered_pct": -75.0,
        "opened_pct": -100.0,
        "clicked_pct": -100.0,
        "bounced_pct": -100.0,
        "complained_pct": 0.0,
        "delivery_rate_delta": 0.2,
        "open_rate_delta": -0.25,
        "click_rate_delta": -0.25,
        "bounce_rate_delta": -0.2,
        "complaint_rate_delta": 0.0,
    }


async def test_the_export_is_a_json_string_for_sdks_and_csv_for_who_names_it(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    answer = await api.get(f"{PATH}/export?{DAYS}", owner_key[1])
    assert answer.headers["content-type"] == "application/json"
    headers = [("authorization", f"Bearer {owner_key[1]}"), ("accept", "text/csv")]
    raw = await api.request("GET", f"{PATH}/export?{DAYS}", headers)
    assert raw.headers["content-type"].startswith("text/csv")
    assert raw.body.decode() == answer.json == json.loads(answer.body)
    rows = list(csv.reader(io.StringIO(answer.json)))
    assert rows[0][:3] == ["date", "sent", "delivered"]
    assert [row[:3] for row in rows[1:]] == [["2026-03-01", "5", "4"], ["2026-03-02", "0", "0"], ["2026-03-03", "1", "1"]]
    assert dict(zip(rows[0], rows[1], strict=True))["delivery_rate"] == "0.8"


async def test_the_export_as_json_is_as_the_figures(api: ApiWorld, owner_key: Key) -> None:
    await make_history(api, owner_key[0])
    exported = (await api.get(f"{PATH}/export?{DAYS}&format=json", owner_key[1])).json
    assert exported == (await api.get(f"{PATH}?{DAYS}", owner_key[1])).json


async def test_there_is_one_region(api: ApiWorld, owner_key: Key) -> None:
    assert (await api.get(f"{PATH}/regions?{DAYS}", owner_key[1])).json == {"data": [{"region": "self", "count": 0, "percentage": 0.0}]}
    await make_history(api, owner_key[0])
    answer = await api.get(f"{PATH}/regions?{DAYS.replace('from=', 'from_=')}", owner_key[1])
    assert answer.json == {"data": [{"region": "self", "count": 6, "percentage": 100.0}]}


async def test_benchmarks_invent_nothing(api: ApiWorld, owner_key: Key) -> None:
    assert (await api.get(f"{PATH}/benchmarks?{DAYS}", owner_key[1])).json == {"data": [], "benchmark_opt_in": False, "org_count": 0}
    for choice in (True, False):
        assert (await api.send("POST", f"{PATH}/benchmarks/opt-in", owner_key[1], {"opt_in": choice})).json == {"benchmark_opt_in": choice}
        body = (await api.get(f"{PATH}/benchmarks?{DAYS}", owner_key[1])).json
        assert body == {"data": [], "benchmark_opt_in": choice, "org_count": int(choice)}
    for wrong in ("yes", 1, None):
        answer = await api.send("POST", f"{PATH}/benchmarks/opt-in", owner_key[1], {"opt_in": wrong})
        assert answer.fault == (422, "validation_error", "opt_in")


async def test_each_sees_its_own_figures(api: ApiWorld, owner_key: Key, stranger: Key, tester: Key) -> None:
    await make_history(api, owner_key[0])
    await happen(api, tester[0])
    for (_, secret), sent in ((stranger, 0), (tester, 1), (owner_key, 6)):
        assert (await api.get(f"{PATH}?{DAYS}", secret)).json["summary"]["sent"] == sent
        assert (await api.get(f"{PATH}/comparison?{DAYS}", secret)).json["current"]["sent"] == sent
        assert (await api.get(f"{PATH}/regions?{DAYS}", secret)).json["data"][0]["count"] == sent
        rows = (await api.get(f"{PATH}/breakdowns?{DAYS}&group_by=domain", secret)).json["data"]
        assert sum(row["sent"] for row in rows) == sent


async def test_figures_are_not_in_the_log_of_requests(api: ApiWorld, owner_key: Key) -> None:
    await api.get(f"{PATH}?{DAYS}", owner_key[1])
    await api.get(f"{PATH}/scheduled-reports", owner_key[1])
    await api.request_log.flush()
    assert (await api.get("/v1/logs/api-requests", owner_key[1])).json["data"] == []


async def test_scopes(api: ApiWorld) -> None:
    _, secret = await api.keys.create(System(AccountId(1)), "weak", scope=Scope.READ_ONLY)
    assert (await api.send("POST", f"{PATH}/benchmarks/opt-in", secret, {})).fault[:2] == (403, "insufficient_scope")
    assert (await api.get(f"{PATH}?{DAYS}", secret)).status == 200
