"""The DNS records that prove a sending domain, what is wrong with those that were found, and what follows from that.

DKIM and SPF are required; DMARC is advised. Standards: RFC 6376 §3.6.1 (DKIM), RFC 7208 (SPF), RFC 7489 §6.3 (DMARC).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.domain import DnsRecord, DomainStatus, RecordPurpose, SendingDomain

FAILURES_TO_FALL: Final = 3  # checks in a row that miss a required record
TIME_TO_FALL: Final = timedelta(hours=24)  # and the time that they must span: a provider's bad day is no reason
MAX_NAME: Final = 253  # octets of a name without its final dot: RFC 1035 §2.3.4


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


@dataclass(frozen=True, slots=True)
class SpfReading:
    """What one SPF policy says of our mechanism, and which other policies have to be read to know more."""

    does_authorise: bool
    others: tuple[str, ...] = ()  # names of included policies, and of the one that it redirects to


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a check comes to."""

    status: DomainStatus
    records: tuple[DnsRecord, ...]
    verified_at: datetime | None
    failing_since: datetime | None
    failures: int
    is_conclusive: bool  # False: a required record could not be looked up, and nothing changes but the reasons shown


def dkim_name(name: str, selector: str) -> str:
    """Where a domain's DKIM key is published (RFC 6376 §3.6.2.1)."""
    return f"{selector}._domainkey.{name}"


def wanted_records(name: str, selector: str, public_key: str, settings: RecordSettings) -> tuple[DnsRecord, ...]:
    """What to publish, in the order in which it is shown."""
    return (
        DnsRecord(purpose=RecordPurpose.DMARC, type="TXT", name=f"_dmarc.{name}", value="v=DMARC1; p=none;", is_required=False),
        DnsRecord(
            purpose=RecordPurpose.DKIM,
            type="TXT",
            name=dkim_name(name, selector),
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
    """What is wrong with the key record; empty if nothing is. White space within the key counts for nothing."""
    keys = [tags for tags in map(read_tags, found) if "p" in tags and tags.get("v", "DKIM1") == "DKIM1"]
    if not keys and found:
        return "The TXT record of this name is not a DKIM key: publish the value shown here."
    if not keys:
        return "No DKIM record was found: publish it."
    if len(keys) > 1:  # RFC 6376 §3.6.2.2: what receivers make of that is undefined
        return "There are several DKIM records of this name: leave only the one shown here."
    tags = keys[0]
    published = "".join(tags["p"].split())
    if published == public_key:
        return _check_key_tags(tags)
    if not published:
        return "The published DKIM key is revoked (its p= is empty): publish the value shown here."
    if public_key.startswith(published):
        return "The published DKIM key is cut off: publish the whole value, in several strings if one is too short."
    if public_key in published:
        return "The published DKIM key has stray characters around it, such as quotation marks: remove them."
    return "The published DKIM key is another one: publish the value shown here."


def _check_key_tags(tags: Mapping[str, str]) -> str:
    """The tags beside the key that make receivers ignore it (RFC 6376 §3.6.1)."""
    if tags.get("k", "rsa").lower() != "rsa":
        return "The DKIM record names another kind of key: it needs k=rsa."
    if "h" in tags and "sha256" not in _words(tags["h"]):
        return "The DKIM record forbids SHA-256: remove its h= tag."
    if "s" in tags and not _words(tags["s"]) & {"*", "email"}:
        return "The DKIM record is not for email: remove its s= tag."
    return ""


def check_dmarc(found: Sequence[str]) -> str:
    """What is wrong with the DMARC record; empty if nothing is."""
    policies = [tags for tags in map(read_tags, found) if tags.get("v", "").upper() == "DMARC1"]
    if not policies:
        return "No DMARC record was found: receivers of bulk mail ask for one."
    if len(policies) > 1:
        return "There are several DMARC records: leave only one."
    if policies[0].get("p", "").lower() not in {"none", "quarantine", "reject"}:
        return "The DMARC record has no policy: it needs p=none, p=quarantine or p=reject."
    return ""


def spf_policies(found: Sequence[str]) -> list[str]:
    """Those TXT records that are SPF policies (RFC 7208 §4.5)."""
    return [text for text in found if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def read_spf(policy: str, mechanism: str, domain: str) -> SpfReading:
    """Reads a domain's policy for our mechanism, term by term until one decides (RFC 7208 §4.6.2).

    `a` alone stands for the domain itself, a prefix length behind ours changes nothing. Names that are made with macros are not followed.
    """
    wanted = mechanism.lower()
    others: list[str] = []
    redirect = ""
    for term in policy.lower().split()[1:]:
        qualifier, bare = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
        name = "a:" + domain.lower() + bare[1:] if bare == "a" or bare.startswith("a/") else bare
        if name == "all" or name.partition("/")[0].rstrip(".") == wanted:
            return SpfReading(qualifier == "+", () if qualifier == "+" else tuple(others))
        if bare.startswith("include:") and qualifier == "+":
            others.append(bare.removeprefix("include:"))
        elif bare.startswith("redirect="):  # RFC 7208 §6.1: read last, and only if there is no `all`
            redirect = bare.removeprefix("redirect=")
    return SpfReading(False, tuple(other for other in (*others, redirect) if other and "%" not in other))


def evaluate(
    domain: SendingDomain, records: Sequence[DnsRecord], reasons: Mapping[RecordPurpose, str | Unknown], now: datetime
) -> Evaluation:
    """The status that follows from what is wrong with each record ("" if nothing is), and from what was known before."""
    checked = tuple(_judge(record, reasons[record.purpose], domain.records) for record in records)
    required = [reasons[record.purpose] for record in records if record.is_required]
    status, verified_at, failing_since, failures = (
        domain.status,
        domain.verified_at,
        domain.failing_since,
        domain.failures,
    )
    is_conclusive = not any(isinstance(reason, Unknown) for reason in required)
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
        records=checked,
        verified_at=verified_at,
        failing_since=failing_since,
        failures=failures,
        is_conclusive=is_conclusive,
    )


def _judge(record: DnsRecord, reason: str | Unknown, before: Sequence[DnsRecord]) -> DnsRecord:
    if not isinstance(reason, Unknown):
        return replace(record, is_verified=not reason, reason=reason)
    was_verified = any(
        old.is_verified and (old.purpose, old.name, old.value) == (record.purpose, record.name, record.value) for old in before
    )
    return replace(record, is_verified=was_verified, reason=reason.reason)


def read_tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376 §3.2)."""
    parts = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, separator, value in parts if separator}


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(":")}
