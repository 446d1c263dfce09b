"""Chooses the next due deliveries without scanning again and again those that cannot be served.

Deliveries are taken oldest due first. A domain that is busy, or has used its share, is skipped; it is remembered together with the position that
the scan reached. The next scan first looks at remembered domains that are no longer busy, where accounts and classes take turns (`turns`), then
continues from the position. So a million deliveries to a dead domain are passed once in a while, not in every claim.

A delivery can become due at a time before the position: when it is queued, released, or returned by an ended lease with an old due time, or when
its commit was late. `look_again_at` reports the first kind. For the second, and for other processes, the position stays some seconds before the
present. In addition the scan restarts from the beginning every minute.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final

from sendryd.policy.smarthost import lane_of
from sendryd.store.base import CrowdedLane, OneHop
from sendryd.store.base.nodes import SHARDS
from sendryd.store.codec.values import to_json
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sizes import USUAL, Sizes
from sendryd.store.drivers.statements import fetch_row
from sendryd.store.sql.mail.crowded import CrowdedPlaces, CrowdedSearch
from sendryd.store.sql.mail.queries import SQL
from sendryd.store.sql.mail.turns import NO_TURNS, Choice, Search, TurnsOfDomain, choose_in_turn

ALL_SHARDS: Final = to_json(list(range(SHARDS)))
RESTART_INTERVAL: Final = 60_000  # milliseconds after which the scan restarts from the beginning

Position = tuple[int, str, int]  # due time, domain, id: the order of the index
_START: Final[Position] = (-1, "", 0)


class DueScan:
    """The state of the queue scan between a process's claims. Belongs to the event loop's thread."""

    def __init__(self, sizes: Sizes = USUAL) -> None:
        self._sizes = sizes
        self.shards = ALL_SHARDS  # those whose destinations this process serves: JSON
        self._position = _START
        self._left_behind: dict[str, None] = {}  # domains in the order of their next turn
        self._reported: dict[str, None] = {}  # domains that `look_again_at` reported, to add to `_left_behind`
        self._began_at = -RESTART_INTERVAL
        self._turns: OrderedDict[str, TurnsOfDomain] = OrderedDict()  # of domains in `_left_behind`
        self._latest = 0  # the latest time of a look
        self._places = CrowdedPlaces()
        self._was_of_all = False  # whether the scan passes the shards of all processes

    def look_again_at(self, domains: Iterable[str]) -> None:
        """Reports that deliveries of these domains were queued, perhaps with old due times."""
        self._reported.update(dict.fromkeys(domains))

    def is_behind(self, due_at: int) -> bool:
        """Whether the scan could miss a delivery that is queued with this due time."""
        return due_at <= self._latest - self._sizes.due_lag

    def serve(self, shards: frozenset[int]) -> None:
        """Serves the destinations of these shards alone from now on."""
        chosen = to_json(sorted(shards))
        if chosen != self.shards:
            self.shards = chosen
            self.restart()

    def restart(self) -> None:
        """Restarts the scan from the beginning: deliveries of unknown domains were queued, perhaps with old due times."""
        self._began_at = -RESTART_INTERVAL

    def begin(
        self,
        moment: int,
        limit: int,
        busy: frozenset[str],
        per_domain: int,
        settled: int | None = None,
        served: Collection[tuple[int, str]] = frozenset(),
        *,
        crowded: Sequence[CrowdedLane] = (),
        one_hop: OneHop | None = None,
    ) -> "Look":
        """Begins a look at the queue for at most `limit` deliveries. Call `finish` with it once they are claimed; a look that is not finished has
        no effect.
        """
        is_of_all = one_hop is not None and one_hop.is_of_all_shards
        if is_of_all != self._was_of_all:
            self._was_of_all = is_of_all
            self.restart()
        self._latest = max(self._latest, moment)
        if abs(moment - self._began_at) >= RESTART_INTERVAL:
            self._began_at, self._position, self._latest = moment, _START, moment
            self._left_behind.clear()
        self._left_behind.update(self._reported)
        self._reported.clear()
        settled = moment if settled is None else settled
        search = (
            CrowdedSearch(
                crowded, served, self._places, self._sizes, moment=moment, settled=settled, shards=ALL_SHARDS if is_of_all else self.shards
            )
            if crowded
            else None
        )
        return Look(
            moment,
            settled,
            limit,
            busy,
            per_domain,
            served,
            position=self._position,
            left_behind=dict(self._left_behind),
            turns=self._turns,
            sizes=self._sizes,
            shards=ALL_SHARDS if is_of_all else self.shards,
            own_shards=self.shards,
            crowded=search,
            one_hop=one_hop,
        )

    def finish(self, look: "Look") -> None:
        """Continues the next scan where this look ended. Its chosen deliveries are claimed, so those it passed need not be passed again."""
        self._position, self._left_behind = look.position, look.left_behind
        for domain, turns in look.turns.items():
            self._turns[domain] = turns
            self._turns.move_to_end(domain)
        while len(self._turns) > self._sizes.due_domains:
            self._turns.popitem(last=False)


class Look:
    """One look at the queue: chooses up to `limit` due deliveries, in any thread, and records what it passed."""

    def __init__(
        self,
        moment: int,
        settled: int,
        limit: int,
        busy: frozenset[str],
        per_domain: int,
        served: Collection[tuple[int, str]],
        *,
        position: Position,
        left_behind: dict[str, None],
        turns: Mapping[str, TurnsOfDomain],
        sizes: Sizes,
        shards: str = ALL_SHARDS,
        own_shards: str = ALL_SHARDS,
        crowded: CrowdedSearch | None = None,
        one_hop: OneHop | None = None,
    ) -> None:
        self.shards = shards
        self._own_shards = own_shards
        self._crowded = crowded
        self._one_hop = one_hop
        self._sizes = sizes
        self.position = position
        self.left_behind = left_behind
        self.turns: dict[str, TurnsOfDomain] = {}  # of the domains that were looked back at
        self._known_turns = turns
        self._moment = moment
        self._settled = settled
        self._limit = limit
        self._busy = busy
        self._per_domain = per_domain
        self._served = served
        self._chosen: dict[int, None] = {}
        self._shares: dict[str, int] = {}

    def choose(self, connection: Connection) -> list[int]:
        """The ids of the chosen deliveries: those for crowded lanes, then the oldest due first; empty only if none is due."""
        connection.follow_indexes()
        if self._crowded is not None:
            self._chosen.update(dict.fromkeys(self._crowded.choose(connection, self._limit)))
        if self._one_hop is not None:
            self._look_at_relays(connection)
            self._limit = min(self._limit, len(self._chosen) + self._one_hop.most)
        if not self._is_full():
            self._look_back(connection)
            self._look_on(connection)
        for domain, share in self._shares.items():
            if share > 1:  # it may have more, of several accounts
                self.left_behind.setdefault(domain)
        return list(self._chosen)

    def _is_full(self) -> bool:
        return len(self._chosen) >= self._limit

    def _take(self, number: int, domain: str) -> bool:
        """Chooses a delivery. False if the look is full or the domain has used its share."""
        share = self._shares.get(domain, 0)
        if number not in self._chosen:
            if self._is_full() or share >= self._per_domain:
                return False
            self._chosen[number] = None
            self._shares[domain] = share + 1
        return True

    def _look_at_relays(self, connection: Connection) -> None:
        """Chooses deliveries for domains' own smart hosts, so that the one for all mail, full as it is, is no reason for them to wait."""
        for domain, due_at in list(connection.tuples(SQL["list_relays"], {"shards": self._own_shards})):
            if due_at <= self._moment and domain not in self._busy:
                for _, number in self._choose_in_turn(connection, domain, self._moment).found:
                    self._take(number, domain)

    def _look_back(self, connection: Connection) -> None:
        """Chooses deliveries of remembered domains up to the position."""
        domains = [domain for domain in self.left_behind if domain not in self._busy]
        size = self._sizes.due_remembered
        for start in range(0, len(domains), size):
            self._take_from(connection, domains[start : start + size])
            if self._chosen:
                break

    def _take_from(self, connection: Connection, domains: Sequence[str]) -> None:
        """Takes of each domain in the order of its turns, of all of them the oldest due first."""
        until = min(self._moment, self.position[0])
        heads: list[tuple[int, str, int, list[tuple[int, int]]]] = []
        for domain in domains:
            del self.left_behind[domain]
            choice = self._choose_in_turn(connection, domain, until)
            if choice.has_more:
                self.left_behind[domain] = None
            if choice.found:
                found = choice.found[::-1]
                due_at, number = found.pop()
                heads.append((due_at, domain, number, found))
        heapify(heads)
        while heads:
            _, domain, number, found = heads[0]
            if not self._take(number, domain):
                self.left_behind[domain] = None
                heappop(heads)
            elif found:
                due_at, number = found.pop()
                heapreplace(heads, (due_at, domain, number, found))
            else:
                heappop(heads)

    def _choose_in_turn(self, connection: Connection, domain: str, until: int) -> Choice:
        search = Search(domain=domain, moment=self._moment, until=until, settled=self._settled, limit=self._per_domain, served=self._served)
        choice = choose_in_turn(connection, search, self._known_turns.get(domain, NO_TURNS), self._sizes)
        if choice.has_more:
            self.turns[domain] = choice.turns
        return choice

    def _look_on(self, connection: Connection) -> None:
        """Continues from the position until enough is chosen, or to the end."""
        sizes, moment, position, stepped_over = self._sizes, self._moment, self.position, set(self._busy)
        self.left_behind.update(dict.fromkeys(self._busy))
        served = to_json([list(each) for each in self._served])
        while not self._is_full():
            start = {"moment": moment, "after_due_at": position[0], "after_domain": position[1], "after_id": position[2]}
            values = {
                **start,
                "step": sizes.due_step,
                "busy": to_json(sorted(stepped_over)),
                "window": sizes.due_window,
                "settled": self._settled,
                "served": served,
                "shards": self.shards,
            }
            passed, is_cut = 0, False
            # By position, and only as many as needed: making a row a mapping costs more than all other work on it.
            for number, domain, due_at in connection.tuples(SQL["list_due"], values):
                passed += 1
                if self.shards is not self._own_shards and lane_of(domain):  # a lane of another process, perhaps
                    position = (due_at, domain, number)
                    continue
                if not self._take(number, domain):
                    if self._is_full():
                        break
                    self.left_behind[domain] = None
                    stepped_over.add(domain)  # the statement passes its backlog twenty times as fast
                    is_cut = True
                position = (due_at, domain, number)
                if is_cut:
                    break
            if self._is_full() or is_cut or passed == sizes.due_window:
                continue
            end = fetch_row(connection, SQL["due_position"], **start, offset=sizes.due_step - 1)
            position = (end["due_at"], end["domain"], end["id"]) if end else (moment, "", 0)
            if end is None or self._chosen:
                break
        self.position = max(self.position, min(position, (moment - sizes.due_lag, "", 0)))
