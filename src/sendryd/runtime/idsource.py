"""Makes identifiers: time-ordered 64-bit numbers, as `model.ids` describes them."""

from datetime import UTC, datetime
from typing import Final

from sendryd.runtime.clock import Clock, milliseconds
from sendryd.runtime.rand import Rand

_EPOCH_MS: Final = milliseconds(datetime(2024, 1, 1, tzinfo=UTC))
_NODE_BITS: Final = 10
_COUNTER_BITS: Final = 12


class IdSource:
    """Numbers that only grow within a process, also when the clock goes back. Not thread-safe.

    The node number is random for each process. Two processes with the same node, millisecond and counter make the same id; the store reports
    it as `Conflict`.
    """

    __slots__ = ("_clock", "_counter", "_millisecond", "_node")

    def __init__(self, clock: Clock, rand: Rand) -> None:
        self._clock = clock
        self._node = (rand.token() & (1 << _NODE_BITS) - 1) << _COUNTER_BITS
        self._millisecond = 0
        self._counter = 0

    def next(self) -> int:
        """An identifier greater than every one made before."""
        millisecond = self._clock.unix_ms() - _EPOCH_MS
        if millisecond > self._millisecond:
            self._millisecond = millisecond
            self._counter = 0
        else:
            self._counter += 1
            if self._counter >> _COUNTER_BITS:
                self._millisecond += 1
                self._counter = 0
        return self._millisecond << (_NODE_BITS + _COUNTER_BITS) | self._node | self._counter
