"""Reports of others about our domains: stored within bounds, listed, summed, deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from sendryd.model.domainreport import DomainReport, ReportSum, ReportTopic
from sendryd.model.ids import AccountId, DomainReportId
from sendryd.store.base.paging import Page

# Reports of one topic that are kept for a domain: large senders hear from some dozens of receivers a day. Of those that anybody may have forged there
# are few, and they never displace the others.
MAX_PROVED: Final = 2_000
MAX_UNPROVED: Final = 100
MAX_PROVED_OCTETS: Final = 32 * 1024 * 1024  # of their rows
MAX_UNPROVED_OCTETS: Final = 2 * 1024 * 1024
MAX_OF_AUTHOR: Final = 200  # of these, from one author: twice what a daily report takes in the time that reports are kept
MAX_OCTETS_OF_AUTHOR: Final = 4 * 1024 * 1024


class DomainReportStore(Protocol):
    """Reports of others."""

    async def add_domain_reports(self, reports: Sequence[DomainReport]) -> int:
        """Stores reports; one that is there already (topic, domain, reporter, key, author and its proof) is left out. The oldest beyond `MAX_PROVED` and
        `MAX_UNPROVED` of their domain and topic, beyond `MAX_OF_AUTHOR` of their author, and beyond the octets of each, are deleted. Returns how many were
        new. Durable.
        """
        ...

    async def get_domain_report(self, account_id: AccountId, report_id: DomainReportId) -> DomainReport | None:
        """One report of an account."""
        ...

    async def page_domain_reports(
        self,
        account_id: AccountId,
        *,
        domain: str | None = None,
        topic: ReportTopic | None = None,
        rows: int,
        limit: int,
        before: DomainReportId | None = None,
    ) -> Page[DomainReport]:
        """Reports of an account, newest first. Of each the first `rows` rows are read."""
        ...

    async def sum_domain_reports(self, account_id: AccountId, *, since: datetime) -> list[ReportSum]:
        """What the reports that came since then say of each domain, by name and topic. Only reports whose sender is proved count."""
        ...

    async def delete_domain_reports(self, *, created_before: datetime, limit: int) -> int:
        """Deletes reports, oldest first. Returns how many."""
        ...
