"""Fairness: whose message goes next where more wait than can go at once. Pure.

Accounts take turns, however much each of them has waiting, and in an account the classes: one-time passwords, other transactional mail and bulk mail
get 8, 3 and 1 parts of its turns. What a message costs grows with its size.

The turns are those of deficit round robin, counted by start-time fair queueing (Goyal, Vin, Cheng 1996): a queue's next message starts where its
last one ended, and the earliest start goes first. An account that has just come starts at once, and a 40 MiB message needs no rounds of waiting in
which deficits add up.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, Generic, TypeVar

from sendryd.model.message import MessageClass

Item = TypeVar("Item")

WEIGHTS: Final[Mapping[MessageClass, int]] = {MessageClass.OTP: 8, MessageClass.TRANSACTIONAL: 3, MessageClass.BULK: 1}
COST_SIZE: Final = 64 * 1024  # octets that cost as much as the transaction itself
_PLACES: Final = {priority: place for place, priority in enumerate(WEIGHTS)}
_SHARES: Final = tuple(1 / weight for weight in WEIGHTS.values())
_START: Final = (0.0,) * len(WEIGHTS)


def cost_of(size: int) -> float:
    """What a message of this many octets costs.

    >>> cost_of(0), cost_of(128 * 1024)
    (1.0, 3.0)
    """
    return 1.0 + size / COST_SIZE


@dataclass(slots=True)
class Tally(Generic[Item]):
    """One account: the turns of its queue and of its classes, and its items."""

    account: int
    start: float  # of its next message
    now: float = 0.0  # start of its last message, among its classes
    starts: list[float] = field(default_factory=lambda: list(_START))  # of the next message of each class
    queues: list[deque[tuple[float, Item]] | None] = field(default_factory=lambda: [None] * len(WEIGHTS))  # None: no item came yet
    waiting: int = 0

    def put(self, place: int, cost: float, item: Item) -> None:
        """Adds an item at the end of its class."""
        queue = self.queues[place]
        if not queue:
            self.starts[place] = max(self.starts[place], self.now)
            if queue is None:
                queue = self.queues[place] = deque()
        queue.append((cost, item))
        self.waiting += 1

    def choose(self) -> int:
        """The class whose turn it is; of two with the same start the more urgent one."""
        chosen, earliest = -1, 0.0
        for place, queue in enumerate(self.queues):
            if queue and (chosen < 0 or self.starts[place] < earliest):
                chosen, earliest = place, self.starts[place]
        return chosen

    def queue(self, place: int) -> deque[tuple[float, Item]]:
        """The items of one class."""
        return self.queues[place] or deque()

    def take(self) -> tuple[float, Item]:
        """Takes the next item out, with its cost."""
        place = self.choose()
        cost, item = self.queue(place).popleft()
        self.now = self.starts[place]
        self.starts[place] += cost * _SHARES[place]
        self.waiting -= 1
        return cost, item


Tags = Mapping[int, tuple[float, tuple[float, ...], float]]  # by account: start, starts of its classes, start of its last message


class FairQueue(Generic[Item]):
    """Items that wait, and the order in which they are taken: about a microsecond for each.

    The only item of an empty queue that owes no account a turn stays beside the tallies until a second one comes. So does nearly every message while its
    next hop keeps up.
    """

    __slots__ = ("_alone", "_heap", "_now", "_tallies", "waiting")

    def __init__(self, tags: Tags | None = None, now: float = 0.0) -> None:
        """`tags` and `now`: those of an earlier queue, whose turns go on."""
        self.waiting = 0
        self._now = now  # start of the last item
        self._tallies: dict[int, Tally[Item]] = {}
        self._heap: list[tuple[float, int, Tally[Item]]] = []  # accounts with items; the earliest start first
        self._alone: tuple[int, MessageClass, float, Item] | None = None  # the only item: account, class, cost
        for account, (start, starts, last) in (tags or {}).items():
            self._tallies[account] = Tally(account, start, last, list(starts))

    def __len__(self) -> int:
        return self.waiting

    def __repr__(self) -> str:
        return f"<FairQueue {self.waiting} of {self.accounts} accounts>"

    @property
    def now(self) -> float:
        """Start of the last item that was taken."""
        return self._now

    @property
    def accounts(self) -> int:
        """Accounts with items that wait."""
        return len(self._heap) if self._alone is None else 1

    def waiting_of(self, account: int, priority: MessageClass) -> int:
        """Items of one class of an account."""
        self._line_up()
        tally = self._tallies.get(account)
        return len(tally.queue(_PLACES[priority])) if tally is not None else 0

    def turns(self) -> dict[tuple[int, MessageClass], int]:
        """Items of each class of each account that has some."""
        if self._alone is not None:
            return {self._alone[:2]: 1}
        return {
            (account, priority): len(queue)
            for _, account, tally in self._heap
            for priority, queue in zip(WEIGHTS, tally.queues, strict=True)
            if queue
        }

    def put(self, account: int, priority: MessageClass, cost: float, item: Item) -> None:
        """Adds an item."""
        if not self.waiting and not self._tallies:
            self._alone = account, priority, cost, item
            self.waiting = 1
            return
        self._line_up()
        self._put(account, priority, cost, item)

    def _line_up(self) -> None:
        """Gives the only item its tally."""
        if self._alone is not None:
            alone, self._alone, self.waiting = self._alone, None, 0
            self._put(*alone)

    def _put(self, account: int, priority: MessageClass, cost: float, item: Item) -> None:
        tally = self._tallies.get(account)
        if tally is None:
            tally = self._tallies[account] = Tally(account, self._now)
        if not tally.waiting:
            tally.start = max(tally.start, self._now)
            heappush(self._heap, (tally.start, account, tally))
        tally.put(_PLACES[priority], cost, item)
        self.waiting += 1

    def peek(self) -> Item:
        """The item that `take` would take."""
        if self._alone is not None:
            return self._alone[3]
        tally = self._heap[0][2]
        return tally.queue(tally.choose())[0][1]

    def take(self) -> Item:
        """Takes the item out whose turn it is."""
        if self._alone is not None:
            item, self._alone, self.waiting = self._alone[3], None, 0
            return item
        start, account, tally = self._heap[0]
        cost, item = tally.take()
        self._now = start
        tally.start = start + cost
        self.waiting -= 1
        if tally.waiting:
            heapreplace(self._heap, (tally.start, account, tally))
        else:
            heappop(self._heap)
            if not self.waiting or len(self._tallies) > 2 * len(self._heap) + 16:
                self._forget()
        return item

    def take_last(self) -> Item:
        """Takes the item out that may wait longest: of the account with the most items, of its least urgent class, the last."""
        self._line_up()
        tally = max(self._tallies.values(), key=lambda each: each.waiting)
        _, item = next(filter(None, reversed(tally.queues))).pop()
        tally.waiting -= 1
        self.waiting -= 1
        if not tally.waiting:
            self._heap = [each for each in self._heap if each[2] is not tally]
            heapify(self._heap)
        return item

    def take_all(self, is_wanted: Callable[[Item], bool]) -> list[Item]:
        """Takes out the items that are wanted; the others keep their order."""
        self._line_up()
        taken: list[Item] = []
        for tally in self._tallies.values():
            for queue in filter(None, tally.queues):
                found = [each for each in queue if is_wanted(each[1])]
                if found:
                    kept = [each for each in queue if not is_wanted(each[1])]
                    queue.clear()
                    queue.extend(kept)
                    tally.waiting -= len(found)
                    taken += [item for _, item in found]
        self.waiting -= len(taken)
        self._heap = [(tally.start, account, tally) for account, tally in self._tallies.items() if tally.waiting]
        heapify(self._heap)
        return taken

    def items(self) -> Iterable[Item]:
        """All that wait, in no order."""
        self._line_up()
        return (item for tally in self._tallies.values() for queue in filter(None, tally.queues) for _, item in queue)

    def tags(self) -> dict[int, tuple[float, tuple[float, ...], float]]:
        """The accounts whose turn comes after others', for a later queue."""
        self._line_up()
        return {
            account: (tally.start, tuple(tally.starts), tally.now)
            for account, tally in self._tallies.items()
            if tally.start > self._now or tally.waiting
        }

    def _forget(self) -> None:
        """Drops accounts that would start at once, as new ones do. An empty queue owes nothing to any."""
        now = self._now
        gone = [account for account, tally in self._tallies.items() if not tally.waiting and (tally.start <= now or not self.waiting)]
        for account in gone:
            del self._tallies[account]
