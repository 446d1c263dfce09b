"""TLS memory: what is known of the TLS of mail servers, and hence how much of it an attempt begins with. Pure.

A host that has done TLS is never spoken to in clear text for a day. A host whose TLS failed and whose clear text worked is spoken to in clear text
for some minutes, but a retry tries TLS again.
When things fail: a memory that was lost costs a connection, or one message in clear text; which hosts do TLS is stored by `delivery.tls_keeper`.
Limits: `MAX_HOSTS` hosts are remembered, the latest.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sendryd.policy.tls import CLEAR_TEXT, ENCRYPTED, ENCRYPTED_WEAK, OPPORTUNISTIC, OPPORTUNISTIC_WEAK, TlsRequirement

BROKEN_TIME: Final = (
    600.0  # seconds of clear text after a failure: spares a connection for each message, and is over before a mistake is old
)
WEAK_TIME: Final = 3600.0  # seconds for which weak parameters are tried first: nothing is lost, strong ones are among them
WORKING_TIME: Final = 24 * 3600.0  # seconds since the last TLS session for which clear text is refused: time to mend a certificate
MAX_HOSTS: Final = 10_000
STORE_AGAIN: Final = 3600.0  # seconds after which a host that does TLS is stored again: a busy host costs 24 rows a day


@dataclass(slots=True)
class _Host:
    """Until when what is known of a host holds, in monotonic seconds."""

    works: float = 0.0
    is_weak: float = 0.0
    is_broken: float = 0.0
    may_be_broken: float = 0.0  # a second hiccup until then counts as broken
    stored: float = 0.0  # `works` as it was given out to be stored


class TlsMemory:
    """What is known of hosts. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._unstored: dict[str, None] = {}

    def requirement(self, host: str, now: float, *, is_retry: bool) -> TlsRequirement:
        """What a session with a server that need not prove who it is begins with."""
        known = self._hosts.get(host)
        if known is None:
            return OPPORTUNISTIC
        is_weak = known.is_weak > now
        if known.works > now:
            return ENCRYPTED_WEAK if is_weak else ENCRYPTED
        if known.is_broken > now and not is_retry:
            return CLEAR_TEXT
        return OPPORTUNISTIC_WEAK if is_weak else OPPORTUNISTIC

    def note_working(self, host: str, now: float, *, is_weak: bool) -> None:
        """A session inside TLS got as far as mail."""
        known = self._find(host)
        known.works, known.is_weak = now + WORKING_TIME, now + WEAK_TIME if is_weak else 0.0
        known.is_broken = known.may_be_broken = 0.0
        if known.works - known.stored >= STORE_AGAIN:
            self._unstored[host] = None

    def load(self, worked: Iterable[tuple[str, float]]) -> None:
        """Hosts that did TLS before this start, or with other processes, each with its monotonic seconds; the latest come last."""
        for host, moment in worked:
            known = self._find(host)
            known.stored = moment + WORKING_TIME
            known.works = max(known.works, known.stored)

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
