"""The log's lines about a database that does not answer: one at the start, one a minute, one for each new reason, one at the end.

Each part of the program that asks the database meets the same fault. Their lines are left out meanwhile and counted.
"""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final

from sendryd.runtime.log import get_logger
from sendryd.store.errors import StoreError

OUTAGE_INTERVAL: Final = 60.0  # seconds between two lines
CHANGE_INTERVAL: Final = 5.0  # seconds between two lines of different reasons: a server that ends gives three at once
# Seconds without a fault after which an answer means that the database is back: of many connections one ends after the other.
QUIET: Final = 1.0
FAULTS: Final = ("StoreUnavailable(", "StoreFull(")  # how `repr` of the faults begins in the lines of others

log = get_logger("database")


class Outage:
    """Follows one database. Threads of the store call it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._since: float | None = None  # monotonic seconds; None: the database answers
        self._told = self._latest = 0.0
        self._reason = ""  # of the last line
        self._faults = self._left_out = 0

    def note(self, fault: Exception | None) -> bool:
        """Something that was asked of the database has failed, or not (None). Whether the database is away, as far as is known."""
        now = self._monotonic()
        with self._lock:
            if fault is None:
                return self._answered(now)
            self._latest = now
            self._faults += 1
            if self._since is None:
                self._since = now
                self._tell(now, fault, "database_away", advice="mail waits and clients are put off until the database answers")
            elif now - self._told >= (OUTAGE_INTERVAL if str(fault) == self._reason else CHANGE_INTERVAL):
                self._tell(now, fault, "database_still_away", **self._figures(now))
            return True

    def _tell(self, now: float, fault: Exception, event: str, **fields: object) -> None:
        self._told, self._reason = now, str(fault)
        log.error(event, error=self._reason, **fields)

    def _answered(self, now: float) -> bool:
        if self._since is not None and now - self._latest >= QUIET:
            log.warning("database_back", **self._figures(now))
            self._since, self._faults, self._left_out = None, 0, 0
        return self._since is not None

    def _figures(self, now: float) -> dict[str, int]:
        return {"seconds": round(now - (self._since or now)), "faults": self._faults, "lines_left_out": self._left_out}

    def is_told(self, event: Mapping[str, object]) -> bool:
        """Whether a line of the log says no more than that the database is away."""
        if self._since is None or not (str(event.get("error", "")).startswith(FAULTS) or _is_fault(event.get("exc_info"))):
            return False
        self._left_out += 1
        return True


def _is_fault(error: object) -> bool:
    return isinstance(error, StoreError) and repr(error).startswith(FAULTS)
