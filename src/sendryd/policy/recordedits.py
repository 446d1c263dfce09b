"""The exact edit that mends a DNS record: which lines to delete and which one to add. Pure.

Standards: RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from sendryd.model.domain import DnsRecord, RecordPurpose
from sendryd.policy.dnsrecords import QUOTES, check_dkim, check_dmarc, has_no_answer, read_tags, unquoted
from sendryd.policy.inboundrecords import OF_INBOUND
from sendryd.policy.spfrecord import VERSION, BadRecord, parse_record

DEFAULT_ALL: Final = "~all"
_POLICIES: Final = frozenset({"none", "quarantine", "reject"})


class Verdict(StrEnum):
    """What a person has to do about a record."""

    RIGHT = "right"
    EDIT = "edit"  # mail is refused, or the record does harm, until it is mended
    ADVISED = "advised"  # mail is accepted without it
    OPTIONAL = "optional"
    UNKNOWN = "unknown"  # DNS gave no answer, or was not asked yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Lines of one name in a zone."""

    deletes: tuple[str, ...]  # values as they were found
    adds: str  # the one value to add; empty: none


def judge(record: DnsRecord, found: Sequence[str]) -> Verdict:
    """The verdict on a record after a check. `found` holds the published records that bear on it."""
    if has_no_answer(record) or (not record.is_verified and not record.reason):
        return Verdict.UNKNOWN
    if not record.reason:
        return Verdict.RIGHT
    if record.purpose in OF_INBOUND:
        return Verdict.OPTIONAL
    return Verdict.EDIT if record.is_required or found else Verdict.ADVISED


def edit_record(record: DnsRecord, found: Sequence[str]) -> Edit | None:
    """The edit for a record with a fault; None where none is needed, none is known, or no change of this record mends it."""
    if not record.reason or has_no_answer(record):
        return None
    match record.purpose:
        case RecordPurpose.SPF | RecordPurpose.RETURN_PATH_SPF:
            adds = merge_spf(found, record.value)
        case RecordPurpose.DKIM:
            adds = _kept(found, lambda text: not check_dkim([text], read_tags(record.value)["p"])) or record.value
        case RecordPurpose.DMARC:
            adds = _kept(found, lambda text: not check_dmarc([text])) or _mended_dmarc(found, record.value)
        case RecordPurpose.RETURN_PATH | RecordPurpose.MTA_STS | RecordPurpose.MTA_STS_HOST | RecordPurpose.TLS_RPT | RecordPurpose.DANE:
            adds = record.value
        case purpose:
            assert_never(purpose)
    deletes = list(found)
    if adds in deletes:  # one of them stays
        deletes.remove(adds)
        adds = ""
    return Edit(deletes=tuple(deletes), adds=adds) if deletes or adds else None


def merge_spf(found: Sequence[str], wanted: str) -> str:
    """One SPF record with the terms of all found ones and of the wanted one, each once.

    Terms that are no SPF are left out: receivers ignore the whole record for one of them. Of different `all` terms the result has `~all`.
    """
    terms: dict[str, str] = {}
    ends: set[str] = set()
    redirects: list[str] = []
    for text in found:
        own, end, redirect = _terms(text)
        terms.update((term.lower(), term) for term in own if term.lower() not in terms)
        if end:
            ends.add(end)
        elif redirect:
            redirects.append(redirect)
    (mine,) = _terms(wanted)[0]
    for qualifier in "-~?":
        terms.pop(f"{qualifier}{mine}".lower(), None)
    if f"+{mine}".lower() not in terms:
        terms.setdefault(mine.lower(), mine)
    if redirects and not ends and len(found) == 1:
        return " ".join([VERSION, *terms.values(), f"redirect={redirects[0]}"])
    for each in redirects:  # a record has one redirect, and none where another decides by its all
        terms.setdefault(f"include:{each}".lower(), f"include:{each}")
    ends.discard("+all")  # authorises every server
    return " ".join([VERSION, *terms.values(), ends.pop() if len(ends) == 1 else DEFAULT_ALL])


def _terms(text: str) -> tuple[list[str], str, str]:
    """The mechanisms of a record, its `all` term with the qualifier, and the domain of its redirect; empty if there are none."""
    for mark in QUOTES:
        text = text.replace(mark, "")
    terms: list[str] = []
    end = redirect = ""
    for term in text.strip()[len(VERSION) :].replace(";", " ").replace("\\", "").split():
        try:
            read = parse_record(f"{VERSION} {term}")
        except BadRecord:
            continue
        if read.redirect is not None:
            redirect = read.redirect
        elif any(mechanism.name == "all" for mechanism in read.mechanisms):
            end = end or (f"+{term}" if term.lower() == "all" else term).lower()
        elif read.mechanisms:
            terms.append(term)
    return terms, end, redirect


def _kept(found: Sequence[str], is_right: Callable[[str], bool]) -> str:
    return next((text for text in found if is_right(text)), "")


def _mended_dmarc(found: Sequence[str], wanted: str) -> str:
    """The first found record with a policy; its other tags stay."""
    for text in found:
        tags = read_tags(unquoted(text.replace("\\", "")))
        if tags.get("v", "").upper() != "DMARC1":
            continue
        policy = tags["p"].lower() if tags.get("p", "").lower() in _POLICIES else "none"
        rest = [f"{name}={value}" for name, value in tags.items() if name not in {"v", "p"}]
        return "; ".join(["v=DMARC1", f"p={policy}", *rest]) + ";"
    return wanted
