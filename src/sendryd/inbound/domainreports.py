"""DMARC and TLS reports to `dmarc@` and `tls@` the bounce domain: read behind a fence, stored for verified domains of ours alone.

Does: keeps what a report says of a domain that an account has verified. A report about any other domain changes nothing and is answered as one that is
kept, so that the reply does not tell which domains are here. Whether the sender is proved is noted: anybody may write a report.
Reads: DNS for SPF and DKIM of the mail. Writes: `store.add_domain_reports`, durable before the 250.
Limits: `MAX_SIZE` octets of a mail; of a report those of `message.reports.unpacking`; of what is kept those of the store.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sendryd.inbound.authentication import Authenticator, Results
from sendryd.message.dkimverify import DkimResult
from sendryd.message.fenced import read_reports_about_us
from sendryd.model.domainreport import DomainReport, ReportContent, ReportRow, ReportTopic
from sendryd.model.ids import DOMAIN_REPORT_PREFIX, DomainReportId, format_id
from sendryd.policy.spf import SpfResult
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import Fence
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.publicsuffix import organisational_domain
from sendryd.store.base import Store

MAX_SIZE: Final = 1024 * 1024  # octets of a mail: compressed reports of large receivers have some dozen KiB
OLDEST: Final = timedelta(days=90)  # of a report's end, which is as long as reports are kept
AHEAD: Final = timedelta(days=2)  # by which clocks and time zones may differ

log = get_logger("inbound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A mail that may bring reports."""

    content: bytes
    reverse_path: str
    client: str
    hello: str
    lane: int  # of the fence


class DomainReporter:
    """Keeps reports."""

    def __init__(self, store: Store, fence: Fence, authenticator: Authenticator, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._fence = fence
        self._authenticator = authenticator
        self._clock = clock
        self._ids = ids

    async def keep(self, mail: Brought) -> int | None:
        """Stores the reports in a mail that are about our domains. Returns how many were new; None if there is no report in it. Raises
        `TooCostly`, `FenceUnavailable`, `StoreError`.
        """
        found = await self._fence.run(read_reports_about_us, mail.content, lane=mail.lane)
        if not found:
            return None
        now = self._clock.now()
        ours = []
        for each in found:
            content = read_content(each, now)
            account_id = await self._store.find_receiving_account(content.domain) if content is not None else None
            if content is not None and account_id is not None:
                ours.append((account_id, content))
        if not ours:
            return 0
        results = await self._authenticator.judge(mail.content, client=mail.client, hello=mail.hello, reverse_path=mail.reverse_path)
        is_proved = await asyncio.to_thread(_is_proved, results)
        reports = [
            DomainReport(
                id=DomainReportId(self._ids.next()),
                account_id=account_id,
                content=content,
                author=results.author_domain,
                is_authenticated=is_proved,
                created_at=now,
            )
            for account_id, content in ours
        ]
        added = await self._store.add_domain_reports(reports)
        for each in reports:
            number, content = format_id(DOMAIN_REPORT_PREFIX, each.id), each.content
            log.info("domain_report", id=number, topic=content.topic.value, domain=content.domain, author=each.author, is_proved=is_proved)
        return added


def read_content(found: Mapping[str, Any], now: datetime) -> ReportContent | None:
    """What a report says; None if it is of a time that cannot be."""
    try:
        begins_at, ends_at = (datetime.fromtimestamp(found[name], UTC) for name in ("begins_at", "ends_at"))
    except (ValueError, OverflowError, OSError):
        return None
    if not begins_at <= ends_at or not now - OLDEST <= ends_at <= now + AHEAD or ends_at - begins_at > OLDEST:
        return None
    rows = tuple(ReportRow(**row) for row in found["rows"])
    values = {name: found[name] for name in ("domain", "reporter", "report_key", "policy", "good", "bad")}
    return ReportContent(topic=ReportTopic(found["topic"]), begins_at=begins_at, ends_at=ends_at, rows=rows, **values)


def _is_proved(results: Results) -> bool:
    """Whether SPF or DKIM name the organisation of the mail's author."""
    proved = [name for name, result in results.dkim if result is DkimResult.PASS]
    proved += [results.spf_domain.lower()] if results.spf is SpfResult.PASS else []
    author = results.author_domain
    return bool(author) and organisational_domain(author) in {organisational_domain(each) for each in proved}
