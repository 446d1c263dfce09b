"""Which due deliveries are next, without looking again and again at those that cannot be served.

Deliveries are taken oldest due first. A domain that is busy, or had its share, is stepped over; it is remembered together with the position
that the scan came to. The next scan looks first at remembered domains that are not busy any more, each through its own index, then goes on
from the position. So a million that wait for a dead domain are passed once in a while, not at every claim.

A delivery can come to be due behind the position: queued, released, or returned by an expired lease, with a due time that is old; or
committed late. `look_again_at` tells of the first; for the second, and for what other processes do, the position stays some seconds behind
the present; and now and then the scan begins anew, whatever happened.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any, Final

import apsw

from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.rows import to_json

STEP: Final = 10_000  # due deliveries passed by one statement: a few milliseconds
WINDOW: Final = 512  # deliveries that could be taken, of one statement
REMEMBERED: Final = 64  # remembered domains looked at before one claim is content; the others have their turn at the next
LAG: Final = 15_000  # milliseconds that the position stays behind: longer than a commit that has to wait for another process
FRESH_START: Final = 60_000  # milliseconds after which the scan begins anew

Position = tuple[int, str, int]  # due time, domain, id: the order of the index
_START: Final[Position] = (-1, "", 0)


class _Chosen:
    """What was taken so far."""

    def __init__(self, limit: int, per_domain: int) -> None:
        self.numbers: dict[int, None] = {}
        self.per_domain = per_domain
        self._limit = limit
        self._shares: dict[str, int] = {}

    def is_full(self) -> bool:
        return len(self.numbers) >= self._limit

    def take(self, number: int, domain: str) -> bool:
        """False if there is no room for it, or its domain had its share."""
        share = self._shares.get(domain, 0)
        if number not in self.numbers:
            if self.is_full() or share >= self.per_domain:
                return False
            self.numbers[number] = None
            self._shares[domain] = share + 1
        return True


class DueScan:
    """The position, and the domains that were stepped over. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._position = _START
        self._left_behind: dict[str, None] = {}  # in the order of their next turn
        self._told: deque[str] = deque()
        self._is_stale = False
        self._began_at = 0

    def look_again_at(self, domains: Iterable[str]) -> None:
        """Deliveries of these domains were queued with due times that may be old."""
        self._told.extend(domains)

    def is_behind(self, due_at: int) -> bool:
        """Whether a delivery queued with this due time would be missed."""
        return due_at <= self._position[0]

    def begin_anew(self) -> None:
        """What was chosen may not have been claimed."""
        self._is_stale = True

    def choose(self, connection: apsw.Connection, moment: int, limit: int, busy: frozenset[str], per_domain: int) -> list[int]:
        """Ids of due deliveries, at most so many; none only if there is none."""
        with self._lock:
            if self._is_stale or abs(moment - self._began_at) > FRESH_START:
                self._is_stale = False
                self._began_at, self._position = moment, _START
                self._left_behind.clear()
            while self._told:
                self._left_behind[self._told.popleft()] = None
            chosen = _Chosen(limit, per_domain)
            self._look_back(connection, moment, busy, chosen)
            if not chosen.is_full():
                self._look_on(connection, moment, busy, chosen)
            return list(chosen.numbers)

    def _look_back(self, connection: apsw.Connection, moment: int, busy: frozenset[str], chosen: _Chosen) -> None:
        """Takes what remembered domains have up to the position."""
        domains = [domain for domain in self._left_behind if domain not in busy]
        for start in range(0, len(domains), REMEMBERED):
            self._take_from(connection, min(moment, self._position[0]), domains[start : start + REMEMBERED], chosen)
            if chosen.numbers:
                break

    def _take_from(self, connection: apsw.Connection, until: int, domains: Sequence[str], chosen: _Chosen) -> None:
        found: list[Position] = []
        for domain in domains:
            del self._left_behind[domain]
            rows: list[tuple[Any, ...]] = connection.execute(SQL["list_due_of_domain"], (domain, until, chosen.per_domain)).fetchall()
            found += [(due_at, domain, number) for number, due_at in rows]
            if len(rows) >= chosen.per_domain:  # there may be more
                self._left_behind[domain] = None
        for _, domain, number in sorted(found):
            if not chosen.take(number, domain):
                self._left_behind[domain] = None

    def _look_on(self, connection: apsw.Connection, moment: int, busy: frozenset[str], chosen: _Chosen) -> None:
        """Goes on from the position until something was found, or to the end."""
        position, stepped_over = self._position, to_json(sorted(busy))
        self._left_behind.update(dict.fromkeys(busy))
        while not chosen.is_full():
            start = position
            rows: list[tuple[Any, ...]] = connection.execute(SQL["list_due"], (moment, *start, STEP, stepped_over, WINDOW)).fetchall()
            for number, domain, due_at in rows:
                if not chosen.take(number, domain):
                    if chosen.is_full():
                        break
                    self._left_behind[domain] = None
                position = (due_at, domain, number)
            if chosen.is_full() or len(rows) == WINDOW:
                continue
            end: Any = connection.execute(SQL["due_position"], (moment, *start, STEP - 1)).fetchone()
            position = end or (moment, "", 0)
            if end is None or chosen.numbers:
                break
        self._position = max(self._position, min(position, (moment - LAG, "", 0)))
