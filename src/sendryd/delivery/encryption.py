"""How much encryption a mail server gets: what is known of hosts, and what one attempt tries next when encryption fails.

Does: chooses the rule for a host, weakens it after a failure, strengthens it when the host demands TLS. Reads and writes: nothing.
Strategy: without enforcement, strong parameters, then weak ones, then clear text (RFC 7435). A host that has done TLS is never spoken to in
clear text. A host whose TLS failed and whose clear text worked is spoken to in clear text for some minutes, but a retry tries TLS again.
When things fail: a memory that was lost costs a connection, or one message in clear text; which hosts do TLS is stored by `delivery.tlskeeper`.
Limits: `MAX_HOSTS` hosts are remembered, the latest.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sendryd.delivery.transport import Connection, DeliveryFault, Target, TlsRule, TlsTrouble
from sendryd.policy.classify import Disposition
from sendryd.runtime.log import get_logger

BROKEN_TIME: Final = (
    600.0  # seconds of clear text after a failure: spares a connection for each message, and is over before a mistake is old
)
WEAK_TIME: Final = 3600.0  # seconds for which weak parameters are tried first: nothing is lost, strong ones are among them
WORKING_TIME: Final = 24 * 3600.0  # seconds since the last TLS session for which clear text is refused: time to mend a certificate
MAX_HOSTS: Final = 10_000
STORE_AGAIN: Final = 3600.0  # seconds after which a host that does TLS is stored anew: a busy host costs 24 rows a day
_MAY_BE_WEAK: Final = frozenset({TlsTrouble.FAILED, TlsTrouble.CLOSED})  # the parameters may be the reason
_CERTAIN: Final = frozenset({TlsTrouble.FAILED, TlsTrouble.SILENT, TlsTrouble.SESSION})  # others may be a hiccup

log = get_logger("delivery")


@dataclass(slots=True)
class _Host:
    """Until when what is known of a host holds, in monotonic seconds."""

    works: float = 0.0
    is_weak: float = 0.0
    is_broken: float = 0.0
    may_be_broken: float = 0.0  # a second hiccup until then counts as broken
    stored: float = 0.0  # `works` as it was given out to be stored


class TlsMemory:
    """What is known of the encryption of hosts. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._unstored: dict[str, None] = {}

    def rule(self, host: str, now: float, *, is_retry: bool) -> tuple[TlsRule, bool]:
        """How much encryption an unverified connection needs, and whether weak parameters are tried at once."""
        known = self._hosts.get(host)
        if known is None:
            return TlsRule.OPPORTUNISTIC, False
        is_weak = known.is_weak > now
        if known.works > now:
            return TlsRule.REQUIRED, is_weak
        if known.is_broken > now and not is_retry:
            return TlsRule.NEVER, False
        return TlsRule.OPPORTUNISTIC, is_weak

    def note_working(self, host: str, now: float, *, is_weak: bool) -> None:
        """A session inside TLS got as far as mail."""
        known = self._find(host)
        known.works, known.is_weak = now + WORKING_TIME, now + WEAK_TIME if is_weak else 0.0
        known.is_broken = known.may_be_broken = 0.0
        if known.works - known.stored >= STORE_AGAIN:
            self._unstored[host] = None

    def load(self, worked: Iterable[tuple[str, float]]) -> None:
        """Hosts that did TLS before this start, at so many monotonic seconds; the latest come last."""
        for host, moment in worked:
            known = self._find(host)
            known.works = known.stored = moment + WORKING_TIME

    def take_unstored(self) -> dict[str, float]:
        """Hosts that did TLS of which the store does not know yet, or not lately, and when, in monotonic seconds."""
        found = {host: known for host in self._unstored if (known := self._hosts.get(host)) is not None}
        self._unstored.clear()
        for known in found.values():
            known.stored = known.works
        return {host: known.works - WORKING_TIME for host, known in found.items()}

    def note_broken(self, host: str, now: float, *, is_certain: bool) -> None:
        """TLS failed where clear text worked. What may have been a hiccup counts only when it comes twice."""
        known = self._find(host)
        if is_certain or known.may_be_broken > now:
            known.is_broken = now + BROKEN_TIME
        known.may_be_broken = now + BROKEN_TIME

    def forget(self, host: str) -> None:
        """The host demands encryption: whatever failed, it is tried again."""
        self._hosts.pop(host, None)

    def _find(self, host: str) -> _Host:
        known = self._hosts.setdefault(host, _Host())
        self._hosts.move_to_end(host)
        if len(self._hosts) > MAX_HOSTS:
            self._hosts.popitem(last=False)
        return known


class Encryption:
    """The encryption of one target during one attempt."""

    def __init__(self, memory: TlsMemory, *, is_fixed: bool) -> None:
        """`is_fixed`: the operator has configured how much encryption there is."""
        self._memory = memory
        self._is_fixed = is_fixed
        self._troubles: list[TlsTrouble] = []
        self._has_insisted = False

    def weaken(self, target: Target, fault: DeliveryFault) -> Target | None:
        """What to try after encryption failed: weak parameters, then clear text. None if there is nothing left that is allowed."""
        trouble = fault.trouble
        if trouble is None or self._is_fixed or target.tls not in {TlsRule.OPPORTUNISTIC, TlsRule.REQUIRED}:
            return None
        self._troubles.append(trouble)
        if trouble in _MAY_BE_WEAK and not target.is_weak:
            return replace(target, is_weak=True)
        if target.tls is TlsRule.REQUIRED:
            return None
        log.info("tls_failed_clear_text_next", host=target.host, detail=fault.detail)
        return replace(target, tls=TlsRule.NEVER, is_weak=False)

    def note(self, target: Target, connection: Connection, now: float) -> None:
        """Remembers what worked, once for each connection."""
        if connection.messages_sent != 1 or self._is_fixed:
            return
        if connection.tls is not None:
            self._memory.note_working(target.host, now, is_weak=target.is_weak)
        elif self._troubles:
            self._memory.note_broken(target.host, now, is_certain=not _CERTAIN.isdisjoint(self._troubles))

    def insist(self, target: Target, connection: Connection, dispositions: Sequence[Disposition]) -> Target | None:
        """The target to try at once if the server demands, in clear text, the encryption that it offers. Once for each attempt."""
        if self._has_insisted or self._is_fixed or connection.tls is not None or not connection.extensions.starttls:
            return None
        if not any(each.demands_tls for each in dispositions):
            return None
        log.info("tls_demanded", host=target.host)
        self._has_insisted = True
        self._troubles.clear()
        self._memory.forget(target.host)
        return replace(target, tls=TlsRule.REQUIRED, is_weak=False)

    def key(self, target: Target, connection: Connection) -> Target:
        """What the next attempt will ask the pool for, to get this connection again."""
        if connection.tls is not None and target.tls is TlsRule.OPPORTUNISTIC and not self._is_fixed:
            return replace(target, tls=TlsRule.REQUIRED)
        return target
