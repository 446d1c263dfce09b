"""Sending domains and their logos as requests and answers have them. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from sendryd.api.framework.answers import timestamp_or_none
from sendryd.api.framework.bodies import Body
from sendryd.api.framework.urls import HttpsUrl
from sendryd.api.regions.schema import RegionCode
from sendryd.model import domain as model
from sendryd.model.ids import BIMI_PREFIX, DOMAIN_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.policy.bimi import bimi_name, bimi_value
from sendryd.policy.dnsrecords import advise

MAX_FOUND: Final = 2000  # characters of what a stranger's DNS says that are shown
_SELECTOR: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)  # a label: RFC 1035 §2.3.1


def _read_selector(text: str) -> str:
    if not _SELECTOR.fullmatch(text):
        raise ValueError("a selector has 1 to 63 letters, digits and hyphens, as default")
    return text.lower()


class NewDomainBody(Body):
    """A domain to add."""

    name: Annotated[str, Field(min_length=3, max_length=253)]


class TrackingBody(Body):
    """What to track in emails."""

    opens: bool | None = None
    clicks: bool | None = None


class DomainBody(Body):
    """The settings to change."""

    tls_policy: Literal["opportunistic", "enforced"] | None = None
    custom_return_path: (
        Annotated[str, Field(max_length=253, description="A subdomain of the domain, for bounces; null for none.")] | None
    ) = None
    mta_sts: (
        Annotated[
            Literal["none", "testing", "enforce"],
            Field(description="What the MTA-STS policy asks of servers that send mail to the domain (RFC 8461)."),
        ]
        | None
    ) = None
    delivery: (
        Annotated[
            str,
            Field(
                max_length=3000,
                description="The way out of the domain's mail: `live`, `capture` (it stays in the Test Inbox), `redirect:ADDRESS` (all of it goes"
                " there instead) or `copy:ADDRESS` (a copy goes there); several addresses are separated by commas.",
            ),
        ]
        | None
    ) = None
    smarthost: (
        Annotated[
            str,
            Field(
                max_length=1000,
                description="A smart host that takes the domain's mail in place of the recipients' servers: `smtp://user:password@host:port`"
                " (STARTTLS), `smtps://…` or `smtp+notls://…`; null for none. Answers have it without the password, and in that form it keeps it.",
            ),
        ]
        | None
    ) = None
    pool: (
        Annotated[
            str,
            Field(max_length=63, description="The pool of addresses that the domain's mail leaves from; null for the default."),
        ]
        | None
    ) = None
    tracking: TrackingBody | None = None
    include_subdomains: bool | None = None
    status_reports: (
        Annotated[bool, Field(description="Mail the sender a report (RFC 3464) of each recipient that a message fails for.")] | None
    ) = None
    track_opens: bool | None = None
    track_clicks: bool | None = None

    def change(self, settings: model.DomainSettings) -> model.DomainSettings:
        """The settings with what changes. Null leaves a setting as it is, but takes a return path, a smart host or a
        pool away, as an empty one does.
        """
        tracking = self.tracking or TrackingBody()
        names_path = "custom_return_path" in self.model_fields_set
        return replace(
            settings,
            tls_policy=model.TlsPolicy(self.tls_policy or settings.tls_policy),
            custom_return_path=(self.custom_return_path or None) if names_path else settings.custom_return_path,
            mta_sts=model.StsMode(self.mta_sts or settings.mta_sts),
            delivery=settings.delivery if self.delivery is None else self.delivery,
            smarthost=(self.smarthost or "") if "smarthost" in self.model_fields_set else settings.smarthost,
            pool=(self.pool or "") if "pool" in self.model_fields_set else settings.pool,
            status_reports=_first(self.status_reports, settings.status_reports),
            include_subdomains=_first(self.include_subdomains, settings.include_subdomains),
            track_opens=_first(self.track_opens, _first(tracking.opens, settings.track_opens)),
            track_clicks=_first(self.track_clicks, _first(tracking.clicks, settings.track_clicks)),
        )


def _first(given: bool | None, otherwise: bool) -> bool:
    return otherwise if given is None else given


class DomainRegionBody(Body):
    """The region to prefer."""

    region: RegionCode | None = None

    def change(self, settings: model.DomainSettings) -> model.DomainSettings:
        """The settings with the region; null takes it away."""
        return replace(settings, region=self.region) if "region" in self.model_fields_set else settings


class BimiBody(Body):
    """The logo to set."""

    logo_url: HttpsUrl
    vmc_url: HttpsUrl | None = None
    selector: Annotated[str, AfterValidator(_read_selector)] | None = None


class DnsRecord(TypedDict):
    """A DNS record to publish."""

    type: str
    host: str
    value: str
    name: str
    priority: NotRequired[int]
    verified: bool
    required: bool
    reason: NotRequired[str]


class TrackingSettings(TypedDict):
    """What is tracked in a domain's emails."""

    opens: bool
    clicks: bool


class Domain(TypedDict):
    """A sending domain."""

    id: str
    name: str
    status: Literal["pending", "verified", "failed"]
    region: str | None
    tls_policy: Literal["opportunistic", "enforced"]
    custom_return_path: str | None
    mta_sts: Literal["none", "testing", "enforce"]
    delivery: str
    smarthost: str | None
    pool: str | None
    include_subdomains: bool
    status_reports: bool
    track_opens: bool
    track_clicks: bool
    tracking: TrackingSettings
    dns_records: list[DnsRecord]
    created_at: str


class DnsCheck(TypedDict):
    """The result of a check of one DNS record."""

    verified: bool
    found: str | None
    expected: str
    issue: str | None
    action: str | None


class DnsChecks(TypedDict):
    """The results of a domain's three DNS records."""

    spf: DnsCheck
    dkim: DnsCheck
    dmarc: DnsCheck


class DomainVerification(TypedDict):
    """The result of a check of a domain's DNS records."""

    id: str
    name: str
    status: Literal["pending", "verified", "failed"]
    spf_verified: bool
    dkim_verified: bool
    dmarc_verified: bool
    checks: DnsChecks


class Bimi(TypedDict):
    """A domain's logo (BIMI)."""

    id: str
    domain_id: str
    logo_url: str
    vmc_url: str | None
    selector: str
    status: str
    dns_record: str | None
    dns_records: list[DnsRecord]
    verified_at: str | None
    created_at: str
    updated_at: str


class BimiVerification(TypedDict):
    """The result of a check of the logo's DNS record."""

    verified: bool
    status: str
    issue: NotRequired[str]


def domain_json(domain: model.SendingDomain) -> Domain:
    """A sending domain."""
    settings = domain.settings
    return {
        "id": format_id(DOMAIN_PREFIX, domain.id),
        "name": domain.name,
        "status": domain.status.value,
        "region": settings.region,
        "tls_policy": settings.tls_policy.value,
        "custom_return_path": settings.custom_return_path,
        "mta_sts": settings.mta_sts.value,
        "delivery": settings.delivery,
        "smarthost": settings.smarthost or None,
        "pool": settings.pool or None,
        "include_subdomains": settings.include_subdomains,
        "status_reports": settings.status_reports,
        "track_opens": settings.track_opens,
        "track_clicks": settings.track_clicks,
        "tracking": {"opens": settings.track_opens, "clicks": settings.track_clicks},
        "dns_records": [_record_json(record) for record in domain.records],
        "created_at": timestamp(domain.created_at),
    }


def _record_json(record: model.DnsRecord) -> DnsRecord:
    body: DnsRecord = {
        "type": record.type,
        "host": record.name,
        "value": record.value,
        "name": record.name,
        "verified": record.is_verified,
        "required": record.is_required,
    }
    if record.type == "MX":
        preference, _, host = record.value.partition(" ")
        body |= {"value": host, "priority": int(preference)}
    return {**body, "reason": record.reason} if record.reason else body


def verification_json(domain: model.SendingDomain, found: Mapping[model.RecordPurpose, tuple[str, ...]]) -> DomainVerification:
    """What a check found: the domain as it is now, and the records that DNS has for each purpose."""
    checks = {record.purpose: _check_json(record, found.get(record.purpose, ())) for record in domain.records}
    spf, dkim, dmarc = checks[model.RecordPurpose.SPF], checks[model.RecordPurpose.DKIM], checks[model.RecordPurpose.DMARC]
    return {
        "id": format_id(DOMAIN_PREFIX, domain.id),
        "name": domain.name,
        "status": domain.status.value,
        "spf_verified": spf["verified"],
        "dkim_verified": dkim["verified"],
        "dmarc_verified": dmarc["verified"],
        "checks": {"spf": spf, "dkim": dkim, "dmarc": dmarc},
    }


def _check_json(record: model.DnsRecord, found: tuple[str, ...]) -> DnsCheck:
    return {
        "verified": record.is_verified,
        "found": "\n".join(found)[:MAX_FOUND] or None,
        "expected": record.value,
        "issue": record.reason or None,
        "action": advise(record, found) or None,
    }


def bimi_json(domain: model.SendingDomain, bimi: model.Bimi) -> Bimi:
    """A domain's logo, and the record to publish."""
    name, value = bimi_name(domain.name, bimi.selector), bimi_value(bimi.logo_url, bimi.vmc_url)
    return {
        "id": format_id(BIMI_PREFIX, domain.id),
        "domain_id": format_id(DOMAIN_PREFIX, domain.id),
        "logo_url": bimi.logo_url,
        "vmc_url": bimi.vmc_url,
        "selector": bimi.selector,
        "status": bimi.status.value,
        "dns_record": value,
        "dns_records": [{"type": "TXT", "host": name, "value": value, "name": name, "verified": bimi.is_verified, "required": False}],
        "verified_at": timestamp_or_none(bimi.verified_at),
        "created_at": timestamp(bimi.created_at),
        "updated_at": timestamp(bimi.updated_at),
    }


def bimi_verification_json(bimi: model.Bimi, reason: str) -> BimiVerification:
    """What a check of a logo's record found; the reason is empty if the record is right."""
    body: BimiVerification = {"verified": bimi.is_verified, "status": bimi.status.value}
    return {**body, "issue": reason} if reason else body
