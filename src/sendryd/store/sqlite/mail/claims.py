"""Which due deliveries are next, without looking again and again at those that cannot be served.

Deliveries are taken oldest due first. A domain that is busy, or had its share, is stepped over; it is remembered together with the position
that the scan came to. The next scan looks first at remembered domains that are not busy any more, each through its own index, then goes on
from the position. So a million that wait for a dead domain are passed once in a while, not at every claim.

A delivery can come to be due behind the position: queued, released, or returned by an expired lease, with a due time that is old; or
committed late. `look_again_at` tells of the first; for the second, and for what other processes do, the position stays some seconds behind
the present; and now and then the scan begins anew, whatever happened.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import apsw

from sendryd.store.codec.values import to_json
from sendryd.store.sqlite.engine.statements import fetch_row, fetch_rows
from sendryd.store.sqlite.mail.queries import SQL

STEP: Final = 10_000  # due deliveries passed by one statement: a few milliseconds
WINDOW: Final = 512  # deliveries that could be taken, of one statement
REMEMBERED: Final = 64  # remembered domains looked at before one claim is content; the others have their turn at the next
LAG: Final = 15_000  # milliseconds that the position stays behind: longer than a commit that has to wait for another process
FRESH_START: Final = 60_000  # milliseconds after which the scan begins anew

Position = tuple[int, str, int]  # due time, domain, id: the order of the index
_START: Final[Position] = (-1, "", 0)


class DueScan:
    """What the claims of a process remember of the queue. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._position = _START
        self._left_behind: dict[str, None] = {}  # in the order of their next turn
        self._told: dict[str, None] = {}  # to be added to those
        self._began_at = -FRESH_START
        self._latest = 0  # of all looks

    def look_again_at(self, domains: Iterable[str]) -> None:
        """Deliveries of these domains were queued with due times that may be old."""
        self._told.update(dict.fromkeys(domains))

    def is_behind(self, due_at: int) -> bool:
        """Whether a delivery that is queued with this due time could be missed."""
        return due_at <= self._latest - LAG

    def begin_anew(self) -> None:
        """Deliveries of unknown domains were queued with due times that may be old."""
        self._began_at = -FRESH_START

    def begin(self, moment: int, limit: int, busy: frozenset[str], per_domain: int, settled: int | None = None) -> "Look":
        """A look at the queue, for at most so many. The next one begins after `finish`, or instead of this one."""
        self._latest = max(self._latest, moment)
        if abs(moment - self._began_at) >= FRESH_START:
            self._began_at, self._position, self._latest = moment, _START, moment
            self._left_behind.clear()
        self._left_behind.update(self._told)
        self._told.clear()
        settled = moment if settled is None else settled
        return Look(moment, settled, limit, busy, per_domain, position=self._position, left_behind=dict(self._left_behind))

    def finish(self, look: "Look") -> None:
        """What it has chosen is claimed, so what it passed need not be passed again."""
        self._position, self._left_behind = look.position, look.left_behind


class Look:
    """One look at the queue: chooses up to `limit` due deliveries, in any thread, and knows then what it has passed."""

    def __init__(
        self,
        moment: int,
        settled: int,
        limit: int,
        busy: frozenset[str],
        per_domain: int,
        *,
        position: Position,
        left_behind: dict[str, None],
    ) -> None:
        self.position = position
        self.left_behind = left_behind
        self._moment = moment
        self._settled = settled
        self._limit = limit
        self._busy = busy
        self._per_domain = per_domain
        self._chosen: dict[int, None] = {}
        self._shares: dict[str, int] = {}

    def choose(self, connection: apsw.Connection) -> list[int]:
        """Their ids, oldest due first; none only if there is none."""
        self._look_back(connection)
        self._look_on(connection)
        return list(self._chosen)

    def _is_full(self) -> bool:
        return len(self._chosen) >= self._limit

    def _take(self, number: int, domain: str) -> bool:
        """False if there is no room for it, or its domain had its share."""
        share = self._shares.get(domain, 0)
        if number not in self._chosen:
            if self._is_full() or share >= self._per_domain:
                return False
            self._chosen[number] = None
            self._shares[domain] = share + 1
        return True

    def _look_back(self, connection: apsw.Connection) -> None:
        """Takes what remembered domains have up to the position."""
        domains = [domain for domain in self.left_behind if domain not in self._busy]
        for start in range(0, len(domains), REMEMBERED):
            self._take_from(connection, domains[start : start + REMEMBERED])
            if self._chosen:
                break

    def _take_from(self, connection: apsw.Connection, domains: Sequence[str]) -> None:
        until = min(self._moment, self.position[0])
        found: list[Position] = []
        for domain in domains:
            del self.left_behind[domain]
            rows = fetch_rows(
                connection, SQL["list_due_of_domain"], domain=domain, until=until, limit=self._per_domain, settled=self._settled
            )
            found += [(row["due_at"], domain, row["id"]) for row in rows]
            if len(rows) >= self._per_domain:  # there may be more
                self.left_behind[domain] = None
        for _, domain, number in sorted(found):
            if not self._take(number, domain):
                self.left_behind[domain] = None

    def _look_on(self, connection: apsw.Connection) -> None:
        """Goes on from the position until something was found, or to the end."""
        moment, position, stepped_over = self._moment, self.position, to_json(sorted(self._busy))
        self.left_behind.update(dict.fromkeys(self._busy))
        while not self._is_full():
            start = {"moment": moment, "after_due_at": position[0], "after_domain": position[1], "after_id": position[2]}
            values = {**start, "step": STEP, "busy": stepped_over, "window": WINDOW, "settled": self._settled}
            passed = 0
            # By position, and no further than needed: a row of the window costs more as a mapping than all else that is done with it.
            for number, domain, due_at in connection.execute(SQL["list_due"], values):
                passed += 1
                if not self._take(number, domain):
                    if self._is_full():
                        break
                    self.left_behind[domain] = None
                position = (due_at, domain, number)
            if self._is_full() or passed == WINDOW:
                continue
            end = fetch_row(connection, SQL["due_position"], **start, offset=STEP - 1)
            position = (end["due_at"], end["domain"], end["id"]) if end else (moment, "", 0)
            if end is None or self._chosen:
                break
        self.position = max(self.position, min(position, (moment - LAG, "", 0)))
