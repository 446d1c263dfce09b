"""Figures about mail."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field
from starlette.responses import Response

from sendryd.accounts.account import AccountOffice
from sendryd.api.analytics.figures import breakdown_json, changes_json, cohort_json, counts_json, period_json, stretch_text
from sendryd.api.framework.answers import Json
from sendryd.api.framework.answers import Whole as WholeList
from sendryd.api.framework.bodies import Body, Query, SearchText, Whole
from sendryd.api.framework.moments import read_moment
from sendryd.api.framework.operation import Call, Handler, Operation
from sendryd.api.framework.requests import invalid, respond
from sendryd.api.framework.tables import csv_text
from sendryd.api.regions.operations import OWN_REGION
from sendryd.api.shapes import Analytics, BenchmarkOptIn, Benchmarks, Breakdowns, Cohorts, Comparison, RegionCount
from sendryd.message.author import normalise_domain
from sendryd.message.errors import MalformedMessage
from sendryd.model.apikey import Scope
from sendryd.model.report import Bucket, Granularity
from sendryd.policy.figures import TooManyPoints, bucket_starts, fill
from sendryd.store.base import ReportFilter, ReportStore

GROUP: Final = "Analytics"
PATH: Final = "/v1/analytics"
MAX_PERIOD: Final = timedelta(days=1830)  # five years: events are kept for less, and a comparison looks at as much again
MAX_COHORTS: Final = 120  # four months of days; each is followed for up to 60 stretches, so that an answer has some thousand rows
FIRST_YEAR, LAST_YEAR = 2000, 2090  # of what can be asked for; there was and will be no mail outside of them
_STEP: Final = timedelta(milliseconds=1)
_COLUMNS: Final = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "inbound_received")
_RATES: Final = ("delivery_rate", "open_rate", "click_rate", "bounce_rate", "complaint_rate")


def _in_range(moment: datetime) -> datetime:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"give a time between {FIRST_YEAR} and {LAST_YEAR}")
    return moment.astimezone(UTC)


def _read_end(value: object) -> object:
    """The first moment behind a period: a date belongs to it as a whole, a time does not."""
    if not isinstance(value, str):
        return value
    end = read_moment(value, is_end=True)
    return end if end == read_moment(value) else end + _STEP if end.year <= LAST_YEAR else end


def _read_start(value: object) -> object:
    return read_moment(value) if isinstance(value, str) else value


_DATES: Final = "A date or time in ISO 8601; without a zone it is UTC."
Start = Annotated[
    datetime,
    BeforeValidator(_read_start),
    AfterValidator(_in_range),
    Field(validation_alias=AliasChoices("from", "from_"), description=_DATES),
]
End = Annotated[
    datetime,
    BeforeValidator(_read_end),
    AfterValidator(_in_range),
    Field(validation_alias="to", description=f"{_DATES} Dates are included."),
]


_FILE: Final = {"text/csv": "The series as a file, to who accepts `text/csv` alone."}


class PeriodQuery(Query):
    """Figures of a time."""

    start: Start
    end: End


class StatsQuery(PeriodQuery):
    """Figures of a time, perhaps of some of the mail."""

    granularity: Granularity = Granularity.DAY
    tag: Annotated[SearchText, Field(description="The name of a tag, or `name:value`.")] | None = None
    domain: Annotated[SearchText, Field(description="A domain that mail is sent from.")] | None = None


class ExportQuery(StatsQuery):
    """The same as a file."""

    format: Literal["csv", "json"] = "csv"


class CohortsQuery(PeriodQuery):
    """How rates grow."""

    granularity: Literal["day", "week", "month"] = "week"
    metric: Literal["open_rate", "click_rate", "delivery_rate"] = "open_rate"


class BenchmarksQuery(PeriodQuery):
    """A comparison with others."""

    granularity: Literal["day", "week", "month"] = "day"


class BreakdownsQuery(PeriodQuery):
    """Figures by domain or template."""

    group_by: Literal["domain", "template"]
    limit: Annotated[Whole, Field(ge=1, le=50)] = 10


class OptIn(Body):
    """Whether to take part in comparisons."""

    opt_in: bool


class AnalyticsHandlers:
    """Everything that counts mail of the key's mode."""

    def __init__(self, store: ReportStore, accounts: AccountOffice) -> None:
        self._store = store
        self._accounts = accounts

    def operations(self) -> list[Operation]:
        """The declarations. As the contract has it, these requests are not in the log of API requests."""
        stats = self._get(PATH, "Get counts and rates of a time, and a series", self.get_stats, Analytics)
        return [
            stats,
            stats.alias(path=f"{PATH}/stats"),
            self._get(f"{PATH}/cohorts", "Get how rates grow with the time since sending", self.get_cohorts, Cohorts),
            self._get(f"{PATH}/benchmarks", "Compare with other organisations", self.get_benchmarks, Benchmarks),
            Operation(
                method="POST",
                path=f"{PATH}/benchmarks/opt-in",
                group=GROUP,
                summary="Choose whether to take part in comparisons",
                handler=self.opt_in,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=BenchmarkOptIn,
                is_logged=False,
                example={"opt_in": False},
            ),
            self._get(f"{PATH}/breakdowns", "Get figures by domain or template", self.get_breakdowns, Breakdowns),
            self._get(f"{PATH}/comparison", "Compare with the time before", self.get_comparison, Comparison),
            self._get(
                f"{PATH}/export",
                "Download a series as CSV or JSON",
                self.export,
                Analytics | str,
                media=_FILE,
            ),
            self._get(f"{PATH}/regions", "Get figures by region", self.get_regions, WholeList[RegionCount]),
        ]

    def _get(self, path: str, summary: str, handler: Handler, answers: Any, media: Mapping[str, str] | None = None) -> Operation:
        return Operation(
            method="GET", path=path, group=GROUP, summary=summary, handler=handler, answers=answers, is_logged=False, media=media
        )

    async def get_stats(self, call: Call[None, StatsQuery]) -> Json:
        """`GET /v1/analytics`."""
        which, points = await self._series(call)
        summary = await self._store.count_activity(call.key.account_id, which)
        granularity: Granularity = call.query.granularity
        return {
            "summary": period_json(summary),
            "timeseries": [{"date": stretch_text(each.start, granularity), **counts_json(each.counts)} for each in points],
        }

    async def _series(self, call: Call[Any, Any]) -> tuple[ReportFilter, list[Bucket]]:
        query: StatsQuery = call.query
        which = _filter(call)
        try:
            starts = bucket_starts(which.start, which.end, query.granularity)
        except TooManyPoints as error:
            raise invalid("granularity", f"granularity: {error}") from None
        return which, fill(starts, await self._store.list_activity(call.key.account_id, which, query.granularity))

    async def get_cohorts(self, call: Call[None, CohortsQuery]) -> Json:
        """`GET /v1/analytics/cohorts`."""
        query: CohortsQuery = call.query
        which, granularity = _filter(call), Granularity(query.granularity)
        try:
            bucket_starts(which.start, which.end, granularity, MAX_COHORTS)
        except TooManyPoints as error:
            raise invalid("granularity", f"granularity: {error}") from None
        cohorts = await self._store.list_cohorts(call.key.account_id, which, granularity)
        rows = [cohort_json(each, granularity, query.metric) for each in cohorts]
        return {"cohorts": rows, "granularity": query.granularity, "metric": query.metric}

    async def get_benchmarks(self, call: Call[None, BenchmarksQuery]) -> Json:
        """`GET /v1/analytics/benchmarks`: nobody else's figures are here, and none are invented."""
        _filter(call)
        account = await self._accounts.get(call.key.account_id)
        is_in = account.settings.benchmark_opt_in
        return {"data": [], "benchmark_opt_in": is_in, "org_count": int(is_in)}

    async def opt_in(self, call: Call[OptIn, None]) -> Json:
        """`POST /v1/analytics/benchmarks/opt-in`."""
        body: OptIn = call.body
        account = await self._accounts.change(call.key.account_id, lambda settings: replace(settings, benchmark_opt_in=body.opt_in))
        return {"benchmark_opt_in": account.settings.benchmark_opt_in}

    async def get_breakdowns(self, call: Call[None, BreakdownsQuery]) -> Json:
        """`GET /v1/analytics/breakdowns`."""
        query: BreakdownsQuery = call.query
        found = await self._store.break_down(call.key.account_id, _filter(call), query.group_by, limit=query.limit)
        return {"data": [breakdown_json(each, query.group_by) for each in found], "group_by": query.group_by}

    async def get_comparison(self, call: Call[None, StatsQuery]) -> Json:
        """`GET /v1/analytics/comparison`: with the time of the same length before it."""
        which = _filter(call)
        account_id = call.key.account_id
        current = await self._store.count_activity(account_id, which)
        before = replace(which, start=which.start - (which.end - which.start), end=which.start)
        previous = await self._store.count_activity(account_id, before)
        return {"current": period_json(current), "previous": period_json(previous), "changes": changes_json(previous, current)}

    async def export(self, call: Call[None, ExportQuery]) -> Response:
        """`GET /v1/analytics/export`: CSV goes to the SDKs as a JSON string, for they read nothing else; raw only to who names it."""
        query: ExportQuery = call.query
        if query.format == "json":
            return respond(await self.get_stats(call))
        _, points = await self._series(call)
        rows: list[tuple[str | float, ...]] = [("date", *_COLUMNS, *_RATES)]
        for each in points:
            figures = period_json(each.counts)
            rows.append((stretch_text(each.start, query.granularity), *(figures[name] for name in (*_COLUMNS, *_RATES))))
        text = csv_text(rows)
        if "text/csv" in call.request.headers.get("accept", "").lower():
            headers = {"Content-Disposition": 'attachment; filename="analytics.csv"', "Vary": "Accept"}
            return Response(text, media_type="text/csv", headers=headers)
        return respond(json.dumps(text, ensure_ascii=False).encode(), headers={"Vary": "Accept"})

    async def get_regions(self, call: Call[None, PeriodQuery]) -> Json:
        """`GET /v1/analytics/regions`: there is one, and all mail is of it."""
        counts = await self._store.count_activity(call.key.account_id, _filter(call))
        return {"data": [{"region": OWN_REGION, "count": counts.sent, "percentage": 100.0 if counts.sent else 0.0}]}


def _filter(call: Call[Any, Any]) -> ReportFilter:
    """What of the key's mail counts. Raises `Refused`."""
    query: PeriodQuery = call.query
    if query.end <= query.start:
        raise invalid("to", "to: it must lie after from")
    if query.end - query.start > MAX_PERIOD:
        raise invalid("to", f"to: a period has at most {MAX_PERIOD.days:,} days")
    tag, domain = getattr(query, "tag", None), getattr(query, "domain", None)
    return ReportFilter(mode=call.key.mode, start=query.start, end=query.end, tag=tag, domain=_read_domain(domain) if domain else None)


def _read_domain(name: str) -> str:
    try:
        return normalise_domain(name.strip().removesuffix("."))
    except MalformedMessage:
        raise invalid("domain", "domain: it is a domain name such as example.com") from None
