"""The DNS records and the MTA-STS policy of a domain whose mail comes in here: how other servers are to encrypt it. Pure.

All of it is optional. The policy names this server alone, so it is advised only where every MX record of the domain leads here.
Standards: RFC 8461 (MTA-STS), RFC 8460 §3 (TLS-RPT), RFC 7672 §3.1 (DANE).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sendryd.model.domain import DnsRecord, RecordPurpose, StsMode
from sendryd.policy.mtasts import HOST_LABEL, RECORD_LABEL, read_record
from sendryd.policy.tlsrpt import RECORD_LABEL as REPORT_LABEL
from sendryd.policy.tlsrpt import read_destinations

OF_INBOUND: Final = frozenset({RecordPurpose.MTA_STS, RecordPurpose.MTA_STS_HOST, RecordPurpose.TLS_RPT, RecordPurpose.DANE})
# Seconds for which senders keep the policy: a day while it is tried out or withdrawn, so that a mistake is soon over; then what RFC 8461 §3.2 calls
# weeks or greater.
MAX_AGES: Final = {StsMode.TESTING: 86_400, StsMode.NONE: 86_400, StsMode.ENFORCE: 1_209_600}
ID_LENGTH: Final = 20  # characters of a policy's id; RFC 8461 §3.1 allows 32
TLS_REPORTS, DMARC_REPORTS = "tls", "dmarc"  # local parts at the bounce domain: where reports of others are taken


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundSettings:
    """What this installation can do for a domain whose mail comes in here. What it cannot is empty."""

    hostname: str  # of the MX
    web_host: str = ""  # the host of the public URL, if it is an https one
    report_domain: str = ""  # takes reports at `dmarc@` and `tls@`
    tlsa: str = ""  # of this server's certificate


def report_address(local_part: str, report_domain: str) -> str:
    """Where reports are taken, as records name it; empty without a domain for it."""
    return f"mailto:{local_part}@{report_domain}" if report_domain else ""


def policy_host(domain: str) -> str:
    """The host that serves a domain's policy."""
    return f"{HOST_LABEL}.{domain}"


def write_policy(mode: StsMode, hostname: str) -> str:
    """The policy as it is served (RFC 8461 §3.2). It names the server also in the mode `none`, which some readers demand."""
    lines = ("version: STSv1", f"mode: {mode.value}", f"mx: {hostname}", f"max_age: {MAX_AGES[mode]}", "")
    return "\r\n".join(lines)


def policy_id(policy: str) -> str:
    """The id of a policy: another one for each text."""
    return hashlib.sha256(policy.encode("ascii")).hexdigest()[:ID_LENGTH]


def inbound_records(domain: str, mode: StsMode, settings: InboundSettings) -> tuple[DnsRecord, ...]:
    """The records to publish for a domain whose mail comes in here, in the order of display."""
    records: list[DnsRecord] = []
    if settings.web_host:
        announced = f"v=STSv1; id={policy_id(write_policy(mode, settings.hostname))};"
        records += [
            _record(RecordPurpose.MTA_STS, "TXT", f"{RECORD_LABEL}.{domain}", announced),
            _record(RecordPurpose.MTA_STS_HOST, "CNAME", policy_host(domain), settings.web_host),
        ]
    if settings.report_domain:
        wanted = f"v=TLSRPTv1; rua={report_address(TLS_REPORTS, settings.report_domain)}"
        records.append(_record(RecordPurpose.TLS_RPT, "TXT", f"{REPORT_LABEL}.{domain}", wanted))
    if settings.tlsa:
        records.append(_record(RecordPurpose.DANE, "TLSA", f"_25._tcp.{settings.hostname}", settings.tlsa))
    return tuple(records)


def _record(purpose: RecordPurpose, kind: str, name: str, value: str) -> DnsRecord:
    return DnsRecord(purpose=purpose, type=kind, name=name, value=value, is_required=False)


def leads_here(hosts: Sequence[str], hostname: str) -> bool:
    """Whether a domain has MX records and each leads to this server."""
    return {host.rstrip(".").lower() for host in hosts} == {hostname.lower()}


def check_sts_record(found: Sequence[str], wanted: str) -> str:
    """The fault of the record that announces the policy in a sentence; empty if it has none."""
    number = read_record(tuple(found))
    if number is None and not found:
        return "No MTA-STS record was found: publish it once the policy host answers."
    if number is None:
        return "The TXT records of this name announce no policy: leave only the one shown here."
    if number != read_record((wanted,)):
        return "The MTA-STS record has the id of another policy, so that senders keep the old one: publish the value shown here."
    return ""


def check_sts_host(addresses: Sequence[str], ours: Sequence[str], web_host: str) -> str:
    """The fault of the policy host in a sentence; empty if it leads to the host of our public URL."""
    if not addresses:
        return f"The policy host does not exist: publish a CNAME record that leads to {web_host}."
    if not set(addresses) & set(ours):
        return f"The policy host is another server: let it lead to {web_host}."
    return ""


def check_tls_reports(found: Sequence[str], wanted: str) -> str:
    """The fault of the record that asks for TLS reports; empty if the reports come here too."""
    named = {each.lower() for each in read_destinations(found)}
    if not found:
        return "No TLS-RPT record was found: publish it to hear of failed TLS sessions."
    if not named:
        return "The TXT records of this name ask for no reports: leave only the one shown here."
    if not named & {each.lower() for each in read_destinations((wanted,))}:
        return "TLS reports go to another address: add the one shown here, with a comma between them, to see them in the dashboard."
    return ""


def check_tlsa(found: Sequence[str], wanted: str) -> str:
    """The fault of the TLSA records of this server in a sentence; empty if one of them is right."""
    if not found:
        return "No TLSA record was found: publish it only if DNSSEC signs the zone of this server's name."
    if wanted not in found:
        return (
            "The TLSA records name another key, so that senders with DANE send nothing here: publish the value shown here beside"
            " the others until they have expired."
        )
    return ""
