"""The DNS records that prove a sending domain, and what is wrong with those that were found.

DKIM and SPF are required; DMARC is advised. Standards: RFC 6376 §3.6.1, RFC 7208, RFC 9989 (DMARC).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.domain import DnsRecord, DomainStatus, RecordPurpose, SendingDomain

FAILURES_TO_FALL: Final = 3  # checks in a row that miss a required record
TIME_TO_FALL: Final = timedelta(hours=24)  # and the time that they must span: a provider's bad day is no reason


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """What this installation asks for."""

    hostname: str
    spf_include: str = ""  # empty: a:HOSTNAME

    @property
    def spf_mechanism(self) -> str:
        """The mechanism that authorises this installation."""
        return f"include:{self.spf_include}" if self.spf_include else f"a:{self.hostname}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer was had; nothing follows from that."""

    reason: str


Found = Sequence[str] | Unknown  # the TXT records of one name


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a check comes to."""

    status: DomainStatus
    records: tuple[DnsRecord, ...]
    verified_at: datetime | None
    failing_since: datetime | None
    failures: int
    is_conclusive: bool  # False: a required record could not be looked up, and nothing changes but the reasons shown


def wanted_records(name: str, selector: str, public_key: str, settings: RecordSettings) -> tuple[DnsRecord, ...]:
    """What to publish, in the order in which it is shown."""
    return (
        DnsRecord(
            purpose=RecordPurpose.DMARC, type="TXT", name=f"_dmarc.{name}", value="v=DMARC1; p=none;", is_required=False
        ),
        DnsRecord(
            purpose=RecordPurpose.DKIM,
            type="TXT",
            name=f"{selector}._domainkey.{name}",
            value=f"v=DKIM1; k=rsa; p={public_key}",
            is_required=True,
        ),
        DnsRecord(
            purpose=RecordPurpose.SPF,
            type="TXT",
            name=name,
            value=f"v=spf1 {settings.spf_mechanism} ~all",
            is_required=True,
        ),
    )


def check_dkim(found: Sequence[str], public_key: str) -> str:
    """What is wrong with the key record; empty if nothing is."""
    keys = [_tags(text) for text in found if "p=" in text.replace(" ", "")]
    if not keys:
        return "No DKIM record was found: publish it."
    published = ["".join(tags.get("p", "").split()) for tags in keys]
    if public_key in published and len(keys) == 1:
        return ""
    if len(keys) > 1:
        return "There are several DKIM records of this name: leave only the one shown here."
    if not published[0]:
        return "The published DKIM key is revoked (its p= is empty): publish the value shown here."
    return "The published DKIM key is another one: publish the value shown here."


def check_dmarc(found: Sequence[str]) -> str:
    """What is wrong with the DMARC record; empty if nothing is."""
    policies = [text for text in found if text.replace(" ", "").lower().startswith("v=dmarc1")]
    if not policies:
        return "No DMARC record was found: receivers of bulk mail ask for one."
    if len(policies) > 1:
        return "There are several DMARC records: leave only one."
    if _tags(policies[0]).get("p", "").lower() not in {"none", "quarantine", "reject"}:
        return "The DMARC record has no policy: it needs p=none, p=quarantine or p=reject."
    return ""


def spf_policies(found: Sequence[str]) -> list[str]:
    """Those TXT records that are SPF policies (RFC 7208 §4.5)."""
    return [text for text in found if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def spf_terms(policy: str) -> list[str]:
    """The terms of a policy, in lower case, without the version."""
    return policy.lower().split()[1:]


def has_mechanism(policy: str, mechanism: str, domain: str) -> bool:
    """Whether a policy lets the mechanism pass. `a` alone stands for the domain itself."""
    wanted = mechanism.lower()
    for term in spf_terms(policy):
        bare = term[1:] if term[:1] in "+?~-" else term
        if term[:1] in {"-", "~", "?"}:
            continue
        if bare == wanted or (bare == "a" and wanted == f"a:{domain}") or bare == "all":
            return True
    return False


def evaluate(domain: SendingDomain, records: Sequence[DnsRecord], reasons: Mapping[RecordPurpose, str | Unknown], now: datetime) -> Evaluation:
    """The status that follows from what is wrong with each record ("" if nothing is), and from what was known before."""
    checked = []
    for record in records:
        reason = reasons[record.purpose]
        if isinstance(reason, Unknown):
            was = next((old for old in domain.records if old.purpose is record.purpose), record)
            checked.append(replace(record, is_verified=was.is_verified and was.value == record.value, reason=reason.reason))
        else:
            checked.append(replace(record, is_verified=not reason, reason=reason))
    required = [reasons[record.purpose] for record in records if record.is_required]
    is_conclusive = not any(isinstance(reason, Unknown) for reason in required)
    status, verified_at = domain.status, domain.verified_at
    failing_since, failures = domain.failing_since, domain.failures
    if is_conclusive and not any(required):
        status, verified_at, failing_since, failures = DomainStatus.VERIFIED, now, None, 0
    elif is_conclusive:
        failing_since = failing_since or now
        failures += 1
        is_over = failures >= FAILURES_TO_FALL and now - failing_since >= TIME_TO_FALL
        if status is DomainStatus.VERIFIED and is_over:
            status = DomainStatus.FAILED
    return Evaluation(
        status=status,
        records=tuple(checked),
        verified_at=verified_at,
        failing_since=failing_since,
        failures=failures,
        is_conclusive=is_conclusive,
    )


def _tags(text: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, separator, value in parts if separator}
