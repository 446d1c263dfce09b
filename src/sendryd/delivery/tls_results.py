"""Results of TLS sessions for reports (TLS-RPT): counted in memory, stored together.

Does: counts how sessions with the mail servers of each recipient domain went, under which policy.
Writes: the counts, every minute and at the end.
When things fail: what could not be stored is stored in the next round.
Limits: `MAX_KINDS` different results in memory and `MAX_STORED` in the store; further ones are not counted. Standards: RFC 8460.
"""

from collections import Counter
from datetime import date
from typing import Final

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.target import Target
from sendryd.model.domain import StsMode
from sendryd.policy.routing import NextHop
from sendryd.policy.tls import NO_DANE, TlsMode
from sendryd.policy.tlsrpt import Failure, TlsResult, failure_of, result_of
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import NextHopStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 60.0  # seconds: what a kill may cost
MAX_KINDS: Final = 20_000  # with a few hundred octets each some megabytes
MAX_STORED: Final = 200_000  # of all days: a report is made on the day after

log = get_logger("delivery")


class Observer:
    """Notes the sessions of one attempt, under the policies of its domain."""

    __slots__ = ("_domain", "_results", "_sts", "_tlsa")

    def __init__(self, results: "TlsResults", domain: str, next_hop: NextHop) -> None:
        self._results = results
        self._domain = domain
        self._sts = next_hop.sts
        self._tlsa = {host.name: host.dane for host in next_hop.hosts}

    def note_unmet(self, host: str) -> None:
        """A server got no session, by the policy."""
        dane = self._tlsa.get(host, NO_DANE)
        self._note(host, "", Failure.DNSSEC if dane.failure else Failure.VALIDATION)

    def note_fault(self, target: Target, fault: DeliveryFault) -> None:
        """A session broke; it counts if TLS was the reason."""
        if fault.is_of_tls:
            self._note(target.host, target.address, failure_of(fault.trouble, fault.detail))

    def note_session(self, target: Target, *, is_encrypted: bool) -> None:
        """A session began."""
        if is_encrypted:
            is_named = self._sts is None or self._sts.mode is StsMode.NONE or self._sts.names(target.host) or bool(target.tls.dane)
            if is_named and not self._is_second_try(target):
                self._note(target.host, target.address, None)
            elif not is_named:
                self._note(target.host, target.address, Failure.VALIDATION)
        elif target.tls.mode is not TlsMode.NEVER:
            self._note(target.host, target.address, Failure.STARTTLS_NOT_SUPPORTED)

    def _is_second_try(self, target: Target) -> bool:
        """Its failure under a policy in testing was counted."""
        is_testing = self._sts is not None and self._sts.mode is StsMode.TESTING and self._sts.names(target.host)
        return is_testing and not target.tls.is_authenticated

    def _note(self, host: str, address: str, failure: Failure | None) -> None:
        records = self._tlsa.get(host, NO_DANE).records
        self._results.note(result_of(self._domain, self._sts, records, failure=failure, host=host, address=address))


class TlsResults:
    """The results that are not stored yet."""

    def __init__(self, store: NextHopStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: Counter[tuple[date, TlsResult]] = Counter()

    def __repr__(self) -> str:
        return f"<TlsResults {len(self._counts)} kinds>"

    def note(self, result: TlsResult) -> None:
        """One more session."""
        key = self._clock.now().date(), result
        if key in self._counts or len(self._counts) < MAX_KINDS:
            self._counts[key] += 1

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            await self.store()

    async def store(self) -> None:
        """Stores what was counted."""
        taken, self._counts = self._counts, Counter()
        if not taken:
            return
        try:
            await self._store.add_tls_results([(day, result, number) for (day, result), number in taken.items()], most=MAX_STORED)
        except StoreError as error:
            log.error("tls_results_not_stored", error=repr(error))
            self._counts.update(taken)
