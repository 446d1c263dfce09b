"""Figures about mail."""

import json
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from sendryd.accounts.account import Accounts
from sendryd.accounts.statistics import Statistics, select_mail
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
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import respond
from sendryd.api.regions.operations import OWN_REGION
from sendryd.model.ids import REPORT_PREFIX
from sendryd.model.report import Bucket, Granularity
from sendryd.store.base import ReportFilter
from sendryd.web.tables import csv_text

GROUP: Final = Group(
    "Analytics", "Statistics and logs.", {"scheduled-reports": public_id("a scheduled report", REPORT_PREFIX, "Scheduled report")}
)
PATH: Final = "/v1/analytics"
_FILE: Final = {"text/csv": "The time series as a file, for clients that accept `text/csv`."}


class AnalyticsHandlers:
    """The operations on statistics of the key's mode."""

    def __init__(self, statistics: Statistics, accounts: Accounts) -> None:
        self._statistics = statistics
        self._accounts = accounts

    def operations(self) -> list[Operation]:
        """The declarations. As the contract has it, these requests are not in the log of API requests."""
        stats = Operation(GROUP, "GET /v1/analytics", self.get_stats, is_logged=False)
        return [
            stats,
            stats.alias("GET /v1/analytics/stats"),
            Operation(GROUP, "GET /v1/analytics/cohorts", self.get_cohorts, is_logged=False),
            Operation(GROUP, "GET /v1/analytics/benchmarks", self.get_benchmarks, is_logged=False),
            Operation(
                GROUP, "POST /v1/analytics/benchmarks/opt-in", self.opt_in, is_live_only=True, is_logged=False, example={"opt_in": False}
            ),
            Operation(GROUP, "GET /v1/analytics/breakdowns", self.get_breakdowns, is_logged=False),
            Operation(GROUP, "GET /v1/analytics/comparison", self.get_comparison, is_logged=False),
            Operation(GROUP, "GET /v1/analytics/export", self.export, answers=Analytics | str, is_logged=False, media=_FILE),
            Operation(GROUP, "GET /v1/analytics/regions", self.get_regions, is_logged=False),
        ]

    async def get_stats(self, call: Call[None, StatsQuery]) -> Analytics:
        """Get counts and rates for a period, and a time series.

        The figures cover mail of the key's mode.
        """
        points = await self._read_series(call)
        summary = await self._statistics.count(call.key.account_id, _select_some(call))
        return {"summary": period_json(summary), "timeseries": [point_json(each, call.query.granularity) for each in points]}

    async def _read_series(self, call: Call[object, StatsQuery]) -> list[Bucket]:
        return await self._statistics.read_series(call.key.account_id, _select_some(call), call.query.granularity)

    async def get_cohorts(self, call: Call[None, CohortsQuery]) -> Cohorts:
        """Get how rates grow with the time since sending.

        Each cohort is the mail that was sent in one stretch of the given granularity.
        """
        query = call.query
        granularity = Granularity(query.granularity)
        cohorts = await self._statistics.read_cohorts(call.key.account_id, _select(call), granularity)
        rows = [cohort_json(each, granularity, query.metric) for each in cohorts]
        return {"cohorts": rows, "granularity": query.granularity, "metric": query.metric}

    async def get_benchmarks(self, call: Call[None, BenchmarksQuery]) -> Benchmarks:
        """Compare with other organisations.

        This server knows no other organisation's figures, so `data` is empty.
        """
        _select(call)
        account = await self._accounts.get(call.key.account_id)
        is_in = account.settings.benchmark_opt_in
        return {"data": [], "benchmark_opt_in": is_in, "org_count": int(is_in)}

    async def opt_in(self, call: Call[OptIn, None]) -> BenchmarkOptIn:
        """Opt in to benchmarks, or out.

        The server stores the choice; no figures leave it.
        """
        body = call.body
        account = await self._accounts.change(call.key.account_id, lambda settings: replace(settings, benchmark_opt_in=body.opt_in))
        return {"benchmark_opt_in": account.settings.benchmark_opt_in}

    async def get_breakdowns(self, call: Call[None, BreakdownsQuery]) -> Breakdowns:
        """Get figures by domain or template.

        `limit` rows at most, the one with the most mail first.
        """
        query = call.query
        found = await self._statistics.break_down(call.key.account_id, _select(call), query.group_by, limit=query.limit)
        return {"data": [breakdown_json(each, query.group_by) for each in found], "group_by": query.group_by}

    async def get_comparison(self, call: Call[None, StatsQuery]) -> Comparison:
        """Compare a period with the one before.

        The previous period has the same length and ends where this one begins.
        """
        previous, current = await self._statistics.compare(call.key.account_id, _select_some(call))
        return comparison_json(previous, current)

    async def export(self, call: Call[None, ExportQuery]) -> Response:
        """Download a time series as CSV or JSON.

        The answer is CSV to a client that accepts `text/csv`; to others it is a JSON string that holds the CSV, as the SDKs expect.
        """
        query = call.query
        if query.format == "json":
            return respond(await self.get_stats(call))
        points = await self._read_series(call)
        text = csv_text([CSV_COLUMNS, *(csv_row(each, query.granularity) for each in points)])
        if "text/csv" in call.request.headers.get("accept", "").lower():
            headers = {"Content-Disposition": 'attachment; filename="analytics.csv"', "Vary": "Accept"}
            return Response(text, media_type="text/csv", headers=headers)
        return respond(json.dumps(text, ensure_ascii=False).encode(), headers={"Vary": "Accept"})

    async def get_regions(self, call: Call[None, PeriodQuery]) -> Whole[RegionCount]:
        """Get figures by region.

        This server is the only region.
        """
        counts = await self._statistics.count(call.key.account_id, _select(call))
        return {"data": [{"region": OWN_REGION, "count": counts.sent, "percentage": 100.0 if counts.sent else 0.0}]}


def _select(call: Call[object, PeriodQuery]) -> ReportFilter:
    """All mail of the key's mode in the period. Raises `Refused`."""
    return select_mail(call.key.mode, call.query.start, call.query.end)


def _select_some(call: Call[object, StatsQuery]) -> ReportFilter:
    """Mail of the period with the tag and from the domain that the query names. Raises `Refused`."""
    query = call.query
    return select_mail(call.key.mode, query.start, query.end, tag=query.tag, domain=query.domain)
