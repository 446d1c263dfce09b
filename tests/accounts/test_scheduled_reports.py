"""Scheduling reports, each of which is mail."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sendryd.accounts.scheduled_reports import MAX_REPORTS, ScheduledReports
from sendryd.model.ids import AccountId
from sendryd.model.report import ReportFrequency
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Store
from sendryd.store.errors import LimitReached, NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.stores import open_new_store

ACCOUNT, OTHER = AccountId(1), AccountId(2)
WEEKLY = ReportFrequency.WEEKLY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_new_store(tmp_path)
    for account in (ACCOUNT, OTHER):
        await opened.ensure_account(account, f"account {account}", ManualClock().now())
    yield opened
    await opened.aclose()


@pytest.fixture
def reports(store: Store) -> ScheduledReports:
    clock = ManualClock()
    return ScheduledReports(store, clock=clock, ids=IdSource(clock, SeededRand(3)))


async def test_a_weekly_report_is_due_on_monday_and_names_each_recipient_once(reports: ScheduledReports) -> None:
    report = await reports.add(ACCOUNT, WEEKLY, ["a@example.org", "b@example.org", "a@example.org"])
    assert report.recipients == ("a@example.org", "b@example.org")
    assert report.due_at == datetime(2026, 3, 2, 6, tzinfo=UTC)  # the clock stands at a Sunday
    assert await reports.list_all(ACCOUNT) == [report]


async def test_accounts_see_and_remove_only_their_own_reports(reports: ScheduledReports) -> None:
    report = await reports.add(ACCOUNT, WEEKLY, ["a@example.org"])
    assert await reports.list_all(OTHER) == []
    with pytest.raises(NotFound):
        await reports.remove(OTHER, report.id)
    await reports.remove(ACCOUNT, report.id)
    assert await reports.list_all(ACCOUNT) == []


async def test_an_account_has_a_limit_of_reports(reports: ScheduledReports) -> None:
    for _ in range(MAX_REPORTS):
        await reports.add(ACCOUNT, WEEKLY, ["a@example.org"])
    with pytest.raises(LimitReached):
        await reports.add(ACCOUNT, WEEKLY, ["a@example.org"])
    await reports.add(OTHER, WEEKLY, ["a@example.org"])
