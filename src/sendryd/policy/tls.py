"""TLS with mail servers: what an attempt demands of a server, and the fallback when TLS fails. Pure.

`TlsRequirement` has separate inputs: whether the session is encrypted (`mode`), which names the certificate may have, whether an authority that
we know must have issued it (PKIX), and the DANE records of which it must match one. Enforced encryption sets mode, names and PKIX.
`fall_back` says what is tried next at the same host: weak parameters, then clear text, and for a requirement that authenticates nothing.
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
    OPPORTUNISTIC = "opportunistic"  # if STARTTLS is offered and works: RFC 7435
    REQUIRED = "required"  # encrypted or not at all


@valuetype(frozen=True, slots=True)
class TlsaRecord:
    """What DNS says of a server's certificate (DANE): the fields of a TLSA record."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


@valuetype(frozen=True, slots=True, kw_only=True)
class TlsRequirement:
    """What one target must give before it gets mail. Hashable: connections are kept by it."""

    mode: TlsMode
    names: tuple[str, ...] = ()  # the certificate must have one of them; empty: any name will do
    is_pkix: bool = False  # an authority that we know must have issued the certificate
    dane: tuple[TlsaRecord, ...] = ()  # the certificate must match one of them; empty: none is asked for
    is_implicit: bool = False  # TLS from the first octet (RFC 8314 §3)
    allows_weak: bool = False  # parameters that count as broken are accepted too

    @property
    def is_authenticated(self) -> bool:
        """The server must prove who it is, so no fallback is allowed."""
        return self.is_pkix or bool(self.names) or bool(self.dane)


CLEAR_TEXT: Final = TlsRequirement(mode=TlsMode.NEVER)
OPPORTUNISTIC: Final = TlsRequirement(mode=TlsMode.OPPORTUNISTIC)
OPPORTUNISTIC_WEAK: Final = TlsRequirement(mode=TlsMode.OPPORTUNISTIC, allows_weak=True)
ENCRYPTED: Final = TlsRequirement(mode=TlsMode.REQUIRED)  # by whom does not matter
ENCRYPTED_WEAK: Final = TlsRequirement(mode=TlsMode.REQUIRED, allows_weak=True)
IMPLICIT: Final = TlsRequirement(mode=TlsMode.REQUIRED, is_implicit=True)


def enforced(host: str) -> TlsRequirement:
    """A certificate for the host name by an authority that we know."""
    return TlsRequirement(mode=TlsMode.REQUIRED, names=(host,), is_pkix=True)


class TlsTrouble(Enum):
    """How TLS failed, which decides what is tried next at the same host."""

    REFUSED = "refused"  # STARTTLS is not offered or was refused, or the connection ended there
    CLOSED = "closed"  # the peer left before it sent anything of the handshake: a hiccup, or no parameters in common
    SILENT = "silent"  # the handshake did not end in time
    FAILED = "failed"  # the handshake failed
    SESSION = "session"  # the session ended inside TLS before MAIL was answered


_MAY_BE_WEAK: Final = frozenset({TlsTrouble.FAILED, TlsTrouble.CLOSED})  # the parameters may be the reason
CERTAIN: Final = frozenset({TlsTrouble.FAILED, TlsTrouble.SILENT, TlsTrouble.SESSION})  # others may be a hiccup


def fall_back(requirement: TlsRequirement, trouble: TlsTrouble) -> TlsRequirement | None:
    """What is tried next at the same host after TLS failed: weak parameters, then clear text. None: nothing that is allowed is left."""
    if requirement.is_authenticated or requirement.mode is TlsMode.NEVER:
        return None
    if trouble in _MAY_BE_WEAK and not requirement.allows_weak:
        return replace(requirement, allows_weak=True)
    return CLEAR_TEXT if requirement.mode is TlsMode.OPPORTUNISTIC else None
