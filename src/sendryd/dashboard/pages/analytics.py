"""Analytics: what became of live mail over time, by domain, template, provider, tag and key, with tables and CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.accounts.statistics import BadSelection, Statistics, select_mail
from sendryd.dashboard.app import Page
from sendryd.dashboard.charts import Chart, draw
from sendryd.dashboard.mailedreports import read_reports
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit, headers
from sendryd.model.apikey import KeyMode
from sendryd.model.moment import timestamp
from sendryd.model.report import Breakdown, Bucket, Counts, Granularity, bucket_start
from sendryd.policy.attention import COMPLAINT_LIMIT, COMPLAINT_LINE
from sendryd.policy.statistics import percent_change, rate
from sendryd.store.base import ReportFilter
from sendryd.web.tables import csv_text

MAX_TEXT: Final = 320  # characters of a tag or domain that is asked for
MAX_GROUPS: Final = 20  # rows of a breakdown
BREAKDOWNS: Final = ("domain", "template", "provider", "tag", "key")
COLUMNS: Final = ("start", "sent", "delivered", "bounced", "complained", "opened", "clicked")


@dataclass(frozen=True, slots=True)
class Range:
    """A time to look at."""

    name: str
    text: str
    length: timedelta
    step: Granularity
    edge: timedelta  # the time that is compared with is exact to it: sums of minutes are kept for 48 hours, those of hours for 90 days


RANGES: Final = (
    Range("24h", "24 hours", timedelta(hours=24), Granularity.HOUR, timedelta(minutes=1)),
    Range("7d", "7 days", timedelta(days=7), Granularity.DAY, timedelta(hours=1)),
    Range("30d", "30 days", timedelta(days=30), Granularity.DAY, timedelta(hours=1)),
    Range("90d", "90 days", timedelta(days=90), Granularity.DAY, timedelta(days=1)),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tab:
    """A range to choose."""

    text: str
    href: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """A sum of the whole time."""

    name: str
    text: str
    part: str  # of the mail sent or delivered
    change: str  # from the same time before


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table under a chart."""

    name: str
    at: Moment | None
    cells: tuple[str, ...]
    tone: str = ""  # of the complaints: at the lines that Gmail and Yahoo draw
    complaints: str = ""  # of the delivered mail


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart with its table."""

    id: str
    title: str
    chart: Chart
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


async def show(visit: Visit, *, wrong: str = "", status: int = 200) -> Response:
    """`GET /analytics?range=…&domain=…&tag=…&by=…`. `wrong` says why no report by mail was added."""
    chosen, asked = _range(visit), _asked(visit)
    try:
        which = _select(visit, chosen, asked)
    except BadSelection as error:
        return _page(visit, chosen, asked, fault=error.sentence, status=422)
    statistics, asking = Statistics(visit.needs.store), (visit.account_id, which)
    found = await statistics.summarise(*asking, chosen.step, limit=MAX_GROUPS)
    by = asked["by"]
    groups: Sequence[Breakdown]
    match by:
        case "domain":
            groups = found.domains
        case "template":
            groups = found.templates
        case "provider":
            groups = found.providers
        case _:  # counted from events, which takes longer
            groups = await statistics.break_down(*asking, by, limit=MAX_GROUPS)
    values = {
        "figures": _figures(found.before, found.counts),
        "complaints": f"{rate(found.counts.complained, found.counts.delivered):.2%}",
        "panels": _panels(found.buckets),
        "groups": [_group(each) for each in groups],
        "is_empty": found.counts == found.before == Counts(),
        "reports": await read_reports(visit, wrong=wrong),
    }
    return _page(visit, chosen, asked, values=values, status=status)


async def export(visit: Visit) -> Response:
    """`GET /analytics/export`: the series as CSV."""
    chosen, asked = _range(visit), _asked(visit)
    try:
        which = _select(visit, chosen, asked)
    except BadSelection as error:
        return _page(visit, chosen, asked, fault=error.sentence, status=422)
    found = await Statistics(visit.needs.store).summarise(visit.account_id, which, chosen.step, limit=0)
    rows: list[tuple[str | float, ...]] = [(timestamp(each.start), *_cells(each.counts)) for each in found.buckets]
    named = {**headers(), "Content-Disposition": f'attachment; filename="analytics-{chosen.name}.csv"'}
    return Response(csv_text([COLUMNS, *rows]), media_type="text/csv", headers=named)


def _page(
    visit: Visit, chosen: Range, asked: Mapping[str, str], *, values: Mapping[str, object] | None = None, fault: str = "", status: int = 200
) -> Response:
    kept = {name: value for name, value in asked.items() if value and (name, value) != ("by", BREAKDOWNS[0])}
    here = {"range": chosen.name, **kept}
    frame = {
        "tabs": [Tab(each.text, "/analytics?" + urlencode({"range": each.name, **kept}), each is chosen) for each in RANGES],
        "breakdowns": [Tab(f"By {by}", "/analytics?" + urlencode({**here, "by": by}) + "#by", by == asked["by"]) for by in BREAKDOWNS],
        "chosen": chosen.name,
        "length": chosen.text,
        "asked": asked,
        "export": "/analytics/export?" + urlencode(here),
        "fault": fault,
        "figures": (),
        "complaints": "",
        "panels": (),
        "groups": (),
        "is_empty": False,
        "reports": None,
    }
    return visit.show("analytics.html", "analytics", {**frame, **(values or {})}, status=status)


def _range(visit: Visit) -> Range:
    return next((each for each in RANGES if each.name == visit.query("range")), RANGES[1])


def _asked(visit: Visit) -> dict[str, str]:
    by = visit.query("by")
    return {**{name: visit.query(name)[:MAX_TEXT].strip() for name in ("domain", "tag")}, "by": by if by in BREAKDOWNS else BREAKDOWNS[0]}


def _select(visit: Visit, chosen: Range, asked: Mapping[str, str]) -> ReportFilter:
    """Whole buckets, the present one included. Raises `BadSelection`."""
    now = visit.needs.clock.now()
    start = bucket_start(now - chosen.length, chosen.step) + (timedelta(hours=1) if chosen.step is Granularity.HOUR else timedelta(days=1))
    end = _EPOCH + ((now - _EPOCH) // chosen.edge + 1) * chosen.edge
    return select_mail(KeyMode.LIVE, start, end, tag=asked["tag"] or None, domain=asked["domain"] or None)


def _figures(before: Counts, now: Counts) -> list[Figure]:
    parts = (
        ("Sent", before.sent, now.sent, None),
        ("Delivered", before.delivered, now.delivered, rate(now.delivered, now.sent)),
        ("Bounced", before.bounced, now.bounced, rate(now.bounced, now.sent)),
        ("Complained", before.complained, now.complained, rate(now.complained, now.delivered)),
        ("Opened", before.opened, now.opened, rate(now.opened, now.delivered)),
        ("Clicked", before.clicked, now.clicked, rate(now.clicked, now.delivered)),
    )
    return [Figure(name, f"{count:,}", "" if part is None else f"{part:.2%}", _change(was, count)) for name, was, count, part in parts]


def _change(before: int, now: int) -> str:
    if before == now:
        return "as before"
    return f"{percent_change(before, now):+.0f} % on the time before" if before else "none in the time before"


def _panels(buckets: Sequence[Bucket]) -> list[Panel]:
    counts = [each.counts for each in buckets]
    outcomes = draw(
        [
            ("Delivered", "delivered", [each.delivered for each in counts]),
            ("Bounced", "bounced", [each.bounced for each in counts]),
            ("Complained", "complained", [each.complained for each in counts]),
        ]
    )
    engagement = draw([("Opened", "opened", [each.opened for each in counts]), ("Clicked", "clicked", [each.clicked for each in counts])])
    rows = [each for each in reversed(buckets) if each.counts != Counts()]
    return [
        Panel(
            "outcomes",
            "What became of it",
            outcomes,
            ("Sent", "Delivered", "Bounced", "Complained"),
            tuple(_line(each, each.counts.sent, each.counts.delivered, each.counts.bounced, each.counts.complained) for each in rows),
        ),
        Panel(
            "engagement",
            "What people did with it",
            engagement,
            ("Delivered", "Opened", "Clicked"),
            tuple(_line(each, each.counts.delivered, each.counts.opened, each.counts.clicked) for each in rows),
        ),
    ]


def _line(bucket: Bucket, *figures: int) -> Line:
    return Line("", moment_of(bucket.start), tuple(f"{each:,}" for each in figures))


def _group(row: Breakdown) -> Line:
    part = rate(row.counts.complained, row.counts.delivered)
    tone = "bad" if part >= COMPLAINT_LIMIT else "slow" if part >= COMPLAINT_LINE else ""
    cells = tuple(f"{each:,}" for each in _cells(row.counts))
    return Line(row.name or "none", None, cells, tone, f"{part:.2%}" if row.counts.complained else "")


def _cells(counts: Counts) -> tuple[int, ...]:
    return counts.sent, counts.delivered, counts.bounced, counts.complained, counts.opened, counts.clicked


PAGES: Final = (Page(path="/analytics", get=show), Page(path="/analytics/export", get=export, proof_to_get=True))
