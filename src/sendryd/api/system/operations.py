"""What runs here and how it does. All but the plans is for everybody."""

from typing import Final

from sendryd import __version__
from sendryd.api.framework.answers import Page, page
from sendryd.api.framework.latency import LatencyBook
from sendryd.api.framework.operation import Call, Handler, Operation
from sendryd.api.framework.requests import not_found, parse_cursor
from sendryd.api.system.changes import RELEASES
from sendryd.api.system.schema import (
    Changelog,
    HistoryQuery,
    Incident,
    Latency,
    LatencyQuery,
    Plans,
    Status,
    Version,
    changelog_json,
    latency_json,
    plans_json,
    status_json,
)
from sendryd.api.system.uptime import API, DATABASE, StatusBook

GROUP: Final = "System"
API_VERSION: Final = "v1"
INCIDENT_PREFIX: Final = "inc"


class SystemHandlers:
    """Everything about this server."""

    def __init__(self, status: StatusBook, latency: LatencyBook) -> None:
        self._status = status
        self._books = {API: latency, DATABASE: status.database_latency}

    def operations(self) -> list[Operation]:
        """The declarations."""
        path = "/v1/status"
        return [
            _public("/v1/version", "Get the version of this server", self.get_version),
            _public("/v1/changelog", "List what changed from version to version", self.get_changelog),
            _public(path, "Get how this server does", self.get_status),
            _public(f"{path}/history", "List incidents", self.list_incidents),
            _public(f"{path}/latency", "Get how long requests took, by the hour", self.get_latency, missing="There is no such part."),
            Operation(
                method="GET",
                path="/v1/plans",
                group=GROUP,
                summary="List the plans: the one that there is",
                handler=self.list_plans,
            ),
        ]

    async def get_version(self, _call: Call[None, None]) -> Version:
        """`GET /v1/version`."""
        return {"version": __version__, "api_version": API_VERSION}

    async def get_changelog(self, _call: Call[None, None]) -> Changelog:
        """`GET /v1/changelog`."""
        return changelog_json(RELEASES)

    async def get_status(self, _call: Call[None, None]) -> Status:
        """`GET /v1/status`: of the parts that run in this process, since it began."""
        status = self._status
        await status.look()
        response_ms = {API: self._books[API].current_p50_ms(), DATABASE: status.last_response_ms}
        return status_json(status.parts, is_up=status.is_up, uptime=status.uptime, checked_at=status.checked_at, response_ms=response_ms)

    async def list_incidents(self, call: Call[None, HistoryQuery]) -> Page[Incident]:
        """`GET /v1/status/history`: nobody reports incidents here, so there are none."""
        parse_cursor(call.query.cursor, INCIDENT_PREFIX)
        return page([], has_more=False)

    async def get_latency(self, call: Call[None, LatencyQuery]) -> Latency:
        """`GET /v1/status/latency`. A part whose times are not measured has no hours; a target that nothing missed is met."""
        query = call.query
        if query.component not in self._status.parts:
            raise not_found(f"Component with a latency (there are {', '.join(self._status.parts)})")
        book = self._books.get(query.component)
        if book is None:
            return latency_json(query.component, None, [])
        return latency_json(query.component, book.current_p50_ms(), book.read(query.hours))

    async def list_plans(self, _call: Call[None, None]) -> Plans:
        """`GET /v1/plans`: everything, without limits."""
        return plans_json()


def _public(path: str, summary: str, handler: Handler, missing: str = "") -> Operation:
    return Operation(method="GET", path=path, group=GROUP, summary=summary, handler=handler, scope=None, missing=missing)
