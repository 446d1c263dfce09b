"""Addresses of mail servers that took a connection, or an attempt at one, and said nothing until our patience was spent.

A silent address costs a third of what one attempt may wait in all. The first attempt for a message takes the hosts in the order that RFC 5321
§5.1 wants; a later one takes those last that were silent lately, so that within a few attempts every host of a domain is tried.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.target import Target
from sendryd.policy.replies.verdict import NetworkFailure

SILENT_TIME: Final = 24 * 3600.0  # seconds: longer than the longest pause between attempts. Being wrong costs no more than the order
MAX_ADDRESSES: Final = 10_000
_SILENCES: Final = frozenset({NetworkFailure.CONNECT_TIMEOUT, NetworkFailure.TIMEOUT})


class Silences:
    """What is remembered of addresses. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Silences {len(self._until)} addresses>"

    def note_fault(self, target: Target, fault: DeliveryFault, now: float) -> None:
        """No session could be had."""
        if fault.failure not in _SILENCES:
            return
        self._until[target.address] = now + SILENT_TIME
        self._until.move_to_end(target.address)
        if len(self._until) > MAX_ADDRESSES:
            self._until.popitem(last=False)

    def note_session(self, target: Target) -> None:
        """A session could be had."""
        self._until.pop(target.address, None)

    def put_last(self, targets: Sequence[Target], now: float) -> list[Target]:
        """The targets, those that were silent lately after the others, the one that was silent longest ago first."""
        return sorted(targets, key=lambda target: until if (until := self._until.get(target.address, 0.0)) > now else 0.0)
