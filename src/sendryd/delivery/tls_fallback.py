"""TLS fallback: what an attempt tries next at a mail server when TLS with it fails, or when the server demands TLS.

Does: after a failure, asks `policy.tls.fall_back` for less; after a demand, tries TLS again; remembers what worked (`tls_memory`).
Strategy: without enforcement, strong parameters, then weak ones, then clear text (RFC 7435). A host that has done TLS within a day is never spoken
to in clear text. Enforced encryption and smart hosts have no fallback.
"""

from collections.abc import Iterable
from dataclasses import replace

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.target import Target
from sendryd.delivery.tls_memory import TlsMemory
from sendryd.delivery.transport import Connection
from sendryd.policy.replies.verdict import Verdict
from sendryd.policy.tls import CERTAIN, ENCRYPTED, TlsMode, TlsTrouble, fall_back
from sendryd.runtime.log import get_logger

log = get_logger("delivery")


class TlsFallback:
    """The TLS of one target during one attempt."""

    __slots__ = ("_has_insisted", "_is_fixed", "_memory", "_troubles")

    def __init__(self, memory: TlsMemory, *, is_fixed: bool) -> None:
        """`is_fixed`: the operator has configured how much TLS there is."""
        self._memory = memory
        self._is_fixed = is_fixed
        self._troubles: list[TlsTrouble] = []
        self._has_insisted = False

    @property
    def is_fixed(self) -> bool:
        """There is none: a smart host."""
        return self._is_fixed

    def after_failure(self, target: Target, fault: DeliveryFault) -> Target | None:
        """The target to try after TLS failed; None if TLS was not what failed, or nothing is left that is allowed."""
        if fault.trouble is None or self._is_fixed:
            return None
        self._troubles.append(fault.trouble)
        weaker = fall_back(target.tls, fault.trouble)
        if weaker is None:
            return None
        if weaker.mode is TlsMode.NEVER:
            log.info("tls_failed_clear_text_next", host=target.host, detail=fault.detail)
        return replace(target, tls=weaker)

    def after_demand(self, target: Target, connection: Connection, verdicts: Iterable[Verdict]) -> Target | None:
        """The target to try at once if the server demands, in clear text, the TLS that it offers. Once for each attempt."""
        if self._has_insisted or self._is_fixed or connection.tls is not None or not connection.extensions.starttls:
            return None
        if not any(each.demands_tls for each in verdicts):
            return None
        log.info("tls_demanded", host=target.host)
        self._has_insisted = True
        self._troubles.clear()
        self._memory.forget(target.host)
        return replace(target, tls=ENCRYPTED)

    def note(self, target: Target, connection: Connection, now: float) -> None:
        """Remembers what worked, once for each connection."""
        if connection.messages_sent != 1 or self._is_fixed:
            return
        if connection.tls is not None:
            self._memory.note_working(target.host, now, is_weak=target.tls.allows_weak)
        elif self._troubles:
            self._memory.note_broken(target.host, now, is_certain=not CERTAIN.isdisjoint(self._troubles))

    def pool_key(self, target: Target, connection: Connection) -> Target:
        """What the next attempt will ask the pool for, to get this connection again."""
        if connection.tls is not None and target.tls.mode is TlsMode.OPPORTUNISTIC and not target.tls.is_trial and not self._is_fixed:
            return replace(target, tls=replace(target.tls, mode=TlsMode.REQUIRED))
        return target
