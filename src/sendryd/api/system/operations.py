"""Status, latency and plans of this installation. Only the plans need a key."""

from typing import Final

from sendryd import __version__
from sendryd.api.framework.answers import Page, page
from sendryd.api.framework.group import Group
from sendryd.api.framework.latency import LatencyBook
from sendryd.api.framework.operation import Call, Operation
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

GROUP: Final = Group("System", "The server's version, status and response times.")
API_VERSION: Final = "v1"
INCIDENT_PREFIX: Final = "inc"


class SystemHandlers:
    """The operations on this server."""

    def __init__(self, status: StatusBook, latency: LatencyBook) -> None:
        self._status = status
        self._books = {API: latency, DATABASE: status.database_latency}

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/version", self.get_version, is_public=True),
            Operation(GROUP, "GET /v1/changelog", self.get_changelog, is_public=True),
            Operation(GROUP, "GET /v1/status", self.get_status, is_public=True),
            Operation(GROUP, "GET /v1/status/history", self.list_incidents, is_public=True),
            Operation(GROUP, "GET /v1/status/latency", self.get_latency, is_public=True, missing="The server has no such part."),
            Operation(GROUP, "GET /v1/plans", self.list_plans),
        ]

    async def get_version(self, _call: Call[None, None]) -> Version:
        """Get the server's version.

        The answer has the version of the program and of the API.
        """
        return {"version": __version__, "api_version": API_VERSION}

    async def get_changelog(self, _call: Call[None, None]) -> Changelog:
        """List the changes of each version.

        The newest version comes first.
        """
        return changelog_json(RELEASES)

    async def get_status(self, _call: Call[None, None]) -> Status:
        """Get the server's status.

        The answer lists the parts that run in this process, with figures since it started.
        """
        status = self._status
        await status.look()
        response_ms = {API: self._books[API].current_p50_ms(), DATABASE: status.last_response_ms}
        return status_json(status.parts, is_up=status.is_up, uptime=status.uptime, checked_at=status.checked_at, response_ms=response_ms)

    async def list_incidents(self, call: Call[None, HistoryQuery]) -> Page[Incident]:
        """List incidents.

        This server records no incidents: the list is empty.
        """
        parse_cursor(call.query.cursor, int, INCIDENT_PREFIX)
        return page([], has_more=False)

    async def get_latency(self, call: Call[None, LatencyQuery]) -> Latency:
        """Get response times by the hour.

        A part whose response times are not measured has no hours. A target without a miss counts as met.
        """
        query = call.query
        if query.component not in self._status.parts:
            raise not_found(f"Component with a latency (there are {', '.join(self._status.parts)})")
        book = self._books.get(query.component)
        if book is None:
            return latency_json(query.component, None, [])
        return latency_json(query.component, book.current_p50_ms(), book.read(query.hours))

    async def list_plans(self, _call: Call[None, None]) -> Plans:
        """List the plans.

        There is one plan: every feature, without limits.
        """
        return plans_json()
