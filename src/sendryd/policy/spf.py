"""Evaluates SPF for mail from an IP address, as receivers do (RFC 7208 §4, `check_host`). Pure.

Does: a generator that yields DNS look-ups, receives their answers, and returns the result. Explanations (`exp=`) are not fetched.
Limits: RFC 7208 §4.6.4: ten terms that look something up, two look-ups without an answer, ten names of an `mx` or `ptr`.
"""

import ipaddress
import re
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from sendryd.policy.spfrecord import BadRecord, Mechanism, Record, parse_record, spf_records

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_LOOKUP_TERMS: Final = 10
MAX_VOID_LOOKUPS: Final = 2
MAX_NAMES: Final = 10  # names of one mx (more are an error) or ptr (more are ignored)
MAX_NAME: Final = 253  # characters of a name made with macros; a longer one loses labels on the left
_MACRO: Final = re.compile(r"%\{([A-Za-z])([0-9]*)([rR]?)([.\-+,/_=]*)\}|%([%_\-])")
_LOOKS_UP: Final = frozenset({"include", "a", "mx", "ptr", "exists"})
_LABEL: Final = re.compile(r"[ -\-/-~]{1,63}")  # any printable ASCII character but the dot


class SpfResult(StrEnum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - a result, and no secret
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_QUALIFIED: Final = {"+": SpfResult.PASS, "-": SpfResult.FAIL, "~": SpfResult.SOFTFAIL, "?": SpfResult.NEUTRAL}


@dataclass(frozen=True, slots=True)
class SpfQuery:
    """A look-up. Its answer is a tuple of texts (of MX the hosts, most preferred first), empty if there are none; None: no answer now."""

    name: str
    kind: str  # A, AAAA, MX, PTR, TXT


@dataclass(frozen=True, slots=True)
class SpfVerdict:
    """The result and its reason: for an error a clause in which "it" is the record, else the deciding term."""

    result: SpfResult
    reason: str = ""


SpfAnswer = tuple[str, ...] | None
Lookup = Generator[SpfQuery, SpfAnswer, tuple[str, ...]]


class _PermError(Exception):
    """A permanent error (RFC 7208 §2.6.7)."""


class _TempError(Exception):
    """A temporary error (RFC 7208 §2.6.6)."""


def check_host(address: Address, domain: str, *, sender: str, helo: str) -> Generator[SpfQuery, SpfAnswer, SpfVerdict]:
    """Evaluates a domain's record for mail from an address; `sender` is the reverse-path."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    evaluation = _Evaluation(address, sender, helo)
    try:
        return (yield from evaluation.check(domain))
    except (_PermError, BadRecord) as error:
        return SpfVerdict(SpfResult.PERMERROR, str(error))
    except _TempError as error:
        return SpfVerdict(SpfResult.TEMPERROR, str(error))


class _Evaluation:
    """One evaluation, with its remaining limits."""

    def __init__(self, address: Address, sender: str, helo: str) -> None:
        self._address = address
        local, at, domain = sender.rpartition("@")
        self._local = local if at and local else "postmaster"  # RFC 7208 §4.3
        self._sender_domain = domain
        self._helo = helo
        self._terms = 0
        self._voids = 0

    def check(self, domain: str) -> Generator[SpfQuery, SpfAnswer, SpfVerdict]:
        """One record. Raises `_PermError`, `BadRecord`, `_TempError`."""
        if "." not in domain.rstrip(".") or not _is_name(domain):
            return SpfVerdict(SpfResult.NONE)
        records = spf_records((yield from self._ask(domain, "TXT", counts=False)))
        if not records:
            return SpfVerdict(SpfResult.NONE)
        if len(records) > 1:
            raise _PermError(f"{domain} has several SPF records")
        record = parse_record(records[0])
        for mechanism in record.mechanisms:
            if mechanism.name in _LOOKS_UP:
                self._count_term()
            if (yield from self._matches(mechanism, domain)):
                return SpfVerdict(_QUALIFIED[mechanism.qualifier], mechanism.text)
        return (yield from self._redirect(record, domain))

    def _redirect(self, record: Record, domain: str) -> Generator[SpfQuery, SpfAnswer, SpfVerdict]:
        if record.redirect is None:
            return SpfVerdict(SpfResult.NEUTRAL)
        self._count_term()
        target = yield from self._expand(record.redirect, domain)
        verdict = yield from self.check(target)
        if verdict.result is SpfResult.NONE:
            raise _PermError(f"it redirects to {target}, which has no SPF record")
        return verdict

    def _count_term(self) -> None:
        self._terms += 1
        if self._terms > MAX_LOOKUP_TERMS:
            raise _PermError(f"it needs more than {MAX_LOOKUP_TERMS} look-ups")

    def _ask(self, name: str, kind: str, *, counts: bool = True) -> Lookup:
        """The answer. Raises `_TempError`, and `_PermError` for one void look-up too many."""
        answer: SpfAnswer = () if not _is_name(name) else (yield SpfQuery(name.rstrip("."), kind))
        if answer is None:
            raise _TempError(f"{name} could not be looked up")
        if not answer and counts:
            self._voids += 1
            if self._voids > MAX_VOID_LOOKUPS:
                raise _PermError(f"more than {MAX_VOID_LOOKUPS} of the names that it looks up do not exist")
        return answer

    # Mechanisms.

    def _matches(self, mechanism: Mechanism, domain: str) -> Generator[SpfQuery, SpfAnswer, bool]:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            return mechanism.network.version == self._address.version and self._address in mechanism.network
        target = (yield from self._expand(mechanism.spec, domain)) if mechanism.spec else domain
        match mechanism.name:
            case "include":
                return (yield from self._includes(target))
            case "a":
                return (yield from self._has_address(target, mechanism))
            case "mx":
                return (yield from self._has_exchanger(target, mechanism))
            case "exists":
                return bool((yield from self._ask(target, "A")))
            case _:
                names = yield from self._validated_names(target)
                return any(_is_within(name, target) for name in names)

    def _includes(self, target: str) -> Generator[SpfQuery, SpfAnswer, bool]:
        verdict = yield from self.check(target)
        if verdict.result is SpfResult.NONE:
            raise _PermError(f"it includes {target}, which has no SPF record")
        return verdict.result is SpfResult.PASS

    def _has_address(self, name: str, mechanism: Mechanism, *, counts: bool = True) -> Generator[SpfQuery, SpfAnswer, bool]:
        kind, prefix = ("A", mechanism.prefix4) if self._address.version == 4 else ("AAAA", mechanism.prefix6)
        found = yield from self._ask(name, kind, counts=counts)
        return any(self._address in ipaddress.ip_network((text, prefix), strict=False) for text in found)

    def _has_exchanger(self, name: str, mechanism: Mechanism) -> Generator[SpfQuery, SpfAnswer, bool]:
        hosts = yield from self._ask(name, "MX")
        if len(hosts) > MAX_NAMES:
            raise _PermError(f"{name} has more than {MAX_NAMES} mail exchangers")
        for host in hosts:
            if host.strip(".") and (yield from self._has_address(host, mechanism, counts=False)):
                return True
        return False

    def _validated_names(self, target: str) -> Lookup:
        """Validated names of the address (RFC 7208 §5.5), those within the target first; none after an error of DNS."""
        try:
            names = yield from self._ask(self._address.reverse_pointer, "PTR")
        except _TempError:
            return ()
        found = []
        exact = Mechanism(text="", qualifier="+", name="a")
        for name in names[:MAX_NAMES]:
            try:
                if (yield from self._has_address(name, exact, counts=False)):
                    found.append(name.rstrip("."))
            except _TempError:
                continue
        return tuple(sorted(found, key=lambda name: (not _is_within(name, target), name.lower() != target.lower())))

    # Macros (RFC 7208 §7).

    def _expand(self, spec: str, domain: str) -> Generator[SpfQuery, SpfAnswer, str]:
        pieces: list[str] = []
        position = 0
        for found in _MACRO.finditer(spec):
            pieces.append(spec[position : found.start()])
            position = found.end()
            if found[5] is not None:
                pieces.append({"%": "%", "_": " ", "-": "%20"}[found[5]])
                continue
            value = yield from self._value(found[1].lower(), domain)
            pieces.append(_transform(value, found))
        pieces.append(spec[position:])
        name = "".join(pieces).rstrip(".")
        while len(name) > MAX_NAME and "." in name:
            name = name.partition(".")[2]
        return name

    def _value(self, letter: str, domain: str) -> Generator[SpfQuery, SpfAnswer, str]:
        match letter:
            case "s":
                return f"{self._local}@{self._sender_domain}"
            case "l":
                return self._local
            case "o":
                return self._sender_domain
            case "d":
                return domain
            case "i":
                exploded = self._address.exploded
                return exploded if self._address.version == 4 else ".".join(exploded.replace(":", ""))
            case "v":
                return "in-addr" if self._address.version == 4 else "ip6"
            case "h":
                return self._helo
            case _:
                names = yield from self._validated_names(domain)
                return names[0] if names else "unknown"


def _transform(value: str, macro: re.Match[str]) -> str:
    """A macro's value with its transformers."""
    parts = re.split(f"[{re.escape(macro[4] or '.')}]", value)
    if macro[3]:
        parts.reverse()
    if macro[2]:
        parts = parts[-int(macro[2]) :]
    text = ".".join(parts)
    return quote(text, safe="-._~") if macro[1].isupper() else text


def _is_name(name: str) -> bool:
    """Whether a name can be looked up."""
    bare = name.removesuffix(".")
    return 0 < len(bare) <= MAX_NAME and all(_LABEL.fullmatch(label) for label in bare.split("."))


def _is_within(name: str, domain: str) -> bool:
    name, domain = name.rstrip(".").lower(), domain.rstrip(".").lower()
    return name == domain or name.endswith("." + domain)
