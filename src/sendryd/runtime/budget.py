"""How much content all clients of a door together may hold in memory."""

from typing import Final

DEFAULT_BUDGET: Final = 192 * 1024 * 1024  # octets: four messages of the largest size at once, or thousands of usual ones


class ContentBudget:
    """A pool of octets. Who receives takes as content arrives, and gives back when it is stored or dropped."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int = DEFAULT_BUDGET) -> None:
        self.limit = limit
        self.taken = 0

    def __repr__(self) -> str:
        return f"<ContentBudget {self.taken} of {self.limit} octets taken>"

    def take(self, octets: int) -> bool:
        """Takes so many octets; False, and nothing taken, if that is more than are left."""
        if self.taken + octets > self.limit:
            return False
        self.taken += octets
        return True

    def give_back(self, octets: int) -> None:
        """Returns octets that were taken."""
        self.taken -= octets
