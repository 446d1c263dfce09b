"""The DNS records of a sending domain: what to publish, the faults of published records, and the domain's status.

DKIM and SPF are required; DMARC is advised. Standards: RFC 6376 §3.6.1 (DKIM), RFC 7208 (SPF), RFC 7489 §6.3, §6.6.3 (DMARC).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.domain import DnsRecord, DomainStatus, RecordPurpose, SendingDomain
from sendryd.policy.spf import SpfResult, SpfVerdict
from sendryd.policy.spfrecord import spf_records

NO_ANSWER: Final = "could not be looked up"  # in the reason of each record without an answer from DNS
FAILURES_TO_FALL: Final = 3  # checks in a row that miss a required record
TIME_TO_FALL: Final = timedelta(hours=24)  # and the time that they must span, so that an outage of the DNS provider is not enough
QUOTES: Final = ('"', "\u201c", "\u201d", "\u201e", "'")
_OR_SPACES: Final = " or spaces before it"
MX_PREFERENCE: Final = 10  # there is one server, so that it decides nothing
OF_RETURN_PATH: Final = frozenset({RecordPurpose.RETURN_PATH, RecordPurpose.RETURN_PATH_SPF})
MAX_NAME: Final = 253  # octets of a name without its final dot: RFC 1035 §2.3.4


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """Settings of this installation for the records."""

    hostname: str
    spf_include: str = ""  # empty: a:HOSTNAME
    report_address: str = ""  # takes DMARC reports, as `mailto:…`; empty: none are taken

    @property
    def mx(self) -> str:
        """The value of an MX record that leads here."""
        return f"{MX_PREFERENCE} {self.hostname}"

    @property
    def dmarc(self) -> str:
        """The DMARC record that is advised."""
        return f"v=DMARC1; p=none; rua={self.report_address};" if self.report_address else "v=DMARC1; p=none;"

    @property
    def spf_mechanism(self) -> str:
        """The mechanism that authorises this installation."""
        return f"include:{self.spf_include}" if self.spf_include else f"a:{self.hostname}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """DNS gave no answer; the status stays."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of a check."""

    status: DomainStatus
    records: tuple[DnsRecord, ...]
    verified_at: datetime | None
    failing_since: datetime | None
    failures: int
    is_conclusive: bool  # False: a required record could not be looked up; only the displayed reasons change


def unquoted(text: str) -> str:
    """A text without the quotation marks and blanks that DNS panels and people add."""
    return text.strip(" \t" + "".join(QUOTES))


def dkim_name(name: str, selector: str) -> str:
    """Where a domain's DKIM key is published (RFC 6376 §3.6.2.1)."""
    return f"{selector}._domainkey.{name}"


def wanted_records(
    name: str, selector: str, public_key: str, settings: RecordSettings, return_path: str | None = None
) -> tuple[DnsRecord, ...]:
    """The records to publish, in the order of display. `return_path` is the domain's own, below its name."""
    own = () if return_path is None else _return_path_records(return_path, settings)
    return (
        DnsRecord(purpose=RecordPurpose.DMARC, type="TXT", name=f"_dmarc.{name}", value=settings.dmarc, is_required=False),
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
        *own,
    )


def _return_path_records(name: str, settings: RecordSettings) -> tuple[DnsRecord, ...]:
    """Bounces must find their way here, and receivers look up SPF at the domain of the reverse-path (RFC 7208 §2.4)."""
    return (
        DnsRecord(purpose=RecordPurpose.RETURN_PATH, type="MX", name=name, value=settings.mx, is_required=False),
        DnsRecord(
            purpose=RecordPurpose.RETURN_PATH_SPF,
            type="TXT",
            name=name,
            value=f"v=spf1 {settings.spf_mechanism} ~all",
            is_required=False,
        ),
    )


def own_return_path(domain: SendingDomain) -> str:
    """The domain's own return path, once the last check has found its records; empty: none."""
    name = domain.settings.custom_return_path
    found = {record.purpose for record in domain.records if record.name == name and record.is_verified}
    return name if name is not None and found >= OF_RETURN_PATH else ""


def check_mx(hosts: Sequence[str], hostname: str) -> str:
    """The fault of a return path's MX records in a sentence; empty if bounces come here."""
    named = {host.rstrip(".").lower() for host in hosts}
    if not named:
        return f"No MX record was found: publish it, so that bounces reach {hostname}."
    if hostname.lower() not in named:
        return f"The MX record leads to another server: let it name {hostname}."
    if len(named) > 1:
        return f"Bounces may go to other servers too: leave only the MX record that names {hostname}."
    return ""


def check_dkim(found: Sequence[str], public_key: str) -> str:
    """The fault of the key record in a sentence; empty if it has none. White space within the key is ignored."""
    if any("\\;" in text for text in found):
        return "The DKIM record has backslashes before its semicolons: remove them."
    if any(unquoted(text).startswith("v=DKIM1") and unquoted(text) != text.strip() for text in found):
        return "The published DKIM key has stray characters around it, such as quotation marks: remove them."
    keys = [tags for tags in map(read_tags, found) if "p" in tags and tags.get("v", "DKIM1") == "DKIM1"]
    if not keys and found:
        return "The TXT record of this name is not a DKIM key: publish the value shown here."
    if not keys:
        return "No DKIM record was found: publish it."
    if len(keys) > 1:  # RFC 6376 §3.6.2.2: the result is undefined
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
    """The other tags that make receivers ignore the key (RFC 6376 §3.6.1)."""
    if tags.get("k", "rsa").lower() != "rsa":
        return "The DKIM record names another kind of key: it needs k=rsa."
    if "h" in tags and "sha256" not in _words(tags["h"]):
        return "The DKIM record forbids SHA-256: remove its h= tag."
    if "s" in tags and not _words(tags["s"]) & {"*", "email"}:
        return "The DKIM record is not for email: remove its s= tag."
    return ""


def check_dmarc(found: Sequence[str]) -> str:
    """The fault of the DMARC record in a sentence; empty if it has none."""
    if any("\\;" in text and text.upper().lstrip().startswith("V=DMARC1") for text in found):
        return "The DMARC record has backslashes before its semicolons: remove them."
    if any(unquoted(text).upper().startswith("V=DMARC1") and unquoted(text) != text.strip() for text in found):
        return "The DMARC record has quotation marks around it: remove them."
    policies = [tags for tags in map(read_tags, found) if tags.get("v", "").upper() == "DMARC1"]
    if not policies:
        return "No DMARC record was found: receivers of bulk mail ask for one."
    if len(policies) > 1:
        return "There are several DMARC records: leave only one."
    if policies[0].get("p", "").lower() not in {"none", "quarantine", "reject"}:
        return "The DMARC record has no policy: it needs p=none, p=quarantine or p=reject."
    return ""


def find_spf_fault(found: Sequence[str]) -> str:
    """The fault of a name's SPF records before evaluation; empty if there is exactly one."""
    records = spf_records(found)
    if len(records) > 1:  # RFC 7208 §4.5
        return "There are several SPF records: merge them into one, or receivers will ignore them all."
    if records and any(mark in records[0] for mark in QUOTES):
        return "The SPF record has quotation marks in it: remove them, your DNS panel adds those that are needed."
    if records:
        return ""
    if any(unquoted(text).lower().startswith("v=spf1") for text in found):
        return f"The SPF record is not one for receivers: let it begin with v=spf1 and a space, without quotation marks{_OR_SPACES}."
    return "No SPF record was found: publish it."


def explain_spf(verdict: SpfVerdict, host: str, mechanism: str) -> str:
    """What to change of an SPF record by which receivers do not let mail of this host pass; empty: it has no address."""
    match verdict.result:
        case SpfResult.PERMERROR:
            advice = f"correct it, and keep {mechanism} before its all term."
            return f"Receivers answer the SPF record with a permanent error, as {verdict.reason}: {advice}"
        case _:
            server = f"this server, {host}" if host else "this server"
            return f"The SPF record does not authorise {server}: add {mechanism} before its all term."


def doubled_name(name: str, domain: str) -> str:
    """The name of a record when a DNS panel has appended the domain a second time."""
    return f"{name}.{domain}"


def explain_doubled(record: DnsRecord, domain: str) -> str:
    """What to change if the record exists only at its doubled name."""
    relative = record.name.removesuffix(domain).rstrip(".") or "@"
    what = record.purpose.value.upper()
    return (
        f"No {what} record was found at {record.name}, but one at {doubled_name(record.name, domain)}:"
        f" your DNS panel appends {domain} to names, so enter {relative} as the name."
    )


def has_no_answer(record: DnsRecord) -> bool:
    """Whether DNS gave no answer for a record in the last check."""
    return NO_ANSWER in record.reason


def advise(record: DnsRecord, found: Sequence[str]) -> str:
    """What to do about a record after a check; empty if nothing. Each reason says what is wrong, and after a colon what to change."""
    if not record.reason:
        return ""
    if has_no_answer(record):
        return "Check again later."
    advice = record.reason.partition(": ")[2]
    if not found and "DNS panel" not in advice:
        return f"Publish {'an MX' if record.type == 'MX' else f'a {record.type}'} record of the name {record.name} with the value {record.value}"
    return advice[:1].upper() + advice[1:]


def is_for(purpose: RecordPurpose, text: str) -> bool:
    """Whether a TXT record is meant for a purpose, valid or not."""
    beginning = {RecordPurpose.DKIM: "v=dkim1", RecordPurpose.SPF: "v=spf1", RecordPurpose.DMARC: "v=dmarc1"}[purpose]
    return unquoted(text).lower().startswith(beginning) or (purpose is RecordPurpose.DKIM and "p" in read_tags(text))


def evaluate(
    domain: SendingDomain, records: Sequence[DnsRecord], reasons: Mapping[RecordPurpose, str | Unknown], now: datetime
) -> Evaluation:
    """The status that follows from the fault of each record ("" if none) and the state before the check."""
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
