"""Parses SPF records into terms (RFC 7208 §4.5, §4.6, §12). Pure.

The whole record is parsed before evaluation: one invalid term anywhere makes it a permanent error.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

VERSION: Final = "v=spf1"
_NAME: Final = r"[A-Za-z][A-Za-z0-9\-_.]*"
_MODIFIER: Final = re.compile(rf"({_NAME})=(.*)")
_MECHANISM: Final = re.compile(r"([+\-~?]?)([A-Za-z][A-Za-z0-9]*)([:/].*)?")
_WITH_PREFIXES: Final = re.compile(r"(?::(.+?))?(?:/(\d+))?(?://(\d+))?")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_MACRO: Final = r"%\{[slodiphv](?:[1-9][0-9]*)?r?[.\-+,/_=]*\}|%[%_\-]"  # zero digits would select no label, which is an error
_EXPLAINING_MACRO: Final = _MACRO.replace("iphv", "iphcrtv")  # only in explanations
_MACRO_STRING: Final = re.compile(rf"(?:{_EXPLAINING_MACRO}|[!-$&-~])*", re.IGNORECASE)
_DOMAIN_SPEC: Final = re.compile(rf"(?:{_MACRO}|[!-$&-~])*?(?:{_MACRO}|\.(?P<top>[A-Za-z0-9\-]+)\.?)", re.IGNORECASE)
_TOP_LABEL: Final = re.compile(r"[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9\-]*[A-Za-z0-9]")


class BadRecord(ValueError):
    """A record is invalid, a permanent error; the message is a clause with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """One directive."""

    text: str  # as written
    qualifier: str  # one of + - ~ ?
    name: str  # lower case
    spec: str = ""  # the domain-spec, with its macros; empty: the current domain
    network: Network | None = None  # of ip4 and ip6
    prefix4: int = 32
    prefix6: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record with valid syntax."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str | None  # domain-spec


def spf_records(texts: Sequence[str]) -> list[str]:
    """The SPF records among TXT records (RFC 7208 §4.5)."""
    return [text for text in texts if text.lower() == VERSION or text.lower().startswith(VERSION + " ")]


def parse_record(text: str) -> Record:
    """Parses a record with its version. Raises `BadRecord`."""
    if not text.isascii():
        raise BadRecord("it has characters that are not ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in text[len(VERSION) :].split(" "):
        if not term:
            continue
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            mechanisms.append(_parse_mechanism(term))
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name in {"redirect", "exp"}:
            if name in modifiers:
                raise BadRecord(f"it has two {name}= modifiers")
            modifiers[name] = _check_spec(value, term)
        elif not _MACRO_STRING.fullmatch(value):
            raise BadRecord(f"the term {term!r} has a wrong macro")
    return Record(mechanisms=tuple(mechanisms), redirect=modifiers.get("redirect"))


def _parse_mechanism(term: str) -> Mechanism:
    found = _MECHANISM.fullmatch(term)
    if found is None:
        raise BadRecord(f"the term {term!r} is not one that SPF has")
    qualifier, name, rest = found[1] or "+", found[2].lower(), found[3] or ""
    match name:
        case "all" if not rest:
            return Mechanism(text=term, qualifier=qualifier, name=name)
        case "include" | "exists" if rest.startswith(":"):
            return Mechanism(text=term, qualifier=qualifier, name=name, spec=_check_spec(rest[1:], term))
        case "ptr" if not rest or rest.startswith(":"):
            return Mechanism(text=term, qualifier=qualifier, name=name, spec=_check_spec(rest[1:], term) if rest else "")
        case "a" | "mx":
            return _with_prefixes(term, qualifier, name, rest)
        case "ip4" | "ip6" if rest.startswith(":"):
            return Mechanism(text=term, qualifier=qualifier, name=name, network=_parse_network(name, rest[1:], term))
        case _:
            raise BadRecord(f"the term {term!r} is not one that SPF has")


def _with_prefixes(term: str, qualifier: str, name: str, rest: str) -> Mechanism:
    found = _WITH_PREFIXES.fullmatch(rest)
    if found is None:
        raise BadRecord(f"the term {term!r} has a wrong prefix length")
    return Mechanism(
        text=term,
        qualifier=qualifier,
        name=name,
        spec=_check_spec(found[1], term) if found[1] is not None else "",
        prefix4=_prefix(found[2], 32, term),
        prefix6=_prefix(found[3], 128, term),
    )


def _prefix(text: str | None, longest: int, term: str) -> int:
    if text is None:
        return longest
    if not _NUMBER.fullmatch(text) or int(text) > longest:
        raise BadRecord(f"the term {term!r} has a wrong prefix length")
    return int(text)


def _parse_network(name: str, text: str, term: str) -> Network:
    address, slash, prefix = text.partition("/")
    try:
        if name == "ip4":
            four = ipaddress.IPv4Address(address)
            return ipaddress.IPv4Network((four, _prefix(prefix if slash else None, 32, term)), strict=False)
        six = ipaddress.IPv6Address(address)
        if "%" in address:
            raise BadRecord(f"the term {term!r} has a wrong address")
        return ipaddress.IPv6Network((six, _prefix(prefix if slash else None, 128, term)), strict=False)
    except ipaddress.AddressValueError:
        raise BadRecord(f"the term {term!r} has a wrong address") from None


def _check_spec(spec: str, term: str) -> str:
    """Parses a domain-spec. Raises `BadRecord`."""
    found = _DOMAIN_SPEC.fullmatch(spec)
    if found is None or (found["top"] is not None and not _TOP_LABEL.fullmatch(found["top"])):
        raise BadRecord(f"the term {term!r} does not name a domain")
    return spec
