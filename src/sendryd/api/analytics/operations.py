"""Figures about mail."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from sendryd.accounts.account import AccountOffice
from sendryd.api.analytics.schema import (
    CSV_COLUMNS,
    Analytics,
    BenchmarkOptIn,
    Benchmarks,
    BenchmarksQuery,
    Breakdowns,
    BreakdownsQuery,
    Cohorts,
    CohortsQuery,
    Comparison,
    ExportQuery,
    OptIn,
    PeriodQuery,
    RegionCount,
    StatsQuery,
    breakdown_json,
    cohort_json,
    comparison_json,
    csv_row,
    period_json,
    point_json,
)
from sendryd.api.framework.answers import Whole
from sendryd.api.framework.operation import Call, Handler, Operation
from sendryd.api.framework.requests import invalid, respond
from sendryd.api.framework.tables import csv_text
from sendryd.api.regions.operations import OWN_REGION
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
_FILE: Final = {"text/csv": "The series as a file, to who accepts `text/csv` alone."}


class AnalyticsHandlers:
    """Everything that counts mail of the key's mode."""

    def __init__(self, store: ReportStore, accounts: AccountOffice) -> None:
        self._store = store
        self._accounts = accounts

    def operations(self) -> list[Operation]:
        """The declarations. As the contract has it, these requests are not in the log of API requests."""
        stats = self._get(PATH, "Get counts and rates of a time, and a series", self.get_stats)
        return [
            stats,
            stats.alias(path=f"{PATH}/stats"),
            self._get(f"{PATH}/cohorts", "Get how rates grow with the time since sending", self.get_cohorts),
            self._get(f"{PATH}/benchmarks", "Compare with other organisations", self.get_benchmarks),
            Operation(
                method="POST",
                path=f"{PATH}/benchmarks/opt-in",
                group=GROUP,
                summary="Choose whether to take part in comparisons",
                handler=self.opt_in,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                is_logged=False,
                example={"opt_in": False},
            ),
            self._get(f"{PATH}/breakdowns", "Get figures by domain or template", self.get_breakdowns),
            self._get(f"{PATH}/comparison", "Compare with the time before", self.get_comparison),
            Operation(
                method="GET",
                path=f"{PATH}/export",
                group=GROUP,
                summary="Download a series as CSV or JSON",
                handler=self.export,
                answers=Analytics | str,
                is_logged=False,
                media=_FILE,
            ),
            self._get(f"{PATH}/regions", "Get figures by region", self.get_regions),
        ]

    def _get(self, path: str, summary: str, handler: Handler) -> Operation:
        return Operation(method="GET", path=path, group=GROUP, summary=summary, handler=handler, is_logged=False)

    async def get_stats(self, call: Call[None, StatsQuery]) -> Analytics:
        """`GET /v1/analytics`."""
        which, points = await self._series(call)
        summary = await self._store.count_activity(call.key.account_id, which)
        return {"summary": period_json(summary), "timeseries": [point_json(each, call.query.granularity) for each in points]}

    async def _series(self, call: Call[object, StatsQuery]) -> tuple[ReportFilter, list[Bucket]]:
        query = call.query
        which = _narrow_filter(call)
        try:
            starts = bucket_starts(which.start, which.end, query.granularity)
        except TooManyPoints as error:
            raise invalid("granularity", f"granularity: {error}") from None
        return which, fill(starts, await self._store.list_activity(call.key.account_id, which, query.granularity))

    async def get_cohorts(self, call: Call[None, CohortsQuery]) -> Cohorts:
        """`GET /v1/analytics/cohorts`."""
        query = call.query
        which, granularity = _filter(call), Granularity(query.granularity)
        try:
            bucket_starts(which.start, which.end, granularity, MAX_COHORTS)
        except TooManyPoints as error:
            raise invalid("granularity", f"granularity: {error}") from None
        cohorts = await self._store.list_cohorts(call.key.account_id, which, granularity)
        rows = [cohort_json(each, granularity, query.metric) for each in cohorts]
        return {"cohorts": rows, "granularity": query.granularity, "metric": query.metric}

    async def get_benchmarks(self, call: Call[None, BenchmarksQuery]) -> Benchmarks:
        """`GET /v1/analytics/benchmarks`: nobody else's figures are here, and none are invented."""
        _filter(call)
        account = await self._accounts.get(call.key.account_id)
        is_in = account.settings.benchmark_opt_in
        return {"data": [], "benchmark_opt_in": is_in, "org_count": int(is_in)}

    async def opt_in(self, call: Call[OptIn, None]) -> BenchmarkOptIn:
        """`POST /v1/analytics/benchmarks/opt-in`."""
        body = call.body
        account = await self._accounts.change(call.key.account_id, lambda settings: replace(settings, benchmark_opt_in=body.opt_in))
        return {"benchmark_opt_in": account.settings.benchmark_opt_in}

    async def get_breakdowns(self, call: Call[None, BreakdownsQuery]) -> Breakdowns:
        """`GET /v1/analytics/breakdowns`."""
        query = call.query
        found = await self._store.break_down(call.key.account_id, _filter(call), query.group_by, limit=query.limit)
        return {"data": [breakdown_json(each, query.group_by) for each in found], "group_by": query.group_by}

    async def get_comparison(self, call: Call[None, StatsQuery]) -> Comparison:
        """`GET /v1/analytics/comparison`: with the time of the same length before it."""
        which = _narrow_filter(call)
        account_id = call.key.account_id
        current = await self._store.count_activity(account_id, which)
        before = replace(which, start=which.start - (which.end - which.start), end=which.start)
        previous = await self._store.count_activity(account_id, before)
        return comparison_json(previous, current)

    async def export(self, call: Call[None, ExportQuery]) -> Response:
        """`GET /v1/analytics/export`: CSV goes to the SDKs as a JSON string, for they read nothing else; raw only to who names it."""
        query = call.query
        if query.format == "json":
            return respond(await self.get_stats(call))
        _, points = await self._series(call)
        text = csv_text([CSV_COLUMNS, *(csv_row(each, query.granularity) for each in points)])
        if "text/csv" in call.request.headers.get("accept", "").lower():
            headers = {"Content-Disposition": 'attachment; filename="analytics.csv"', "Vary": "Accept"}
            return Response(text, media_type="text/csv", headers=headers)
        return respond(json.dumps(text, ensure_ascii=False).encode(), headers={"Vary": "Accept"})

    async def get_regions(self, call: Call[None, PeriodQuery]) -> Whole[RegionCount]:
        """`GET /v1/analytics/regions`: there is one, and all mail is of it."""
        counts = await self._store.count_activity(call.key.account_id, _filter(call))
        return {"data": [{"region": OWN_REGION, "count": counts.sent, "percentage": 100.0 if counts.sent else 0.0}]}


def _filter(call: Call[object, PeriodQuery]) -> ReportFilter:
    """All mail of the key's mode in the period. Raises `Refused`."""
    query = call.query
    if query.end <= query.start:
        raise invalid("to", "to: it must lie after from")
    if query.end - query.start > MAX_PERIOD:
        raise invalid("to", f"to: a period has at most {MAX_PERIOD.days:,} days")
    return ReportFilter(mode=call.key.mode, start=query.start, end=query.end)


def _narrow_filter(call: Call[object, StatsQuery]) -> ReportFilter:
    """Mail of the period with the tag and from the domain that the query names. Raises `Refused`."""
    query = call.query
    return replace(_filter(call), tag=query.tag, domain=_read_domain(query.domain) if query.domain else None)


def _read_domain(name: str) -> str:
    try:
        return normalise_domain(name.strip().removesuffix("."))
    except MalformedMessage:
        raise invalid("domain", "domain: it is a domain name such as example.com") from None
