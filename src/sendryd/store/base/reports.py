"""Figures about mail, scheduled reports, and the log of API requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import AccountId, ApiRequestId, ReportId
from sendryd.model.report import Breakdown, Bucket, Cohort, Counts, Granularity, ScheduledReport
from sendryd.store.base.paging import Page

MAX_OFFSETS: Final = 60  # stretches that a cohort is followed for: two months of days


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFilter:
    """Which deliveries count: those something happened to from `start` up to, not including, `end`. All given conditions hold."""

    mode: KeyMode
    start: datetime
    end: datetime
    tag: str | None = None  # the name of a tag, or `name:value`
    domain: str | None = None  # A-label name of the header From's domain


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequestFilter:
    """Which requests to list. All given conditions hold."""

    method: str | None = None  # upper case
    status_code: int | None = None
    path: str | None = None  # exact
    text: str | None = None  # case-insensitive, in the path or the method


class ReportStore(Protocol):
    """Figures, computed from events when they are asked for."""

    async def count_activity(self, account_id: AccountId, which: ReportFilter) -> Counts:
        """What happened in the whole time."""
        ...

    async def list_activity(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Bucket]:
        """The same by stretches of time, oldest first, without empty ones."""
        ...

    async def break_down(self, account_id: AccountId, which: ReportFilter, by: str, *, limit: int) -> list[Breakdown]:
        """The same by `domain` (the header From's sending domain) or `template`, most sent first."""
        ...

    async def list_cohorts(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Cohort]:
        """What became of the messages accepted in each stretch of time, oldest first, each followed for `MAX_OFFSETS` stretches."""
        ...

    async def add_scheduled_report(self, report: ScheduledReport, *, limit: int | None = None) -> None:
        """Stores a report that is to be sent. Durable. Raises `LimitReached` if the account would have more than `limit`."""
        ...

    async def list_scheduled_reports(self, account_id: AccountId | None = None) -> list[ScheduledReport]:
        """Reports of one account or of all, newest first."""
        ...

    async def move_scheduled_report(self, report_id: ReportId, due_at: datetime) -> None:
        """Sets when a report is sent next. Raises `NotFound`."""
        ...

    async def remove_scheduled_report(self, account_id: AccountId, report_id: ReportId) -> None:
        """Sends a report no more. Durable. Raises `NotFound`."""
        ...

    async def add_api_requests(self, requests: Sequence[ApiRequest]) -> None:
        """Stores requests for the log."""
        ...

    async def page_api_requests(
        self, account_id: AccountId, which: ApiRequestFilter, *, limit: int, before: ApiRequestId | None = None
    ) -> Page[ApiRequest]:
        """Requests, newest first."""
        ...

    async def count_api_requests(self, account_id: AccountId, which: ApiRequestFilter) -> int:
        """How many requests the filter lets through."""
        ...

    async def delete_api_requests(self, *, created_before: datetime, limit: int) -> int:
        """Deletes requests, oldest first. Returns how many."""
        ...
