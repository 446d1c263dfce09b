"""Reports of others on their page and on that of their domain."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from playwright.sync_api import Page

from sendryd.model.domainreport import DomainReport, ReportContent, ReportRow, ReportTopic
from sendryd.model.ids import AccountId, DomainReportId
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SystemRand
from sendryd.store.sqlite import open_store
from sendryd.testing.world import SENDING_DOMAIN, World

from .conftest import Browser

pytestmark = pytest.mark.sockets

NASTY = "<script>alert(1)</script>"


def add(world: World, reports: Sequence[tuple[ReportTopic, str, bool]]) -> None:
    """Stores reports (topic, reporter, whether its sender is proved), as another process of the program does."""

    async def work() -> None:
        store = open_store(world.relay.data_dir, create=False)
        clock = SystemClock()
        ids, now = IdSource(clock, SystemRand()), clock.now()
        made = [
            DomainReport(
                id=DomainReportId(ids.next()),
                account_id=AccountId(1),
                content=ReportContent(
                    topic=topic,
                    domain=SENDING_DOMAIN,
                    reporter=reporter,
                    report_key=reporter,
                    begins_at=now - timedelta(days=1),
                    ends_at=now,
                    good=1200,
                    bad=34,
                    rows=(ReportRow(number=34, is_good=False, source="203.0.113.9", details={"spf_result": NASTY}),),
                    policy="p=none",
                ),
                author="reporter.test",
                is_authenticated=is_proved,
                created_at=now,
            )
            for topic, reporter, is_proved in reports
        ]
        await store.add_domain_reports(made)
        await store.aclose()

    world.thread.run(work())


def test_reports_are_shown_with_what_they_say(mails: World, reader: Browser) -> None:
    add(mails, [(ReportTopic.DMARC, "Google", True), (ReportTopic.TLS, "Microsoft", True), (ReportTopic.DMARC, NASTY, False)])
    add(mails, [(ReportTopic.TLS, "Reporter Ltd.", True)])
    page = reader.get("/reports")
    assert (page.status, page.page) == (200, "reports")
    assert "Google" in page
    assert "1,234 messages, 34 not authenticated (2.75 %)" in page
    for reporter, is_other in (("Google", True), ("Microsoft", True), ("Reporter Ltd.", False)):
        (row,) = (each for each in page.text.split("<li ") if f"by <bdi>{reporter}</bdi>" in each)
        assert ('<span class="pill slow">Sent by <bdi>reporter.test</bdi></span>' in row) is is_other
    assert "1,234 sessions, 34 failed (2.75 %)" in page
    assert "203.0.113.9" in page
    assert "Sender not proved" in page
    assert NASTY not in page.text
    assert "Google" not in reader.get("/reports?topic=tls")
    assert "No report yet" in reader.get("/reports?domain=nowhere.test")
    tab = reader.get(f"/domains/{SENDING_DOMAIN}/reports")
    assert (tab.page, "Microsoft" in tab) == ("domain", True)
    assert reader.get("/reports?topic=x&before=y").status == 200


@pytest.mark.needs("chromium")
def test_a_report_opens_and_leads_from_the_sums(page: Page, mails: World) -> None:
    add(mails, [(ReportTopic.DMARC, "Opened", True)])
    page.goto("/reports")
    row = page.locator("[data-proved]", has_text="Opened")
    row.locator("summary").click()
    row.get_by_text("203.0.113.9").wait_for()
    page.locator('[data-domain][data-topic="dmarc"]').get_by_role("link").click()
    page.wait_for_url(f"**/reports?domain={SENDING_DOMAIN}&topic=dmarc")
