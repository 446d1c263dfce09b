"""TLS with mail servers: what an attempt demands of a server, and the fallback when TLS fails. Pure.

`TlsRequirement` has separate inputs: whether the session is encrypted (`mode`), which names the certificate may have, whether a trusted
authority must have issued it (PKIX), and DANE records, one of which it must match. Enforced encryption sets mode, names and PKIX.
`fall_back` gives the next try at the same host: weak parameters, then clear text, and only where nothing is authenticated.
Standards: RFC 3207, RFC 6698, RFC 7435 (opportunistic security), RFC 7671, RFC 7672, RFC 8314.
"""

from dataclasses import replace
from enum import Enum, StrEnum
from typing import Final

from typing_extensions import override

from sendryd.valuetype import valuetype


class TlsMode(StrEnum):
    """Whether the session is encrypted."""

    NEVER = "never"  # clear text, even if STARTTLS is offered
    OPPORTUNISTIC = "opportunistic"  # TLS if STARTTLS is offered and works: RFC 7435
    REQUIRED = "required"  # no mail without TLS


class TlsSecurity(StrEnum):
    """What secures a session, or what it was to be secured by, in the words of events."""

    NONE = "none"  # clear text
    OPPORTUNISTIC = "opportunistic"  # encrypted, not authenticated
    ENFORCED = "enforced"  # the sending domain's rule
    MTA_STS = "mta-sts"  # the recipient domain's policy
    DANE = "dane"  # the recipient domain's TLSA records


DANE_TA: Final = 2  # usages of TLSA records (RFC 6698 §2.1.1): the record is of an authority
DANE_EE: Final = 3  # the record is of the server's own certificate or key
FULL_CERTIFICATE, PUBLIC_KEY = 0, 1  # selectors
FULL_DATA, SHA_256 = 0, 1  # matching types: no digest, or one
_DIGEST_SIZES: Final = {1: 32, 2: 64}  # octets, by matching type: SHA-256, SHA-512


@valuetype(frozen=True, slots=True)
class TlsaRecord:
    """A TLSA record (DANE): its fields."""

    usage: int
    selector: int
    matching_type: int
    data: bytes

    @override
    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching_type} {self.data.hex()}"

    @property
    def is_usable(self) -> bool:
        """Whether mail servers can be checked by it: RFC 7672 §3.1.3 leaves out the usages of public authorities."""
        if self.usage not in {DANE_TA, DANE_EE} or self.selector not in {FULL_CERTIFICATE, PUBLIC_KEY}:
            return False
        return bool(self.data) if self.matching_type == FULL_DATA else len(self.data) == _DIGEST_SIZES.get(self.matching_type)


@valuetype(frozen=True, slots=True)
class HostDane:
    """What the DNS, authenticated by DNSSEC, says of a mail server's key (RFC 7672 §2.2)."""

    records: tuple[TlsaRecord, ...] = ()  # also those that cannot be used: they demand encryption
    failure: str = ""  # the look-up failed where an answer would be authenticated: the server may get no mail

    @property
    def usable(self) -> tuple[TlsaRecord, ...]:
        """The records that the server is checked by: of digests of one kind the strongest (RFC 7671 §9)."""
        usable = [each for each in self.records if each.is_usable]
        strongest = {(each.usage, each.selector): 0 for each in usable}
        for each in usable:
            key = each.usage, each.selector
            strongest[key] = max(strongest[key], each.matching_type)
        return tuple(each for each in usable if each.matching_type in {FULL_DATA, strongest[each.usage, each.selector]})


NO_DANE: Final = HostDane()


@valuetype(frozen=True, slots=True, kw_only=True)
class TlsRequirement:
    """The requirements of one target before it gets mail. Hashable: it is part of the key of kept connections."""

    mode: TlsMode
    names: tuple[str, ...] = ()  # the certificate must have one of them; empty: any name
    is_pkix: bool = False  # a trusted authority must have issued the certificate
    dane: tuple[TlsaRecord, ...] = ()  # the certificate must match one of them; empty: no DANE
    is_implicit: bool = False  # TLS from the first octet (RFC 8314 §3)
    allows_weak: bool = False  # also accepts parameters that count as broken
    security: TlsSecurity = TlsSecurity.OPPORTUNISTIC  # what demands that the server is authenticated
    is_trial: bool = False  # a failure is only counted: the next try is as if nothing were demanded

    @property
    def is_authenticated(self) -> bool:
        """Whether the server is authenticated; then no fallback is allowed."""
        return self.is_pkix or bool(self.names) or bool(self.dane)


CLEAR_TEXT: Final = TlsRequirement(mode=TlsMode.NEVER)
OPPORTUNISTIC: Final = TlsRequirement(mode=TlsMode.OPPORTUNISTIC)
OPPORTUNISTIC_WEAK: Final = TlsRequirement(mode=TlsMode.OPPORTUNISTIC, allows_weak=True)
ENCRYPTED: Final = TlsRequirement(mode=TlsMode.REQUIRED)  # encrypted, not authenticated
ENCRYPTED_WEAK: Final = TlsRequirement(mode=TlsMode.REQUIRED, allows_weak=True)
IMPLICIT: Final = TlsRequirement(mode=TlsMode.REQUIRED, is_implicit=True)


def authenticated(host: str, security: TlsSecurity) -> TlsRequirement:
    """Requires a certificate for the host name by a trusted authority."""
    return TlsRequirement(mode=TlsMode.REQUIRED, names=(host,), is_pkix=True, security=security)


def enforced(host: str) -> TlsRequirement:
    """What the sending domain's own rule requires of a host."""
    return authenticated(host, TlsSecurity.ENFORCED)


def on_trial(host: str, otherwise: TlsRequirement = OPPORTUNISTIC) -> TlsRequirement:
    """Looks whether the host has a certificate for its name, for a policy that is in testing (RFC 8461 §5). Encryption that is required `otherwise`
    is so in the trial, too.
    """
    mode = TlsMode.REQUIRED if otherwise.mode is TlsMode.REQUIRED else TlsMode.OPPORTUNISTIC
    return TlsRequirement(mode=mode, names=(host,), is_pkix=True, is_trial=True)


class TlsTrouble(Enum):
    """How TLS failed; it decides the next try at the same host."""

    REFUSED = "refused"  # STARTTLS is not offered or was refused, or the connection ended there
    CLOSED = "closed"  # the peer closed before it sent octets of the handshake: a hiccup, or no common parameters
    SILENT = "silent"  # the handshake did not end in time
    FAILED = "failed"  # the handshake failed
    SESSION = "session"  # the session ended inside TLS before MAIL was answered


_MAY_BE_WEAK: Final = frozenset({TlsTrouble.FAILED, TlsTrouble.CLOSED})  # the parameters may be the reason
CERTAIN: Final = frozenset({TlsTrouble.FAILED, TlsTrouble.SILENT, TlsTrouble.SESSION})  # others may be a hiccup


def fall_back(requirement: TlsRequirement, trouble: TlsTrouble) -> TlsRequirement | None:
    """The next try at the same host after TLS failed: weak parameters, then clear text. None: no further try is allowed."""
    if requirement.is_trial:
        return ENCRYPTED if requirement.mode is TlsMode.REQUIRED else OPPORTUNISTIC
    if requirement.is_authenticated or requirement.mode is TlsMode.NEVER:
        return None
    if trouble in _MAY_BE_WEAK and not requirement.allows_weak:
        return replace(requirement, allows_weak=True)
    return CLEAR_TEXT if requirement.mode is TlsMode.OPPORTUNISTIC else None
