"""TLS with mail servers: what an attempt demands of a server, and the fallback when TLS fails. Pure.

`TlsRequirement` has separate inputs: whether the session is encrypted (`mode`), which names the certificate may have, whether a trusted
authority must have issued it (PKIX), and DANE records, one of which it must match. Enforced encryption sets mode, names and PKIX.
`fall_back` gives the next try at the same host: weak parameters, then clear text, and only where nothing is authenticated.
No policy asks for DANE yet: `delivery.securing` refuses what it cannot check.
Standards: RFC 3207, RFC 7435 (opportunistic security), RFC 8314.
"""

from dataclasses import replace
from enum import Enum, StrEnum
from typing import Final

from sendryd.valuetype import valuetype


class TlsMode(StrEnum):
    """Whether the session is encrypted."""

    NEVER = "never"  # clear text, even if STARTTLS is offered
    OPPORTUNISTIC = "opportunistic"  # TLS if STARTTLS is offered and works: RFC 7435
    REQUIRED = "required"  # no mail without TLS


@valuetype(frozen=True, slots=True)
class TlsaRecord:
    """A TLSA record (DANE): its fields."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


@valuetype(frozen=True, slots=True, kw_only=True)
class TlsRequirement:
    """The requirements of one target before it gets mail. Hashable: it is part of the key of kept connections."""

    mode: TlsMode
    names: tuple[str, ...] = ()  # the certificate must have one of them; empty: any name
    is_pkix: bool = False  # a trusted authority must have issued the certificate
    dane: tuple[TlsaRecord, ...] = ()  # the certificate must match one of them; empty: no DANE
    is_implicit: bool = False  # TLS from the first octet (RFC 8314 §3)
    allows_weak: bool = False  # also accepts parameters that count as broken

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


def enforced(host: str) -> TlsRequirement:
    """Requires a certificate for the host name by a trusted authority."""
    return TlsRequirement(mode=TlsMode.REQUIRED, names=(host,), is_pkix=True)


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
    if requirement.is_authenticated or requirement.mode is TlsMode.NEVER:
        return None
    if trouble in _MAY_BE_WEAK and not requirement.allows_weak:
        return replace(requirement, allows_weak=True)
    return CLEAR_TEXT if requirement.mode is TlsMode.OPPORTUNISTIC else None
