"""Sending domains: the From domains that an account has proved to be its own."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sendryd.model.ids import AccountId, DomainId


class DomainStatus(StrEnum):
    """Where the proof stands."""

    PENDING = "pending"  # never verified yet
    VERIFIED = "verified"  # the DKIM key is published and SPF authorises this installation
    FAILED = "failed"  # was verified, and its records have been missing in three checks over 24 hours


class TlsPolicy(StrEnum):
    """What delivery of a domain's mail insists on."""

    OPPORTUNISTIC = "opportunistic"
    ENFORCED = "enforced"


class RecordPurpose(StrEnum):
    """What a DNS record is asked for."""

    DKIM = "dkim"
    SPF = "spf"
    DMARC = "dmarc"


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord:
    """One record to publish, and what was found of it."""

    purpose: RecordPurpose
    type: str  # always TXT today
    name: str  # absolute, without the final dot
    value: str
    is_required: bool  # DMARC is advised, not required
    is_verified: bool = False
    reason: str = ""  # why it is not right: one sentence; empty when verified or never checked


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSettings:
    """What an account may set for a sending domain."""

    include_subdomains: bool = False  # the header From may be a subdomain too
    track_opens: bool = False
    track_clicks: bool = False
    tls_policy: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    custom_return_path: str | None = None
    region: str | None = None  # kept for clients that set it; there is one region here


@dataclass(frozen=True, slots=True, kw_only=True)
class Bimi:
    """A logo that receivers may show beside a domain's mail (BIMI), as the domain's owner wants it published."""

    logo_url: str
    vmc_url: str | None  # of the Verified Mark Certificate
    selector: str
    is_verified: bool
    verified_at: datetime | None  # when the record was last found right
    created_at: datetime
    updated_at: datetime

    @property
    def status(self) -> DomainStatus:
        """As that of a domain: what was never right is pending, what was and is not any more has failed."""
        if self.is_verified:
            return DomainStatus.VERIFIED
        return DomainStatus.PENDING if self.verified_at is None else DomainStatus.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingDomain:
    """One sending domain of one account. The private key is read on its own, by the signer alone."""

    id: DomainId
    account_id: AccountId
    name: str  # A-label form, lower case
    status: DomainStatus
    selector: str
    public_key: str  # base64 of the SubjectPublicKeyInfo, the p= of the DKIM record
    settings: DomainSettings
    created_at: datetime
    verified_at: datetime | None = None  # when it was last found complete
    checked_at: datetime | None = None  # when an answer was last had from the resolver
    failing_since: datetime | None = None  # first of the checks in a row that missed a required record
    failures: int = 0  # number of checks in a row that missed a required record
    records: tuple[DnsRecord, ...] = ()  # as of the last check, or as asked for
