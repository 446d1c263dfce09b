"""What runs here and how it does."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd import __version__
from sendryd.api.system.changes import RELEASES, UNRELEASED
from sendryd.api.system.uptime import INTERVAL, StatusBook
from sendryd.model.apikey import ApiKey
from sendryd.model.ids import format_id
from sendryd.store.errors import StoreFull, StoreUnavailable
from sendryd.testing.api import ApiWorld
from sendryd.testing.clock import ManualClock

Key = tuple[ApiKey, str]
ROOT = Path(__file__).parents[3]


async def test_everybody_may_ask_and_only_plans_need_a_key(api: ApiWorld, live: Key) -> None:
    for target in ("/v1/version", "/v1/changelog", "/v1/status", "/v1/status/history", "/v1/status/latency"):
        assert (await api.get(target)).status == 200
        assert (await api.get(f"{target}/", "nonsense")).status == 200
    assert (await api.get("/v1/plans")).status == 401
    plans = (await api.get("/v1/plans", live[1])).json["plans"]
    assert [plan["id"] for plan in plans] == ["self-hosted"]
    assert set(plans[0]["limits"].values()) == {None}


async def test_the_version_is_the_one_that_runs(api: ApiWorld) -> None:
    assert (await api.get("/v1/version")).json == {"version": __version__, "api_version": "v1"}


async def test_the_changelog_begins_with_the_version_that_runs(api: ApiWorld) -> None:
    entries = (await api.get("/v1/changelog")).json["entries"]
    assert entries[0]["version"] == __version__
    assert {change["type"] for entry in entries for change in entry["changes"]} <= {"added", "changed", "fixed", "removed", "security"}


def test_every_released_version_is_in_both_changelogs() -> None:
    written = dict(re.findall(r"^## \[?([0-9][^\]\s]*)\]? - (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE))
    assert {release.version: release.date for release in RELEASES if release.date != UNRELEASED} == written


async def test_what_does_well_is_operational(api: ApiWorld) -> None:
    status = (await api.get("/v1/status")).json
    assert (status["status"], status["last_checked_at"], status["active_incidents"]) == ("operational", "2026-03-01T12:00:00.000Z", [])
    assert [part["slug"] for part in status["components"]] == ["api-gateway", "smtp", "delivery", "database"]
    assert {part["status"] for part in status["components"]} == {"operational"}
    assert {part["uptime_90d"] for part in status["components"]} == {1.0}
    assert status["sla_summary"] == {"target": 0.999, "current_uptime": 1.0, "sla_met": True}


async def test_a_store_that_cannot_be_written_is_an_outage_and_counts(api: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.get("/v1/status")

    async def refuse() -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(api.store, "check_writable", refuse)
    assert (await api.get("/v1/status")).json["status"] == "operational"  # tried a moment ago
    api.clock.advance(timedelta(seconds=INTERVAL))
    answer = await api.get("/v1/status")
    assert b"disk" not in answer.body
    status = answer.json
    assert status["status"] == "outage"
    assert {part["slug"]: part["status"] for part in status["components"]} == {
        "api-gateway": "degraded",
        "smtp": "degraded",
        "delivery": "degraded",
        "database": "outage",
    }
    assert status["sla_summary"] == {"target": 0.999, "current_uptime": 0.5, "sla_met": False}
    assert status["components"][-1]["current_response_time_ms"] is None
    monkeypatch.undo()
    api.clock.advance(timedelta(seconds=INTERVAL))
    assert (await api.get("/v1/status")).json["sla_summary"]["current_uptime"] == pytest.approx(2 / 3, abs=1e-6)


class Disk:
    """The one method that is asked."""

    def __init__(self) -> None:
        self.is_full = False

    async def check_writable(self) -> None:
        if self.is_full:
            raise StoreFull("full")


async def test_ninety_days_count() -> None:
    clock, disk = ManualClock(), Disk()
    book = StatusBook(disk, clock, [])  # type: ignore[arg-type]
    disk.is_full = True
    await book.look()
    disk.is_full = False
    for _ in range(89):
        clock.advance(timedelta(days=1))
        await book.look()
    assert book.uptime == pytest.approx(89 / 90)
    clock.advance(timedelta(days=1))
    await book.look()
    assert book.uptime == 1.0


async def test_there_are_no_incidents(api: ApiWorld) -> None:
    for target in ("/v1/status/history", f"/v1/status/history?limit=1&cursor={format_id('inc', 3)}"):
        assert (await api.get(target)).json == {"data": [], "has_more": False, "next_cursor": None}
    for query in ("limit=0", "limit=101", "limit=x", "cursor=x"):
        assert (await api.get(f"/v1/status/history?{query}")).status == 422


async def test_latency_is_that_of_requests_with_keys(api: ApiWorld, live: Key) -> None:
    before = (await api.get("/v1/status/latency")).json
    assert before == {
        "component": "api-gateway",
        "target_ms": 200.0,
        "current_p50_ms": None,
        "target_met": True,
        "hourly": [
            {"hour": "2026-03-01T12:00:00.000Z", "p50_ms": None, "p95_ms": None, "p99_ms": None, "sample_count": 0, "target_met_pct": 0.0}
        ],
    }
    for target in ("/v1/emails", "/v1/emails?limit=x", "/v1/plans"):
        await api.get(target, live[1])
    await api.get("/v1/emails", "nonsense")
    await api.get("/v1/test-emails/wait?timeout=0", live[1])  # waits by design
    after = (await api.get("/v1/status/latency?component=api-gateway&hours=1")).json
    assert (after["hourly"][0]["sample_count"], after["hourly"][0]["target_met_pct"]) == (3, 1.0)
    assert after["current_p50_ms"] is not None
    assert (await api.get("/v1/status")).json["components"][0]["current_response_time_ms"] == after["current_p50_ms"]


async def test_latency_of_other_parts(api: ApiWorld) -> None:
    await api.get("/v1/status")
    assert (await api.get("/v1/status/latency?component=database")).json["hourly"][0]["sample_count"] == 1
    assert (await api.get("/v1/status/latency?component=smtp")).json["hourly"] == []
    answer = await api.get("/v1/status/latency?component=webhooks")  # not in this process
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert "smtp" in answer.json["message"]
    for query in ("hours=0", "hours=169", "hours=1.5", "hours=-1", f"component={'x' * 101}"):
        assert (await api.get(f"/v1/status/latency?{query}")).status == 422
    api.clock.advance(timedelta(days=30))
    assert len((await api.get("/v1/status/latency")).json["hourly"]) == 24
    assert len((await api.get("/v1/status/latency?hours=168")).json["hourly"]) == 168
