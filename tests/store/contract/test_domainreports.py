"""Reports of others: kept once, within bounds, of one account."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sendryd.model.domainreport import DomainReport, ReportContent, ReportRow, ReportSum, ReportTopic
from sendryd.model.ids import AccountId, DomainReportId
from sendryd.store.base import MAX_OCTETS_OF_AUTHOR, MAX_OF_AUTHOR, MAX_UNPROVED, MAX_UNPROVED_OCTETS, Store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)
CONTENT = ReportContent(
    topic=ReportTopic.DMARC,
    domain="example.test",
    reporter="google.com",
    report_key="1",
    begins_at=NOW - timedelta(days=1),
    ends_at=NOW,
    good=6,
    bad=3,
    rows=(ReportRow(number=6, is_good=True, source="192.0.2.1", details={"dkim": "pass"}), ReportRow(number=3, is_good=False, source="")),
    policy="p=none",
)


def report(
    samples: Samples,
    key: str = "1",
    *,
    account_id: AccountId = ACCOUNT,
    domain: str = "example.test",
    topic: ReportTopic = ReportTopic.DMARC,
    is_authenticated: bool = True,
) -> DomainReport:
    content = replace(CONTENT, report_key=key, domain=domain, topic=topic)
    number = DomainReportId(samples.number())
    return DomainReport(
        id=number, account_id=account_id, content=content, author="google.com", is_authenticated=is_authenticated, created_at=NOW
    )


async def test_reports_are_kept_whole_and_once(store: Store, samples: Samples) -> None:
    one, again, two = report(samples), report(samples), report(samples, "2")
    assert await store.add_domain_reports([one]) == 1
    assert await store.add_domain_reports([again, two]) == 1
    assert await store.get_domain_report(ACCOUNT, one.id) == one
    assert await store.get_domain_report(ACCOUNT, again.id) is None
    assert await store.get_domain_report(OTHER, one.id) is None


async def test_reports_are_listed_by_domain_and_topic_newest_first(store: Store, samples: Samples) -> None:
    made = [
        report(samples),
        report(samples, topic=ReportTopic.TLS),
        report(samples, domain="other.test"),
        report(samples, account_id=OTHER),
    ]
    await store.add_domain_reports(made)
    assert list((await store.page_domain_reports(ACCOUNT, rows=9, limit=9)).items) == made[2::-1]
    page = await store.page_domain_reports(ACCOUNT, rows=9, limit=1, before=made[2].id)
    assert (list(page.items), page.has_more) == ([made[1]], True)
    assert list((await store.page_domain_reports(ACCOUNT, domain="example.test", rows=9, limit=9)).items) == made[1::-1]
    assert list((await store.page_domain_reports(ACCOUNT, topic=ReportTopic.TLS, rows=9, limit=9)).items) == [made[1]]


async def test_sums_count_proved_reports_alone(store: Store, samples: Samples) -> None:
    await store.add_domain_reports([report(samples), report(samples, "2"), report(samples, "3", is_authenticated=False)])
    assert await store.sum_domain_reports(ACCOUNT, since=NOW - timedelta(hours=1)) == [
        ReportSum(domain="example.test", topic=ReportTopic.DMARC, reports=2, good=12, bad=6, latest=NOW)
    ]
    assert await store.sum_domain_reports(ACCOUNT, since=NOW + timedelta(hours=1)) == []


async def test_no_numbers_make_the_sums_fail(store: Store, samples: Samples) -> None:
    most = 2**63 - 1
    made = [report(samples, str(number)) for number in range(3)]
    await store.add_domain_reports([replace(each, content=replace(each.content, good=most, bad=10**17)) for each in made])
    (found,) = await store.sum_domain_reports(ACCOUNT, since=NOW - timedelta(hours=1))
    assert (found.reports, found.good, found.bad) == (3, most, 3 * 10**17)


async def test_forged_reports_displace_no_proved_ones(store: Store, samples: Samples) -> None:
    proved = report(samples)
    await store.add_domain_reports([proved])
    forged = [report(samples, f"forged {number}", is_authenticated=False) for number in range(MAX_UNPROVED + 5)]
    await store.add_domain_reports(forged)
    kept = (await store.page_domain_reports(ACCOUNT, rows=9, limit=500)).items
    assert list(kept) == [*forged[:4:-1], proved]


async def test_old_reports_are_deleted(store: Store, samples: Samples) -> None:
    await store.add_domain_reports([report(samples, str(number)) for number in range(3)])
    assert await store.delete_domain_reports(created_before=NOW, limit=9) == 0
    later = NOW + timedelta(days=1)
    assert await store.delete_domain_reports(created_before=later, limit=2) == 2
    assert await store.delete_domain_reports(created_before=later, limit=2) == 1


async def test_a_forgery_keeps_no_genuine_report_out(store: Store, samples: Samples) -> None:
    forged, foreign = report(samples, is_authenticated=False), replace(report(samples), author="forger.test")
    genuine = report(samples)
    assert await store.add_domain_reports([forged, foreign, genuine]) == 3
    assert [each.content.report_key for each in (await store.page_domain_reports(ACCOUNT, rows=9, limit=9)).items] == ["1", "1", "1"]
    assert await store.get_domain_report(ACCOUNT, genuine.id) == genuine


async def test_one_author_does_not_displace_the_others(store: Store, samples: Samples) -> None:
    genuine = report(samples)
    flood = [replace(report(samples, str(number)), author="flood.test") for number in range(MAX_OF_AUTHOR + 3)]
    await store.add_domain_reports([genuine, *flood])
    assert list((await store.page_domain_reports(ACCOUNT, rows=9, limit=500)).items) == [*flood[:2:-1], genuine]


async def test_a_list_reads_the_first_rows_alone(store: Store, samples: Samples) -> None:
    made = report(samples)
    await store.add_domain_reports([made])
    for rows in range(3):
        (found,) = (await store.page_domain_reports(ACCOUNT, rows=rows, limit=9)).items
        assert found == replace(made, content=replace(CONTENT, rows=CONTENT.rows[:rows]))
        assert (await store.page_domain_reports(ACCOUNT, domain="example.test", rows=rows, limit=9)).items == (found,)


def newest(reports: Sequence[DomainReport], number: int) -> list[DomainReportId]:
    return [each.id for each in reports[::-1][:number]]


async def test_few_large_reports_are_kept(store: Store, samples: Samples) -> None:
    octets = 256 * 1024
    genuine = replace(report(samples), author="genuine.test")
    rows = (ReportRow(number=1, is_good=True, source="\u4e00" * (octets // 3)),)
    large = [report(samples, str(number), is_authenticated=False) for number in range(MAX_UNPROVED_OCTETS // octets + 4)]
    large = [replace(each, author=f"{each.id}.test", content=replace(each.content, rows=rows)) for each in large]
    await store.add_domain_reports([genuine, *large])
    kept = (await store.page_domain_reports(ACCOUNT, rows=0, limit=500)).items
    assert [each.id for each in kept] == [*newest(large, MAX_UNPROVED_OCTETS // octets - 1), genuine.id]
    flood = [replace(each, id=report(samples).id, author="flood.test", is_authenticated=True) for each in large * 3]
    flood = [replace(each, content=replace(each.content, report_key=str(number))) for number, each in enumerate(flood)]
    await store.add_domain_reports(flood)
    proved = [each for each in (await store.page_domain_reports(ACCOUNT, rows=0, limit=500)).items if each.is_authenticated]
    assert [each.id for each in proved] == [*newest(flood, MAX_OCTETS_OF_AUTHOR // octets - 1), genuine.id]
