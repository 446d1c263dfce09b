"""What runs here and how it does. All but the plans is for everybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import Field

from sendryd import __version__
from sendryd.api.framework.answers import Json, Page, timestamp_or_none
from sendryd.api.framework.bodies import Limit, PageQuery, Query, Whole
from sendryd.api.framework.latency import MAX_HOURS, TARGET_MS, HourLatency, LatencyBook
from sendryd.api.framework.operation import Call, Handler, Operation
from sendryd.api.framework.requests import not_found, parse_cursor
from sendryd.api.shapes import Changelog, Incident, Latency, Plans, Status, Version
from sendryd.api.system.changes import RELEASES
from sendryd.api.system.uptime import API, DATABASE, DELIVERY, SMTP, WEBHOOKS, StatusBook
from sendryd.api.wire import page
from sendryd.model.moment import timestamp

GROUP: Final = "System"
API_VERSION: Final = "v1"
INCIDENT_PREFIX: Final = "inc"
HISTORY_LIMIT: Final = 20
UPTIME_TARGET: Final = 0.999  # what the measured time is held against: a month with three quarters of an hour of restarts


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    description: str
    group: str


PARTS: Final[Mapping[str, _Part]] = {
    API: _Part("REST API", "Requests to /v1", "Doors"),
    SMTP: _Part("SMTP submission", "Mail that programs hand in", "Doors"),
    DELIVERY: _Part("Delivery", "Mail on its way to receivers", "Engine"),
    WEBHOOKS: _Part("Webhooks", "Notifications to endpoints", "Engine"),
    DATABASE: _Part("Database", "Where all is stored", "Engine"),
}


class HistoryQuery(PageQuery):
    """Of the list of incidents."""

    limit: Limit = HISTORY_LIMIT


class LatencyQuery(Query):
    """Of which part, and how far back."""

    component: Annotated[str, Field(max_length=100)] = API
    hours: Annotated[Whole, Field(ge=1, le=MAX_HOURS)] = 24


class SystemHandlers:
    """Everything about this server."""

    def __init__(self, status: StatusBook, latency: LatencyBook) -> None:
        self._status = status
        self._books = {API: latency, DATABASE: status.database_latency}

    def operations(self) -> list[Operation]:
        """The declarations."""
        path = "/v1/status"
        return [
            _public("/v1/version", "Get the version of this server", self.get_version, Version),
            _public("/v1/changelog", "List what changed from version to version", self.get_changelog, Changelog),
            _public(path, "Get how this server does", self.get_status, Status),
            _public(f"{path}/history", "List incidents", self.list_incidents, Page[Incident]),
            _public(
                f"{path}/latency", "Get how long requests took, by the hour", self.get_latency, Latency, missing="There is no such part."
            ),
            Operation(
                method="GET",
                path="/v1/plans",
                group=GROUP,
                summary="List the plans: the one that there is",
                handler=self.list_plans,
                answers=Plans,
            ),
        ]

    async def get_version(self, _call: Call[None, None]) -> Json:
        """`GET /v1/version`."""
        return {"version": __version__, "api_version": API_VERSION}

    async def get_changelog(self, _call: Call[None, None]) -> Json:
        """`GET /v1/changelog`."""
        return {
            "entries": [
                {
                    "version": release.version,
                    "date": release.date,
                    "changes": [{"type": kind, "description": text} for kind, texts in release.changes.items() for text in texts],
                }
                for release in RELEASES
            ]
        }

    async def get_status(self, _call: Call[None, None]) -> Json:
        """`GET /v1/status`: of the parts that run in this process, since it began."""
        status = self._status
        await status.look()
        uptime = round(status.uptime, 6)
        is_met = uptime >= UPTIME_TARGET
        return {
            "status": "operational" if status.is_up else "outage",
            "last_checked_at": timestamp_or_none(status.checked_at),
            "components": [self._component_json(slug, uptime, is_met=is_met) for slug in status.parts],
            "active_incidents": [],
            "sla_summary": {"target": UPTIME_TARGET, "current_uptime": uptime, "sla_met": is_met},
        }

    def _component_json(self, slug: str, uptime: float, *, is_met: bool) -> Json:
        part = PARTS[slug]
        is_up = self._status.is_up
        times = {API: self._books[API].current_p50_ms(), DATABASE: self._status.last_response_ms}
        return {
            "id": slug,
            "name": part.name,
            "description": part.description,
            "group": part.group,
            "slug": slug,
            "status": "operational" if is_up else "outage" if slug == DATABASE else "degraded",
            "uptime_90d": uptime,
            "sla_target": UPTIME_TARGET,
            "sla_met": is_met,
            "current_response_time_ms": times.get(slug),
        }

    async def list_incidents(self, call: Call[None, HistoryQuery]) -> Json:
        """`GET /v1/status/history`: nobody reports incidents here, so there are none."""
        parse_cursor(call.query.cursor, INCIDENT_PREFIX)
        return page([], has_more=False)

    async def get_latency(self, call: Call[None, LatencyQuery]) -> Json:
        """`GET /v1/status/latency`. A part whose times are not measured has no hours; a target that nothing missed is met."""
        query: LatencyQuery = call.query
        if query.component not in self._status.parts:
            raise not_found(f"Component with a latency (there are {', '.join(self._status.parts)})")
        book = self._books.get(query.component)
        current = book.current_p50_ms() if book else None
        return {
            "component": query.component,
            "target_ms": TARGET_MS,
            "current_p50_ms": current,
            "target_met": current is None or current <= TARGET_MS,
            "hourly": [_hour_json(hour) for hour in book.read(query.hours)] if book else [],
        }

    async def list_plans(self, _call: Call[None, None]) -> Json:
        """`GET /v1/plans`: everything, without limits."""
        limits: dict[str, Any] = dict.fromkeys(("emails_per_day", "emails_per_month", "domains", "contacts", "team_members"))
        return {"plans": [{"id": "self-hosted", "name": "Self-hosted", "price": 0, "limits": limits}]}


def _public(path: str, summary: str, handler: Handler, answers: Any, missing: str = "") -> Operation:
    return Operation(method="GET", path=path, group=GROUP, summary=summary, handler=handler, scope=None, answers=answers, missing=missing)


def _hour_json(hour: HourLatency) -> Json:
    return {
        "hour": timestamp(datetime.fromtimestamp(hour.start_ms // 1000, UTC)),
        "p50_ms": hour.p50_ms,
        "p95_ms": hour.p95_ms,
        "p99_ms": hour.p99_ms,
        "sample_count": hour.count,
        "target_met_pct": round(hour.in_time, 4),
    }
