"""Judges mail from elsewhere by DMARC, from what SPF and DKIM found. Pure.

Standards: RFC 7489 §3.1 (alignment), §6.6 (evaluation). The organisational domain is the caller's to find.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sendryd.policy.dnsrecords import read_tags


class DmarcResult(StrEnum):
    """RFC 7489 §11.2."""

    NONE = "none"  # the domain has no policy
    PASS = "pass"  # noqa: S105 - a result, and no secret
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The domains that a mail is proved to be from."""

    spf: str  # of the reverse-path or the EHLO name; empty: none passed
    dkim: Sequence[str]  # of the signatures that verified


def find_policy(texts: Sequence[str]) -> dict[str, str] | None:
    """The tags of the one DMARC record among the TXT records of a name; None if there is none, or several."""
    found = [tags for tags in map(read_tags, texts) if tags.get("v", "").upper() == "DMARC1"]
    return found[0] if len(found) == 1 else None


def judge_dmarc(
    author_domain: str, policy: dict[str, str] | None, proved: Authenticated, organisation_of: Callable[[str], str]
) -> DmarcResult:
    """The result for the domain of the author."""
    if policy is None:
        return DmarcResult.NONE

    def is_aligned(domain: str, mode: str) -> bool:
        if mode.lower() == "s":
            return domain == author_domain
        return bool(domain) and organisation_of(domain) == organisation_of(author_domain)

    has_spf = is_aligned(proved.spf, policy.get("aspf", "r"))
    has_dkim = any(is_aligned(domain, policy.get("adkim", "r")) for domain in proved.dkim)
    return DmarcResult.PASS if has_spf or has_dkim else DmarcResult.FAIL
