"""A line of lanes that wait for a place: accounts and classes of mail take turns in it, however many lanes each of them has there."""

from collections import OrderedDict
from typing import Final

from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass

Turn = tuple[AccountId, MessageClass]  # whose mail a lane would send next
EVERYBODY: Final[Turn] = (AccountId(0), MessageClass.TRANSACTIONAL)


class Line:
    """Lanes by their keys. Each operation takes the same short time."""

    __slots__ = ("_lanes", "_turns")

    def __init__(self) -> None:
        self._turns: OrderedDict[Turn, OrderedDict[str, None]] = OrderedDict()
        self._lanes: dict[str, Turn] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def __repr__(self) -> str:
        return f"<Line of {len(self._lanes)} lanes, {len(self._turns)} turns>"

    def put(self, key: str, turn: Turn) -> None:
        """Puts a lane at the end of its turn, unless it is there."""
        if self._lanes.get(key) == turn:
            return
        self.remove(key)
        self._lanes[key] = turn
        self._turns.setdefault(turn, OrderedDict())[key] = None

    def remove(self, key: str) -> None:
        """Takes a lane out, if it is there."""
        turn = self._lanes.pop(key, None)
        if turn is not None:
            lanes = self._turns[turn]
            del lanes[key]
            if not lanes:
                del self._turns[turn]

    def take(self) -> str:
        """Takes out the lane that has waited longest of those whose turn it is."""
        turn, lanes = next(iter(self._turns.items()))
        key, _ = lanes.popitem(last=False)
        del self._lanes[key]
        if lanes:
            self._turns.move_to_end(turn)
        else:
            del self._turns[turn]
        return key
