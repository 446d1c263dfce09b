"""What is taken of a report: its time must be one that can be."""

from datetime import timedelta
from typing import Any

import pytest

from sendryd.inbound.domainreports import read_content
from sendryd.model.domainreport import ReportRow
from sendryd.testing.samples import NOW

NOW_SECONDS = int(NOW.timestamp())
DAY = 86_400
FOUND: dict[str, Any] = {
    "topic": "tls",
    "domain": "example.test",
    "reporter": "x",
    "report_key": "1",
    "begins_at": NOW_SECONDS - DAY,
    "ends_at": NOW_SECONDS,
    "policy": "sts",
    "good": 1,
    "bad": 0,
    "rows": [{"number": 1, "is_good": True, "source": "", "details": {"a": "b"}}],
}


def test_a_report_is_read() -> None:
    content = read_content(FOUND, NOW)
    assert content is not None
    assert (content.ends_at, content.ends_at - content.begins_at) == (NOW.replace(microsecond=0), timedelta(days=1))
    assert content.rows == (ReportRow(number=1, is_good=True, source="", details={"a": "b"}),)


@pytest.mark.parametrize(
    ("begins_at", "ends_at"),
    [(0, DAY), (NOW_SECONDS, NOW_SECONDS - 1), (NOW_SECONDS, NOW_SECONDS + 9 * DAY), (0, NOW_SECONDS), (10**17, 10**17), (10**12, 10**12)],
)
def test_a_report_of_another_time_changes_nothing(begins_at: int, ends_at: int) -> None:
    assert read_content({**FOUND, "begins_at": begins_at, "ends_at": ends_at}, NOW) is None
