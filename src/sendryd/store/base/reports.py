"""Statistics of mail, scheduled reports, and the log of API requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import AccountId, ApiKeyId, ApiRequestId, ReportId
from sendryd.model.report import Breakdown, Bucket, Cohort, Counts, Granularity, ScheduledReport, Summary
from sendryd.store.base.paging import Page

MAX_OFFSETS: Final = 60  # buckets that a cohort is followed for: two months of days


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFilter:
    """Which deliveries count: those with an event from `start` up to, not including, `end`. All given conditions hold."""

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
    """Statistics, computed from events on request; scheduled reports; the log of API requests."""

    async def count_activity(self, account_id: AccountId, which: ReportFilter) -> Counts:
        """Number of events of each kind in the whole time range."""
        ...

    async def list_activity(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Bucket]:
        """Number of events of each kind in each bucket of time, oldest first, without empty buckets."""
        ...

    async def break_down(self, account_id: AccountId, which: ReportFilter, by: str, *, limit: int) -> list[Breakdown]:
        """Number of events of each kind by `domain` (the header From's sending domain), `template`, `key`, `tag` (`name=value`; a message counts
        for each of its tags) or `provider` (`policy.providers`), most sent first.
        """
        ...

    async def summarise_activity(self, account_id: AccountId, which: ReportFilter, granularity: Granularity, *, limit: int) -> Summary:
        """What the methods above count, and the period of the same length before. Each breakdown has at most `limit` rows.

        Sums that the follower has made are used where the period begins and ends with a minute, hour or day of which they are kept and no tag is
        asked for; what happened since is counted from events. They go further back than events are kept.
        """
        ...

    async def list_cohorts(self, account_id: AccountId, which: ReportFilter, granularity: Granularity) -> list[Cohort]:
        """Outcomes of the messages accepted in each bucket of time, oldest first, each cohort followed for `MAX_OFFSETS` buckets."""
        ...

    async def add_scheduled_report(self, report: ScheduledReport, *, limit: int | None = None) -> None:
        """Stores a scheduled report. Durable. Raises `LimitReached` if the account would have more than `limit`."""
        ...

    async def list_scheduled_reports(self, account_id: AccountId | None = None) -> list[ScheduledReport]:
        """Reports of one account or of all, newest first."""
        ...

    async def move_scheduled_report(self, report_id: ReportId, due_at: datetime) -> None:
        """Sets when a report is sent next. Raises `NotFound`."""
        ...

    async def remove_scheduled_report(self, account_id: AccountId, report_id: ReportId) -> None:
        """Deletes a scheduled report. Durable. Raises `NotFound`."""
        ...

    async def add_api_requests(self, requests: Sequence[ApiRequest]) -> None:
        """Adds requests to the log."""
        ...

    async def page_api_requests(
        self, account_id: AccountId, which: ApiRequestFilter, *, limit: int, before: ApiRequestId | None = None
    ) -> Page[ApiRequest]:
        """Requests, newest first."""
        ...

    async def count_api_requests(self, account_id: AccountId, which: ApiRequestFilter) -> int:
        """Number of requests that match the filter."""
        ...

    async def count_requests_of_keys(self, account_id: AccountId, *, most: int) -> dict[ApiKeyId, tuple[int, int]]:
        """How many of the last `most` requests of the account each key has made, and how many of these failed (4xx and 5xx)."""
        ...

    async def delete_api_requests(self, *, created_before: datetime, limit: int) -> int:
        """Deletes requests, oldest first. Returns how many."""
        ...
