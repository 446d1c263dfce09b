"""Reports of others about our domains: what receivers and senders say of DMARC and TLS, of all domains or of one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.domainview import path_of
from sendryd.dashboard.pages.domain import frame, on_domain
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.domain import SendingDomain
from sendryd.model.domainreport import DomainReport, ReportRow, ReportSum, ReportTopic, is_in_own_name
from sendryd.model.ids import DOMAIN_REPORT_PREFIX, DomainReportId, format_id, parse_id
from sendryd.runtime.publicsuffix import organisational_domain

SHOWN: Final = 20  # reports of a page
ROWS: Final = 30  # of one report
SUMMED: Final = timedelta(days=30)
TOPICS: Final = {ReportTopic.DMARC: "DMARC", ReportTopic.TLS: "TLS"}
_THINGS: Final = {ReportTopic.DMARC: ("message", "messages"), ReportTopic.TLS: ("session", "sessions")}
_BAD: Final = {ReportTopic.DMARC: "not authenticated", ReportTopic.TLS: "failed"}
_MAX_DOMAIN: Final = 255  # characters of a filter
_TEN_THOUSAND: Final = 10_000


@dataclass(frozen=True, slots=True)
class RowView:
    """Messages or sessions of one kind."""

    number: str
    tone: str
    shape: str
    word: str
    source: str
    details: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """A report."""

    id: str
    topic: str
    title: str
    domain: str
    reporter: str
    author: str
    is_proved: bool
    is_in_own_name: bool  # the reporter names itself as its author's domain is named
    begins: Moment
    ends: Moment
    tone: str
    shape: str
    words: str
    policy: str
    rows: tuple[RowView, ...]
    has_more: bool  # rows


@dataclass(frozen=True, slots=True)
class SumView:
    """The reports of one topic about one domain."""

    domain: str
    path: str
    topic: str
    title: str
    tone: str
    shape: str
    words: str
    reports: str
    latest: Moment


async def show(visit: Visit) -> Response:
    """`GET /reports?domain=…&topic=…&before=…`."""
    domain = visit.query("domain").strip().lower()[:_MAX_DOMAIN]
    sums = await visit.needs.store.sum_domain_reports(visit.account_id, since=visit.needs.clock.now() - SUMMED)
    values = {**await _list(visit, domain, "/reports"), "sums": [sum_view(each) for each in sums]}
    return visit.show("reports.html", "reports", values)


async def show_of_domain(visit: Visit, domain: SendingDomain) -> Response:
    """`GET /domains/{name}/reports`."""
    path = f"{path_of(domain)}/reports"
    sums = await visit.needs.store.sum_domain_reports(visit.account_id, since=visit.needs.clock.now() - SUMMED)
    values = {
        **await _list(visit, domain.name, path),
        **frame(domain, "/reports"),
        "sums": [sum_view(each) for each in sums if each.domain == domain.name],
        "said": "",
        "fault": "",
    }
    return visit.show("domain_reports.html", "domain", values)


async def _list(visit: Visit, domain: str, path: str) -> Mapping[str, object]:
    asked, number = visit.query("topic"), parse_id(visit.query("before"), DOMAIN_REPORT_PREFIX)
    topic = ReportTopic(asked) if asked in set(ReportTopic) else None
    before = None if number is None else DomainReportId(number)
    store = visit.needs.store
    name, rows = domain or None, ROWS + 1
    found = await store.page_domain_reports(visit.account_id, domain=name, topic=topic, rows=rows, limit=SHOWN, before=before)
    kept = {**({"domain": domain} if domain and path == "/reports" else {}), **({"topic": topic.value} if topic else {})}
    older = {**kept, "before": format_id(DOMAIN_REPORT_PREFIX, found.items[-1].id)} if found.has_more else {}
    return {
        "rows": await asyncio.to_thread(_views, found.items),
        "domain": domain,
        "topic": topic.value if topic else "",
        "topics": [(each.value, text) for each, text in TOPICS.items()],
        "older": f"{path}?{urlencode(older)}" if older else "",
        "newest": (f"{path}?{urlencode(kept)}" if kept else path) if before is not None else "",
        "list_path": path,
    }


def _views(reports: Sequence[DomainReport]) -> list[ReportView]:
    """In a thread: the first call reads the long list of public suffixes."""
    return [_view(each) for each in reports]


def _view(report: DomainReport) -> ReportView:
    content = report.content
    tone, shape, words = _judge(content.topic, content.good, content.bad)
    return ReportView(
        id=format_id(DOMAIN_REPORT_PREFIX, report.id),
        topic=content.topic.value,
        title=TOPICS[content.topic],
        domain=content.domain,
        reporter=content.reporter,
        author=report.author,
        is_proved=report.is_authenticated,
        is_in_own_name=is_in_own_name(content.reporter, organisational_domain(report.author)),
        begins=moment_of(content.begins_at),
        ends=moment_of(content.ends_at),
        tone=tone,
        shape=shape,
        words=words,
        policy=content.policy,
        rows=tuple(_row(content.topic, row) for row in content.rows[:ROWS]),
        has_more=len(content.rows) > ROWS,
    )


def _row(topic: ReportTopic, row: ReportRow) -> RowView:
    tone, shape, word = ("ok", "ok", "Good") if row.is_good else ("bad", "bad", _BAD[topic].capitalize())
    details = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.details.items())
    return RowView(_figure(row.number), tone, shape, word, row.source, details)


def sum_view(found: ReportSum) -> SumView:
    """The view of the reports of one topic about one domain."""
    tone, shape, words = _judge(found.topic, found.good, found.bad)
    reports = f"{found.reports:,} {'report' if found.reports == 1 else 'reports'}"
    path = f"/reports?{urlencode({'domain': found.domain, 'topic': found.topic.value})}"
    return SumView(found.domain, path, found.topic.value, TOPICS[found.topic], tone, shape, words, reports, moment_of(found.latest))


def _judge(topic: ReportTopic, good: int, bad: int) -> tuple[str, str, str]:
    one, many = _THINGS[topic]
    total = good + bad
    things = f"{_figure(total)} {one if total == 1 else many}"
    if not bad:
        return "ok", "ok", f"{things}, all good" if total else f"No {many}"
    share = bad * _TEN_THOUSAND // total / 100
    return "slow", "warn", f"{things}, {_figure(bad)} {_BAD[topic]} ({share:.2f} %)"


def _figure(number: int) -> str:
    return f"{number:,}"


PAGES: Final = (Page(path="/reports", get=show), Page(path="/domains/{name}/reports", get=on_domain(show_of_domain)))
