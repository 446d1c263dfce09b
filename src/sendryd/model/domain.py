"""Sending domains: the From domains of an account, proved by DNS."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sendryd.model.ids import AccountId, DomainId


class DomainStatus(StrEnum):
    """The status of the verification."""

    PENDING = "pending"  # never verified yet
    VERIFIED = "verified"  # the DKIM key is published and SPF authorises this installation
    FAILED = "failed"  # was verified, and its records have been missing in three checks over 24 hours


class TlsPolicy(StrEnum):
    """The TLS policy for a domain's mail."""

    OPPORTUNISTIC = "opportunistic"
    ENFORCED = "enforced"


class RecordPurpose(StrEnum):
    """The purpose of a DNS record."""

    DKIM = "dkim"
    SPF = "spf"
    DMARC = "dmarc"


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord:
    """One record to publish, with the result of the last check."""

    purpose: RecordPurpose
    type: str  # always TXT today
    name: str  # absolute, without the final dot
    value: str
    is_required: bool  # DMARC is advised, not required
    is_verified: bool = False
    reason: str = ""  # its fault in one sentence; empty when verified or never checked


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSettings:
    """The settings of a sending domain."""

    include_subdomains: bool = False  # the header From may be a subdomain too
    track_opens: bool = False
    track_clicks: bool = False
    tls_policy: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    custom_return_path: str | None = None
    region: str | None = None  # kept for clients that set it; there is one region here


@dataclass(frozen=True, slots=True, kw_only=True)
class Bimi:
    """A logo that receivers may show with a domain's mail (BIMI), as its owner publishes it."""

    logo_url: str
    vmc_url: str | None  # of the Verified Mark Certificate
    selector: str
    is_verified: bool
    verified_at: datetime | None  # when the record was last valid
    created_at: datetime
    updated_at: datetime

    @property
    def status(self) -> DomainStatus:
        """The status, like a domain's: pending if never valid, failed if no longer valid."""
        if self.is_verified:
            return DomainStatus.VERIFIED
        return DomainStatus.PENDING if self.verified_at is None else DomainStatus.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingDomain:
    """One sending domain of one account. Only the signer reads the private key, separately."""

    id: DomainId
    account_id: AccountId
    name: str  # A-label form, lower case
    status: DomainStatus
    selector: str
    public_key: str  # base64 of the SubjectPublicKeyInfo, the p= of the DKIM record
    settings: DomainSettings
    created_at: datetime
    verified_at: datetime | None = None  # when the records were last complete
    checked_at: datetime | None = None  # when the resolver last answered
    failing_since: datetime | None = None  # first of the consecutive checks without a required record
    failures: int = 0  # number of consecutive checks without a required record
    records: tuple[DnsRecord, ...] = ()  # with the results of the last check
