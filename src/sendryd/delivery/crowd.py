"""How many claims wait in memory, and whose they are: no account and class of mail may have all the room.

Strategy: those with very many share the room evenly and leave as much again for others; one that has its share gets no more until some of its
claims have been started.
Limits: `MAX_WAITING` claims; the door hands over more to an account and class with few.
"""

from typing import Final

from sendryd.delivery.lines import Turn
from sendryd.store.base import Claim

MAX_WAITING: Final = 20_000  # claims in memory, waiting for a look-up or a place; 40 MB. The database keeps the others
MANY_WAITING: Final = 1_000  # claims; from here on each domain has few claimed at once, and those with a thousand share the room
FEW: Final = 100  # claims that the door hands over for anybody while there is no room


class Crowd:
    """The waiting claims, by account and class."""

    def __init__(self) -> None:
        self.total = 0
        self._of: dict[Turn, int] = {}

    def __repr__(self) -> str:
        return f"<Crowd of {self.total} claims, {len(self._of)} turns>"

    def note(self, claim: Claim, number: int) -> None:
        """One claim more (1), or one less (-1)."""
        self.total += number
        turn = claim.message.account_id, claim.priority
        left = self._of.get(turn, 0) + number
        if left:
            self._of[turn] = left
        else:
            del self._of[turn]

    def served(self) -> frozenset[Turn]:
        """Those that have their share."""
        if self.total < MANY_WAITING:
            return frozenset()
        many = {turn: number for turn, number in self._of.items() if number >= MANY_WAITING}
        share = MAX_WAITING // (len(many) + 1)
        return frozenset(turn for turn, number in many.items() if number >= share)

    def has_room(self, turn: Turn) -> bool:
        """Whether the door hands over one more."""
        if self.total >= MAX_WAITING:
            return self.total < 2 * MAX_WAITING and self._of.get(turn, 0) < FEW
        return turn not in self.served()
