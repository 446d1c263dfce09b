"""Leases: which worker may work on a delivery or notification, and which process the worker belongs to.

A lease ends when its owner records an outcome, releases it, or is known to be dead. It never ends by the clock: a process that was stopped for an
hour, on a machine that slept or whose clock was set, still holds its leases and records the true outcome.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sendryd.model.ids import DeliveryId, MessageId
from sendryd.valuetype import valuetype


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One run of the program on one node."""

    node: str  # the node's name, the same after a restart
    boot: int  # random, 63 bits, new at each start


@valuetype(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on deliveries or notifications. Token and owner together fence: a worker with another pair has lost it."""

    token: int  # random, 63 bits
    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedDelivery:
    """A delivery that a dead process had leased."""

    id: DeliveryId
    message_id: MessageId
    crashes: int  # consecutive ends of the program while the delivery was leased
    due_at: datetime | None  # None: it is held


class CrashPause(Protocol):
    """Decides when a delivery that was leased when the program ended is tried again."""

    def __call__(self, crashes: int, place: int, count: int) -> timedelta | None:
        """The pause after `crashes` consecutive crashes, for delivery number `place` (from 0) of the `count` deliveries with that crash count;
        None: hold it.
        """
        ...


def plan_returns(deliveries: Iterable[tuple[int, int, int]], now: datetime, pause: CrashPause) -> list[ReturnedDelivery]:
    """When the deliveries of a dead process are tried again. Each is given as its id, its message and its crash count before this crash."""
    found = [(DeliveryId(number), MessageId(message), crashes + 1) for number, message, crashes in deliveries]
    counts, places = Counter(crashes for *_, crashes in found), Counter[int]()
    returned = []
    for number, message, crashes in found:
        wait = pause(crashes, places[crashes], counts[crashes])
        places[crashes] += 1
        due_at = None if wait is None else now + wait
        returned.append(ReturnedDelivery(id=number, message_id=message, crashes=crashes, due_at=due_at))
    return returned
