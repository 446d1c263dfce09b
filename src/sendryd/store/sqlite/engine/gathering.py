"""How many operations are worth waiting for before a commit. Pure.

A commit costs more than half a millisecond of processor time, whatever is in it: two syncs and a page at the edge of each tree. Those who
wait for an answer are only so many, and while they are few nothing is gained by waiting for more. When they are many, the writer waits
until as many have come as came before, and now and then for half as many again. If these do not come in time it asks for fewer. The time is
four times what the last commit took, long enough for all clients of a busy processor to send their next message.
"""

from typing import Final

GATHER_FACTOR: Final = 4  # times the last commit
GATHER_TIME: Final = (
    0.012  # seconds at most, counted from the end of the commit before: a slow processor accepts some twenty messages in it
)
GATHER_OCTETS: Final = 256 * 1024  # of new content: with more than this, writing it takes longer than what a commit costs
FEW: Final = 4  # operations; with fewer in a batch nothing is waited for
MANY: Final = 64  # operations; sharing a commit among more saves next to nothing
PAUSE: Final = 64  # batches before more is asked for again: each time may cost GATHER_TIME for nothing


class Gathering:
    """What is waited for, learned from what came."""

    __slots__ = ("_left", "patience", "target")

    def __init__(self) -> None:
        self.target = 0  # operations to wait for
        self.patience = 0.0  # seconds to wait for them at most
        self._left = 0  # batches until more is asked for

    def note(self, size: int, *, did_time_out: bool) -> None:
        """A batch of so many operations has been taken; `did_time_out` says that the target was not reached in time."""
        if size < FEW:
            self.target = self._left = 0
        elif did_time_out:
            self.target, self._left = min(size, MANY), PAUSE
        elif self._left:
            self._left -= 1
            self.target = min(max(self.target, size), MANY)
        else:
            self.target = min(size + size // 2 + 1, MANY)

    def note_commit(self, seconds: float) -> None:
        """It has been committed in this time."""
        self.patience = min(GATHER_TIME, GATHER_FACTOR * seconds)
