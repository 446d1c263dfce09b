"""The DNS record of a domain's logo: Brand Indicators for Message Identification (BIMI), an Internet draft."""

from collections.abc import Sequence
from typing import Final

from sendryd.policy.dnsrecords import read_tags

VERSION: Final = "BIMI1"
DEFAULT_SELECTOR: Final = "default"  # the selector that receivers use unless a message names another


def bimi_name(name: str, selector: str) -> str:
    """Where a domain's logo is published."""
    return f"{selector}._bimi.{name}"


def bimi_value(logo_url: str, vmc_url: str | None) -> str:
    """The record to publish. An empty `a` means no certificate."""
    return f"v={VERSION}; l={logo_url}; a={vmc_url or ''};"


def check_bimi(found: Sequence[str], logo_url: str, vmc_url: str | None) -> str:
    """The fault of the record in a sentence; empty if it has none."""
    records = [tags for tags in map(read_tags, found) if tags.get("v", "").upper() == VERSION]
    if not records and found:
        return "The TXT record of this name is not a BIMI record: publish the value shown here."
    if not records:
        return "No BIMI record was found: publish it."
    if len(records) > 1:
        return "There are several BIMI records of this name: leave only the one shown here."
    tags = records[0]
    if tags.get("l", "") != logo_url:
        return "The published BIMI record names another logo: publish the value shown here."
    if tags.get("a", "") != (vmc_url or ""):
        return "The published BIMI record names another certificate: publish the value shown here."
    return ""
