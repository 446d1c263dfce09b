"""Chooses among the due deliveries of one domain: accounts and classes take turns (`policy.fairness`).

The index has the deliveries of a domain by account, class and due time. One step of it finds the next account and class, so the cost depends on
their number and not on how much of each is waiting. A look considers `due_turns` of them; the next look goes on with the others.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from sendryd.model.message import MessageClass
from sendryd.policy.fairness import FairQueue, Tags, cost_of
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.sql.mail.queries import SQL

Place = tuple[int, str]  # account, class: the order of the index
FEW: Final = 8  # accounts and classes of each of which as many are read as may be chosen in all
_FIRST: Final[Place] = (-1, "")


@dataclass(frozen=True, slots=True)
class TurnsOfDomain:
    """Whose turn it is in a domain, between two looks."""

    now: float = 0.0
    tags: Tags = field(default_factory=dict)
    after: Place = _FIRST  # where the next look goes on


NO_TURNS: Final = TurnsOfDomain()


@dataclass(frozen=True, slots=True)
class Choice:
    """What a look found in one domain."""

    found: list[tuple[int, int]]  # due time and id, in the order of turns
    has_more: bool  # perhaps
    turns: TurnsOfDomain


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for. Times are milliseconds."""

    domain: str
    moment: int
    until: int  # the position of the scan: what is due later is left to it, unless several accounts or classes wait
    settled: int
    limit: int
    served: Collection[tuple[int, str]] = ()  # accounts and classes that are left out


def choose_in_turn(connection: Connection, search: Search, before: TurnsOfDomain, sizes: Sizes) -> Choice:
    """Up to `limit` due deliveries of a domain."""
    places, is_cut = _find_places(connection, search, before.after, sizes.due_turns)
    after = places[-1][0] if places and is_cut else _FIRST
    due = [place for place, due_at in places if due_at <= search.moment and place not in search.served]
    is_alone = len(due) == 1 and not is_cut
    until = search.until if is_alone else search.moment
    most = search.limit if len(due) <= FEW else min(search.limit, 2 * search.limit // len(due) + 1)
    queue = FairQueue[tuple[int, int]](before.tags, before.now)
    has_more = is_cut
    for account, word in due:
        values = {"domain": search.domain, "account_id": account, "class": word, "until": until}
        rows = list(connection.tuples(SQL["list_due_of_turn"], {**values, "settled": search.settled, "limit": most}))
        has_more = has_more or len(rows) >= most
        for number, due_at, size in rows:
            queue.put(account, MessageClass(word), cost_of(size), (due_at, number))
    has_more = has_more or len(queue) > search.limit
    found = [queue.take() for _ in range(min(search.limit, len(queue)))]
    return Choice(found, has_more, TurnsOfDomain(queue.now, queue.tags(), after))


def _find_places(connection: Connection, search: Search, after: Place, most: int) -> tuple[list[tuple[Place, int]], bool]:
    """Accounts and classes with their first due times, from a place on and round to it again, until some are due. True if others are left."""
    found: dict[Place, int] = {}
    place, is_round = after, after == _FIRST
    while True:
        values = {"domain": search.domain, "after_account": place[0], "after_class": place[1], "most": most}
        rows = list(connection.tuples(SQL["list_turns"], values))
        for account, word, due_at in rows:
            found[account, word] = due_at
        has_some = any(due_at <= search.moment for due_at in found.values())
        if len(rows) == most:
            place = rows[-1][0], rows[-1][1]
            if has_some:
                return list(found.items()), True
            if is_round and place >= after > _FIRST:
                return list(found.items()), False
        elif is_round:
            return list(found.items()), False
        else:
            place, is_round = _FIRST, True
