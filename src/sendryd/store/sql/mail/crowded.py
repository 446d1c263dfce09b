"""Chooses due deliveries for crowded lanes: those of accounts and classes that have little there, whichever of the lane's domains they are for.

A lane that one account fills takes no more of its domains. The index of what each account has leads to the others: one step finds the next account of
a class, one more the next domain of an account. A look considers `due_turns` accounts of each class and `due_crowded` domains of each; the next look
goes on with the others.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass
from sendryd.policy.fairness import WEIGHTS
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import lane_of
from sendryd.store.base import CrowdedLane
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.sql.mail.queries import SQL

BEFORE_ALL: Final = -1  # no account


class CrowdedPlaces:
    """Where the next look goes on."""

    def __init__(self) -> None:
        self.accounts = dict.fromkeys(WEIGHTS, BEFORE_ALL)  # by class: the last account
        self.domains: OrderedDict[tuple[int, MessageClass], str] = (
            OrderedDict()
        )  # by account and class, of those with many: the last domain


class CrowdedSearch:
    """One look for what crowded lanes may get. Times are milliseconds."""

    def __init__(
        self,
        lanes: Sequence[CrowdedLane],
        served: Collection[tuple[int, str]],
        places: CrowdedPlaces,
        sizes: Sizes,
        *,
        moment: int,
        settled: int,
        shards: str,
    ) -> None:
        self._lanes = lanes
        self._by_domain: dict[str, int] = {}
        self._rooms = [lane.room for lane in lanes]
        self._served = served
        self._places = places
        self._sizes = sizes
        self._moment = moment
        self._values = {"moment": moment, "settled": settled, "shards": shards}

    def choose(self, connection: Connection, limit: int) -> list[int]:
        """The ids of up to `limit` deliveries, one-time passwords first."""
        chosen: list[int] = []
        for priority in WEIGHTS:
            for account in self._accounts(connection, priority):
                if len(chosen) >= limit or max(self._rooms) <= 0:
                    return chosen
                self._places.accounts[priority] = account
                if (account, priority) not in self._served:
                    chosen += self._of_account(connection, account, priority, limit - len(chosen))
        return chosen

    def _accounts(self, connection: Connection, priority: MessageClass) -> list[int]:
        def read(after: Any, most: int) -> list[Any]:
            return [
                account for (account,) in connection.tuples(SQL["list_accounts"], {"class": priority.value, "after": after, "most": most})
            ]

        return _round(read, self._places.accounts[priority], BEFORE_ALL, self._sizes.due_turns, lambda account: account)

    def _of_account(self, connection: Connection, account: int, priority: MessageClass, limit: int) -> list[int]:
        """Deliveries of one account and class, as many of each lane as it may get."""
        turn = AccountId(account), priority
        chosen: list[int] = []
        if all(turn in lane.enough for lane in self._lanes):
            return chosen
        taken: Counter[int] = Counter()
        for domain, due_at in self._domains(connection, account, priority):
            lane = self._lane_of(domain)
            if lane is None or due_at > self._moment or turn in self._lanes[lane].enough or domain in self._lanes[lane].without:
                continue
            room = min(self._lanes[lane].each - taken[lane], self._rooms[lane], limit - len(chosen))
            if room > 0:
                values = {"class": priority.value, "account_id": account, "domain": domain, "limit": room, **self._values}
                found = [number for (number,) in connection.tuples(SQL["list_due_of_account"], values)]
                chosen += found
                taken[lane] += len(found)
                self._rooms[lane] -= len(found)
        return chosen

    def _lane_of(self, domain: str) -> int | None:
        """The number of the crowded lane that a domain's mail goes by."""
        if not self._by_domain:
            self._by_domain = {name: number for number, lane in enumerate(self._lanes) for name in lane.domains}
        return self._by_domain.get(domain, None if lane_of(domain) else self._by_domain.get(ANY_DOMAIN))

    def _domains(self, connection: Connection, account: int, priority: MessageClass) -> list[tuple[str, int]]:
        def read(after: Any, most: int) -> list[Any]:
            values = {"class": priority.value, "account_id": account, "after": after, "most": most}
            return list(connection.tuples(SQL["list_domains_of_account"], values))

        places, turn, most = self._places.domains, (account, priority), self._sizes.due_crowded
        found = _round(read, places.pop(turn, ""), "", most, lambda row: row[0])
        if len(found) == most:
            places[turn] = found[-1][0]
            if len(places) > self._sizes.due_domains:
                places.popitem(last=False)
        return found


def _round(read: Callable[[Any, int], list[Any]], after: Any, start: Any, most: int, key: Callable[[Any], Any]) -> list[Any]:
    """Up to `most` rows, in the order of the index, from a place on and round to it again."""
    found = read(after, most)
    if after != start and len(found) < most:
        found += [row for row in read(start, most - len(found)) if key(row) <= after]
    return found
