"""Which reports a sender gets, and how many."""

from datetime import UTC, datetime

import pytest

from sendryd.model.ids import AccountId
from sendryd.policy.statusreport import MAX_OF_ACCOUNT, MAX_OF_ADDRESS, WINDOW, Report, ReportLimit, wanted_reports

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("notify", "is_default", "wanted"),
    [
        (None, False, Report.NOTHING),
        (None, True, Report.FAILURE),
        ("NEVER", True, Report.NOTHING),
        ("failure", False, Report.FAILURE),
        ("SUCCESS,DELAY", True, Report.SUCCESS | Report.DELAY),
    ],
)
def test_notify_decides_and_the_domain_where_there_is_none(notify: str | None, is_default: bool, wanted: Report) -> None:
    assert wanted_reports(notify, is_default=is_default) is wanted


def test_reports_are_limited_for_each_address_and_each_account() -> None:
    limit, one, two = ReportLimit(), AccountId(1), AccountId(2)
    assert [limit.take(one, "a@x.example", NOW) for _ in range(MAX_OF_ADDRESS)] == [True] * MAX_OF_ADDRESS
    assert not limit.take(one, "A@X.example", NOW)
    assert limit.take(one, "b@x.example", NOW)
    assert limit.take(two, "a@x.example", NOW)
    assert sum(limit.take(one, f"{number}@x.example", NOW) for number in range(MAX_OF_ACCOUNT)) == MAX_OF_ACCOUNT - MAX_OF_ADDRESS - 1
    assert limit.take(one, "a@x.example", NOW + WINDOW)
