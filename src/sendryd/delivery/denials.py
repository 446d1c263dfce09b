"""When to believe DNS that a domain takes no mail: not at once, and not while it says so of very many domains.

Does: remembers which domains DNS denied and since when, and compares the number of domains that were denied lately with the number of those
that were answered.
Reads: a monotonic clock. Writes: nothing.
Strategy: a denial (NXDOMAIN, or neither MX nor address) counts once it has lasted for some minutes. When most domains of the last minutes
were denied, the resolver or our network is taken for the fault, and nothing bounces until it gives answers again.
Limits: `MAX_NAMES`.
"""

from collections import OrderedDict
from datetime import timedelta
from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

CONFIRM_DELAY: Final = timedelta(
    minutes=5
)  # between the first denial of a domain and the one that bounces its mail: a slip of a zone's owner
WINDOW: Final = 600.0  # seconds of look-ups that are compared
MIN_DENIED: Final = 10  # domains denied in it before anything is suspected: fewer are a list with a few old addresses
MAX_NAMES: Final = 10_000  # of each kind

log = get_logger("delivery")


class Denials:
    """Implements `runtime.resolver.LookupNotes`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._first: OrderedDict[str, float] = OrderedDict()  # since when a domain has been denied
        self._denied: OrderedDict[str, float] = OrderedDict()  # the latest denial of each domain, oldest first
        self._answered: OrderedDict[str, float] = OrderedDict()  # the same of answers
        self._is_suspicious = False

    def __repr__(self) -> str:
        return f"<Denials {len(self._denied)} denied, {len(self._answered)} answered>"

    def statistics(self) -> dict[str, float]:
        """For /metrics."""
        return {"denied_domains": len(self._denied), "is_denial_suspicious": self.is_suspicious}

    @property
    def is_suspicious(self) -> bool:
        """DNS denies more domains than it answers for: no denial is believed."""
        self._compare()
        return self._is_suspicious

    def note_answered(self, domain: str) -> None:
        """DNS knows how mail gets to the domain."""
        self._first.pop(domain, None)
        self._denied.pop(domain, None)
        self._put(self._answered, domain)
        self._compare()

    def note_denied(self, domain: str) -> None:
        """DNS says that the domain does not exist, or that it has no mail server."""
        if domain not in self._first:
            self._put(self._first, domain)
        self._answered.pop(domain, None)
        self._put(self._denied, domain)
        self._compare()

    def is_confirmed(self, domain: str, delay: float, *, was_denied: bool) -> bool:
        """Whether the domain has been denied for `delay` seconds. `was_denied`: an earlier attempt for the same recipient found that too,
        perhaps in an earlier life of the program, of which nothing else is known here.
        """
        first = self._first.get(domain)
        if first is None:
            return was_denied
        return self._clock.monotonic() - first >= delay or (was_denied and first - self._started < delay)

    def _put(self, times: OrderedDict[str, float], domain: str) -> None:
        times[domain] = self._clock.monotonic()
        times.move_to_end(domain)
        if len(times) > MAX_NAMES:
            times.popitem(last=False)

    def _compare(self) -> None:
        oldest = self._clock.monotonic() - WINDOW
        for times in (self._denied, self._answered):
            while times and next(iter(times.values())) < oldest:
                times.popitem(last=False)
        denied, answered = len(self._denied), len(self._answered)
        if self._is_suspicious:
            if answered and answered >= denied:
                self._is_suspicious = False
                log.info("dns_denials_believed_again", denied_domains=denied, answered_domains=answered)
        elif denied >= MIN_DENIED and denied > answered:
            self._is_suspicious = True
            log.error(
                "dns_denials_not_believed",
                denied_domains=denied,
                answered_domains=answered,
                advice="check the resolver: mail to domains that it denies is deferred and does not bounce",
            )
