"""Reports of others about our domains, as rows have them."""

import json
from dataclasses import asdict
from typing import Any, Final

from sendryd.model.domainreport import DomainReport, ReportContent, ReportRow, ReportSum, ReportTopic
from sendryd.model.ids import DOMAIN_REPORT_PREFIX, AccountId, DomainReportId
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, to_ms, to_utf8_json

# The stored key names the author and whether it is proved: a forged report must not take the place of one that comes later.
_SEPARATOR: Final = "\t"  # in no key: `message.reports.counted.plain` leaves printable letters


def domain_report_row(report: DomainReport) -> dict[str, Any]:
    """The columns of a report."""
    content = report.content
    return {
        "id": report.id,
        "account_id": report.account_id,
        "topic": content.topic.value,
        "domain": content.domain,
        "reporter": content.reporter,
        "report_key": _SEPARATOR.join((report.author, str(int(report.is_authenticated)), content.report_key)),
        "begins_at": to_ms(content.begins_at),
        "ends_at": to_ms(content.ends_at),
        "good": content.good,
        "bad": content.bad,
        "policy": content.policy,
        "content": to_utf8_json([asdict(row) for row in content.rows]),
        "author": report.author,
        "is_authenticated": int(report.is_authenticated),
        "created_at": to_ms(report.created_at),
    }


@row_of(DOMAIN_REPORT_PREFIX)
def read_domain_report(row: Row) -> DomainReport:
    """A report. Raises `RowUnreadable`."""
    return DomainReport(
        id=DomainReportId(row["id"]),
        account_id=AccountId(row["account_id"]),
        content=ReportContent(
            topic=ReportTopic(row["topic"]),
            domain=row["domain"],
            reporter=row["reporter"],
            report_key=row["report_key"].rpartition(_SEPARATOR)[2],
            begins_at=from_ms(row["begins_at"]),
            ends_at=from_ms(row["ends_at"]),
            good=row["good"],
            bad=row["bad"],
            policy=row["policy"],
            rows=tuple(ReportRow(**each) for each in json.loads(row["content"])),
        ),
        author=row["author"],
        is_authenticated=bool(row["is_authenticated"]),
        created_at=from_ms(row["created_at"]),
    )


def read_sum(row: Row) -> ReportSum:
    """The sum of reports."""
    return ReportSum(
        domain=row["domain"],
        topic=ReportTopic(row["topic"]),
        reports=row["reports"],
        good=row["good"],
        bad=row["bad"],
        latest=from_ms(row["latest"]),
    )
