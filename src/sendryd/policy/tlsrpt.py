"""TLS-RPT: how sessions with a domain's mail servers went, and the report that the domain's owner asked for. Pure.

Standards: RFC 8460.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final

from sendryd.model.domain import StsMode
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.tls import TlsaRecord, TlsTrouble
from sendryd.valuetype import valuetype

RECORD_LABEL: Final = "_smtp._tls"  # RFC 8460 §3
MAX_DESTINATIONS: Final = 3  # addresses that get a report; honest records have one or two
MAX_DETAILS: Final = 100  # failures of one policy that a report lists, the most frequent ones
# Printable ASCII but for what ends an address: RFC 8460 §3 has `,`, `;` and `!` percent-encoded.
_MAILTO: Final = re.compile(r'mailto:["-+\--:<->@-~]{1,254}', re.ASCII | re.IGNORECASE)
_HTTPS: Final = re.compile(r'https://["-+\--:<-~]{1,2000}', re.ASCII | re.IGNORECASE)


class PolicyType(StrEnum):
    """Which policy the sessions were under (RFC 8460 §4.4)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class Failure(StrEnum):
    """Why a session failed, or had no TLS (RFC 8460 §4.3)."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION = "validation-failure"
    DNSSEC = "dnssec-invalid"


@valuetype(frozen=True, slots=True, kw_only=True)
class TlsResult:
    """How sessions with one server went; equal ones are counted together."""

    domain: str  # of the recipients
    policy_type: PolicyType
    policy: tuple[str, ...] = ()  # the policy's lines, or the TLSA records
    mx: tuple[str, ...] = ()  # the hosts that an MTA-STS policy names
    failure: Failure | None = None  # None: the session was as the policy wants it
    host: str = ""  # of the receiving server; of successes none is kept
    address: str = ""


def failure_of(trouble: TlsTrouble | None, detail: str) -> Failure:
    """The failure that TLS which did not come about is, by the words of OpenSSL where they say it."""
    words = detail.lower()
    if trouble is TlsTrouble.REFUSED:
        return Failure.STARTTLS_NOT_SUPPORTED
    if "hostname mismatch" in words or "not valid for" in words:
        return Failure.HOST_MISMATCH
    if "expired" in words or "not yet valid" in words:
        return Failure.EXPIRED
    if "self-signed" in words or "self signed" in words or "issuer" in words or "certificate verify failed" in words:
        return Failure.NOT_TRUSTED
    return Failure.VALIDATION


def describe_sts(policy: StsPolicy) -> tuple[str, ...]:
    """The lines of a policy, as reports show it."""
    return ("version: STSv1", f"mode: {policy.mode.value}", *(f"mx: {each}" for each in policy.mx), f"max_age: {policy.max_age}")


def describe_tlsa(records: Iterable[TlsaRecord]) -> tuple[str, ...]:
    """TLSA records, as reports show them."""
    return tuple(map(str, records))


def result_of(
    domain: str, sts: StsPolicy | None, tlsa: Sequence[TlsaRecord], *, failure: Failure | None = None, host: str = "", address: str = ""
) -> TlsResult:
    """The result of a session under the policies of a domain: DANE comes before MTA-STS."""
    kind, policy, mx = PolicyType.NONE, tuple[str, ...](), tuple[str, ...]()
    if tlsa:
        kind, policy = PolicyType.TLSA, describe_tlsa(tlsa)
    elif sts is not None and sts.mode is not StsMode.NONE:
        kind, policy, mx = PolicyType.STS, describe_sts(sts), sts.mx
    if failure is None:
        host = address = ""
    return TlsResult(domain=domain, policy_type=kind, policy=policy, mx=mx, failure=failure, host=host, address=address)


def read_destinations(texts: Sequence[str]) -> tuple[str, ...]:
    """The addresses that want reports, as `mailto:` and `https:`, from the TXT records at `_smtp._tls`; empty: no report (RFC 8460 §3)."""
    found = [text for text in texts if text.partition(";")[0].strip() == "v=TLSRPTv1"]
    if len(found) != 1:
        return ()
    fields = [each.partition("=") for each in found[0].split(";")[1:]]
    wanted = [each.strip() for name, _, value in fields if name.strip() == "rua" for each in value.split(",")]
    return tuple(each for each in wanted if _MAILTO.fullmatch(each) or _HTTPS.fullmatch(each))[:MAX_DESTINATIONS]


def make_report(counted: Sequence[tuple[TlsResult, int]], *, day: date, organization: str, contact: str, report_id: str) -> bytes:
    """The report of one day and one domain as JSON (RFC 8460 §4.4)."""
    policies: dict[tuple[Any, ...], list[tuple[TlsResult, int]]] = {}
    for result, number in counted:
        policies.setdefault((result.policy_type, result.policy, result.mx, result.domain), []).append((result, number))
    report = {
        "organization-name": organization,
        "date-range": {"start-datetime": f"{day.isoformat()}T00:00:00Z", "end-datetime": f"{day.isoformat()}T23:59:59Z"},
        "contact-info": contact,
        "report-id": report_id,
        "policies": [_policy(each) for each in policies.values()],
    }
    return json.dumps(report, separators=(",", ":")).encode("ascii")


def _policy(counted: Sequence[tuple[TlsResult, int]]) -> dict[str, Any]:
    first = counted[0][0]
    policy: dict[str, Any] = {"policy-type": first.policy_type.value, "policy-domain": first.domain}
    if first.policy:
        policy["policy-string"] = list(first.policy)
    if first.mx:
        policy["mx-host"] = list(first.mx)
    failures = sorted((each for each in counted if each[0].failure is not None), key=lambda each: -each[1])
    return {
        "policy": policy,
        "summary": {
            "total-successful-session-count": sum(number for result, number in counted if result.failure is None),
            "total-failure-session-count": sum(number for _, number in failures),
        },
        "failure-details": [_detail(result, number) for result, number in failures[:MAX_DETAILS]],
    }


def _detail(result: TlsResult, number: int) -> dict[str, Any]:
    detail: dict[str, Any] = {"result-type": result.failure.value if result.failure else ""}
    if result.host:
        detail["receiving-mx-hostname"] = result.host
    if result.address:
        detail["receiving-ip"] = result.address
    return detail | {"failed-session-count": number}
