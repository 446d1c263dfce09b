"""Sending domains: the From domains of an account, proved by DNS."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sendryd.model.ids import AccountId, DkimKeyId, DomainId


class DomainStatus(StrEnum):
    """The status of the verification."""

    PENDING = "pending"  # never verified yet
    VERIFIED = "verified"  # the DKIM key is published and SPF authorises this installation
    FAILED = "failed"  # was verified, and its records have been missing in three checks over 24 hours


class TlsPolicy(StrEnum):
    """The TLS policy for a domain's mail."""

    OPPORTUNISTIC = "opportunistic"
    ENFORCED = "enforced"


class StsMode(StrEnum):
    """What a domain's MTA-STS policy asks of senders (RFC 8461 §3.2)."""

    ENFORCE = "enforce"  # no mail to a server that the policy does not name, or without a valid certificate
    TESTING = "testing"  # mail goes out as without a policy; failures are only counted
    NONE = "none"  # there is no policy any more


class RecordPurpose(StrEnum):
    """The purpose of a DNS record."""

    DKIM = "dkim"
    SPF = "spf"
    DMARC = "dmarc"
    RETURN_PATH = "return_path"  # MX of the domain's own return path, if it has one
    RETURN_PATH_SPF = "return_path_spf"
    MTA_STS = "mta_sts"  # announces the policy for mail to the domain; this and the following where its mail comes in here
    MTA_STS_HOST = "mta_sts_host"  # the host that serves the policy
    TLS_RPT = "tls_rpt"  # where reports of TLS sessions go
    DANE = "dane"  # the key of this server, at the server's own name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one or more name servers answered when a check asked for the record of a purpose."""

    purpose: RecordPurpose
    texts: tuple[str, ...] | None  # None: no answer
    servers: tuple[str, ...]  # names of authoritative servers; `RESOLVER` for this installation's


RESOLVER: Final = "resolver"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCheck:
    """One check of a domain's records."""

    at: datetime
    status: DomainStatus  # of the domain after it
    faults: Mapping[RecordPurpose, str]  # in a sentence; empty: the record is right
    sightings: tuple[Sighting, ...]  # of each purpose, first the one that the check judged by

    def found(self, purpose: RecordPurpose) -> tuple[str, ...]:
        """The texts that the check judged by; none also where DNS gave no answer."""
        return next((each.texts or () for each in self.sightings if each.purpose is purpose), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord:
    """One record to publish, with the result of the last check."""

    purpose: RecordPurpose
    type: str  # TXT, MX, CNAME or TLSA
    name: str  # absolute, without the final dot
    value: str  # of an MX with its preference
    is_required: bool  # DMARC and the return path are advised, records for mail that comes in are optional
    is_verified: bool = False
    reason: str = ""  # its fault in one sentence; empty when verified or never checked


LIVE: Final = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSettings:
    """The settings of a sending domain."""

    include_subdomains: bool = False  # the header From may be a subdomain too
    track_opens: bool = False
    track_clicks: bool = False
    tls_policy: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    custom_return_path: str | None = None
    region: str | None = None  # kept for clients that set it; there is one region here
    status_reports: bool = False  # failures are reported to senders also where no client asks for it
    delivery: str = LIVE  # the way out, as `policy.wayout` writes it
    mta_sts: StsMode = StsMode.TESTING  # of mail to the domain; followed by others once the owner publishes its record
    smarthost: str = ""  # the URL of its own smart host, without the password; empty: none
    smarthost_may_be_private: bool = False  # an operator has named it
    pool: str = ""  # of the addresses that its mail leaves from; empty: the installation's default


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
    account_smarthost: str = ""  # of its account, where the reader has looked it up: the URL without the password

    @property
    def smarthost(self) -> str:
        """The URL of the smart host that takes its mail, without the password: its own, else its account's; empty: none."""
        return self.settings.smarthost or self.account_smarthost


class DkimKeyState(StrEnum):
    """The place of a key in a rotation."""

    PENDING = "pending"  # waits for its record and its time
    ACTIVE = "active"  # signs
    RETIRED = "retired"  # has signed; its record stays until no mail needs it


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimKey:
    """The public half of a DKIM key of a domain."""

    id: DkimKeyId
    domain_id: DomainId
    selector: str
    public_key: str  # as of `SendingDomain`
    created_at: datetime
    starts_at: datetime  # signs from then on, once its record is found
    seen_at: datetime | None = None  # the last check that found its record; None: the latest one did not
    active_at: datetime | None = None
    retired_at: datetime | None = None

    @property
    def state(self) -> DkimKeyState:
        """Where it is in the rotation."""
        if self.retired_at is not None:
            return DkimKeyState.RETIRED
        return DkimKeyState.PENDING if self.active_at is None else DkimKeyState.ACTIVE
