"""Reports that other mail servers send about mail from or to a domain of ours: DMARC (who sends as the domain) and TLS (how sessions went)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from typing import Final

from sendryd.model.ids import AccountId, DomainReportId

_WORD: Final = re.compile(r"[^\W_]+")


class ReportTopic(StrEnum):
    """What a report is about."""

    DMARC = "dmarc"  # RFC 7489 §7.2: mail with the domain in From, and whether it was authenticated
    TLS = "tls"  # RFC 8460: sessions with the domain's mail servers, and whether they were encrypted


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """Messages or sessions of one kind. Texts are a stranger's, cut, and without control characters."""

    number: int
    is_good: bool  # DMARC: authenticated and aligned; TLS: as the policy asks
    source: str  # DMARC: the address that sent; TLS: the receiving server, empty if the report names none
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """What a report says of one domain."""

    topic: ReportTopic
    domain: str
    reporter: str  # the organisation, in its own words
    report_key: str  # its number of the report
    begins_at: datetime
    ends_at: datetime
    good: int  # messages or sessions
    bad: int
    rows: tuple[ReportRow, ...]  # the largest ones
    policy: str = ""  # the policy that the reporter found


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainReport:
    """A stored report."""

    id: DomainReportId
    account_id: AccountId
    content: ReportContent
    author: str  # the address in From of the mail that brought it
    is_authenticated: bool  # SPF or DKIM of that mail names the domain of its author
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSum:
    """All reports of one topic about one domain in a time."""

    domain: str
    topic: ReportTopic
    reports: int
    good: int
    bad: int
    latest: datetime


def is_in_own_name(reporter: str, organisation: str) -> bool:
    """Whether the words by which a reporter names itself are the name of its author's organisational domain: `Yahoo! Inc.` of `yahooinc.com`. Honest
    receivers use other names, too, so the author is shown beside such a report, which still counts.
    """
    words = _WORD.findall(reporter.lower())
    name = "".join(_WORD.findall(organisation.partition(".")[0].lower()))
    return name in {*words, *accumulate(words)}
