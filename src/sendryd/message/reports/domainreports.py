"""The reports about our domains that a mail brings: unpacked, told apart by their first letter, read. Pure; runs behind the fence."""

from typing import Any, Final

from sendryd.message.reports.counted import MAX_OCTETS, Counted
from sendryd.message.reports.dmarcreport import NoReport, read_dmarc
from sendryd.message.reports.tlsreports import read_tls
from sendryd.message.reports.unpacking import report_texts

MAX_OF_MAIL: Final = 4 * MAX_OCTETS  # octets of the kept rows of all reports in a mail: one of TLS may be about a hundred domains


def read_domain_reports(content: bytes) -> list[dict[str, Any]]:
    """All reports of a mail as JSON types; those that cannot be read are left out."""
    found: list[Counted] = []
    for octets in report_texts(content):
        try:
            found += read_tls(octets) if octets.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else [read_dmarc(octets)]
        except (NoReport, OverflowError):
            continue
    most = min(MAX_OCTETS, MAX_OF_MAIL // max(1, len(found)))
    return [each.to_json(most) for each in found]
