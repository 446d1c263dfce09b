"""The server's version, changes, status and latency as queries and answers have them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.answers import timestamp_or_none
from sendryd.api.framework.bodies import Limit, PageQuery, Query, Whole
from sendryd.api.framework.latency import MAX_HOURS, TARGET_MS, HourLatency
from sendryd.api.system.changes import Release
from sendryd.api.system.uptime import API, DATABASE, DELIVERY, SMTP, WEBHOOKS
from sendryd.model.moment import timestamp

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


class Version(TypedDict):
    """The versions of the program and of the API."""

    version: str
    api_version: str


class Change(TypedDict):
    """A change of a version."""

    type: str
    description: str


class ChangelogEntry(TypedDict):
    """The changes of one version."""

    version: str
    date: str
    changes: list[Change]


class Changelog(TypedDict):
    """The versions with their changes."""

    entries: list[ChangelogEntry]


class Component(TypedDict):
    """A component of this server and its status."""

    id: str
    name: str
    description: str | None
    group: str | None
    slug: str
    status: str
    uptime_90d: float
    sla_target: float
    sla_met: bool
    current_response_time_ms: float | None


class IncidentUpdate(TypedDict):
    """An update on an incident."""

    id: str
    status: str
    message: str
    created_at: str


class AffectedComponent(TypedDict):
    """A component that an incident affects."""

    id: str
    name: str
    slug: str


class Incident(TypedDict):
    """An incident."""

    id: str
    title: str
    status: str
    impact: str
    starts_at: str | None
    ends_at: str | None
    resolved_at: str | None
    created_at: str
    updated_at: str
    updates: list[IncidentUpdate]
    affected_components: list[AffectedComponent]


class SlaSummary(TypedDict):
    """The uptime against its target."""

    target: float
    current_uptime: float
    sla_met: bool


class Status(TypedDict):
    """The server's status."""

    status: str
    last_checked_at: str | None
    components: list[Component]
    active_incidents: list[Incident]
    sla_summary: SlaSummary


class LatencyHour(TypedDict):
    """Response times in one hour."""

    hour: str
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    sample_count: int
    target_met_pct: float


class Latency(TypedDict):
    """Response times of a component."""

    component: str
    target_ms: float
    current_p50_ms: float | None
    target_met: bool
    hourly: list[LatencyHour]


class Plans(TypedDict):
    """The plans: one, with every feature and no limits."""

    plans: list[dict[str, object]]


def changelog_json(releases: Iterable[Release]) -> Changelog:
    """Releases and their changes."""
    return {"entries": [_release_json(release) for release in releases]}


def _release_json(release: Release) -> ChangelogEntry:
    changes: list[Change] = [{"type": kind, "description": text} for kind, texts in release.changes.items() for text in texts]
    return {"version": release.version, "date": release.date, "changes": changes}


def status_json(
    parts: Iterable[str], *, is_up: bool, uptime: float, checked_at: datetime | None, response_ms: Mapping[str, float | None]
) -> Status:
    """The parts of this process and how much of the time they worked. `uptime` is from 0 to 1; `response_ms` is by part."""
    uptime = round(uptime, 6)
    return {
        "status": "operational" if is_up else "outage",
        "last_checked_at": timestamp_or_none(checked_at),
        "components": [_component_json(slug, is_up=is_up, uptime=uptime, response_ms=response_ms.get(slug)) for slug in parts],
        "active_incidents": [],
        "sla_summary": {"target": UPTIME_TARGET, "current_uptime": uptime, "sla_met": uptime >= UPTIME_TARGET},
    }


def _component_json(slug: str, *, is_up: bool, uptime: float, response_ms: float | None) -> Component:
    part = PARTS[slug]
    return {
        "id": slug,
        "name": part.name,
        "description": part.description,
        "group": part.group,
        "slug": slug,
        "status": "operational" if is_up else "outage" if slug == DATABASE else "degraded",
        "uptime_90d": uptime,
        "sla_target": UPTIME_TARGET,
        "sla_met": uptime >= UPTIME_TARGET,
        "current_response_time_ms": response_ms,
    }


def latency_json(component: str, current_p50_ms: float | None, hours: Sequence[HourLatency]) -> Latency:
    """The latency of a part. The target counts as met while nothing is measured."""
    return {
        "component": component,
        "target_ms": TARGET_MS,
        "current_p50_ms": current_p50_ms,
        "target_met": current_p50_ms is None or current_p50_ms <= TARGET_MS,
        "hourly": [_hour_json(hour) for hour in hours],
    }


def _hour_json(hour: HourLatency) -> LatencyHour:
    return {
        "hour": timestamp(datetime.fromtimestamp(hour.start_ms // 1000, UTC)),
        "p50_ms": hour.p50_ms,
        "p95_ms": hour.p95_ms,
        "p99_ms": hour.p99_ms,
        "sample_count": hour.count,
        "target_met_pct": round(hour.in_time, 4),
    }


def plans_json() -> Plans:
    """The only plan. Its limits are null: it has none."""
    limits = dict.fromkeys(("emails_per_day", "emails_per_month", "domains", "contacts", "team_members"))
    return {"plans": [{"id": "self-hosted", "name": "Self-hosted", "price": 0, "limits": limits}]}
