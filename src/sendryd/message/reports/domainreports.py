"""The reports about our domains that a mail brings: unpacked, told apart by their first letter, read. Pure; runs behind the fence."""

from typing import Any

from sendryd.message.reports.counted import Counted
from sendryd.message.reports.dmarcreport import NoReport, read_dmarc
from sendryd.message.reports.tlsreports import read_tls
from sendryd.message.reports.unpacking import report_texts


def read_domain_reports(content: bytes) -> list[dict[str, Any]]:
    """All reports of a mail as JSON types; those that cannot be read are left out."""
    found: list[Counted] = []
    for octets in report_texts(content):
        try:
            found += read_tls(octets) if octets.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else [read_dmarc(octets)]
        except (NoReport, OverflowError):
            continue
    return [each.to_json() for each in found]
