"""Reads TLS reports of other servers. Pure.

Standards: RFC 8460 §4.4, appendix B.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sendryd.message.reports.counted import Counted, plain
from sendryd.message.reports.dmarcreport import NoReport

MAX_POLICIES: Final = 100  # of one report
MAX_DETAILS: Final = 10_000  # failures of one policy that are read
_DETAILS: Final = {
    "result-type": "result",
    "receiving-ip": "receiving_address",
    "sending-mta-ip": "sending_address",
    "failure-reason-code": "reason",
}


def read_tls(octets: bytes) -> list[Counted]:
    """The reports in a JSON text, one for each domain. Raises `NoReport`."""
    try:
        report = json.loads(octets)
    except (ValueError, RecursionError):
        raise NoReport("it is no JSON") from None
    if not isinstance(report, dict) or not isinstance(report.get("policies"), list):
        raise NoReport("it has no policies")
    times = _mapping(report.get("date-range"))
    begins_at, ends_at = _seconds(times.get("start-datetime")), _seconds(times.get("end-datetime"))
    reporter = _text(report.get("organization-name"))
    if not reporter:
        raise NoReport("it names no organisation")
    found: dict[str, Counted] = {}
    for each in report["policies"][:MAX_POLICIES]:
        policy = _mapping(_mapping(each).get("policy"))
        domain = _text(policy.get("policy-domain")).lower().rstrip(".")
        if not domain:
            continue
        counted = found.setdefault(
            domain,
            Counted(
                topic="tls",
                domain=domain,
                reporter=reporter,
                report_key=_text(report.get("report-id")),
                begins_at=begins_at,
                ends_at=ends_at,
            ),
        )
        _count(counted, _mapping(each), _text(policy.get("policy-type")))
    return list(found.values())


def _count(counted: Counted, policy: Mapping[str, Any], kind: str) -> None:
    counted.policy = " ".join(dict.fromkeys([*counted.policy.split(), kind]))
    summary = _mapping(policy.get("summary"))
    counted.add(_number(summary.get("total-successful-session-count")), is_good=True, source="", details={"policy": kind})
    failed = _number(summary.get("total-failure-session-count"))
    for number, source, details in _failures(policy):
        counted.add(min(number, failed), is_good=False, source=source, details={"policy": kind, **details})
        failed -= min(number, failed)
    if failed:
        counted.add(failed, is_good=False, source="", details={"policy": kind})


def _failures(policy: Mapping[str, Any]) -> Iterator[tuple[int, str, dict[str, str]]]:
    listed = policy.get("failure-details")
    for each in listed[:MAX_DETAILS] if isinstance(listed, list) else []:
        detail = _mapping(each)
        kept = {name: _text(detail.get(key)) for key, name in _DETAILS.items()}
        number = _number(detail.get("failed-session-count"))
        yield number, _text(detail.get("receiving-mx-hostname")), {name: text for name, text in kept.items() if text}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return plain(value) if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _seconds(value: object) -> int:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        raise NoReport("it says of no time") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
