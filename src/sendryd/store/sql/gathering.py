"""How many operations the writer waits for before a commit. Pure.

A commit costs more than half a millisecond of processor time, whatever its size: two syncs and a page at the edge of each tree. With few clients
waiting gains nothing. With many, the writer waits until the batch is as large as the last one, and every `PAUSE` batches for one half
larger. If they do not arrive in time, the target shrinks to the size that did. The time limit is four times the last commit, long enough for all
clients of a busy processor to send their next message.
"""

from typing import Final

GATHER_FACTOR: Final = 4  # times the duration of the last commit
GATHER_TIME: Final = 0.012  # seconds at most since the end of the last commit: a slow processor accepts about twenty messages meanwhile
GATHER_OCTETS: Final = 256 * 1024  # of new content: writing more takes longer than the fixed cost of a commit
FEW: Final = 4  # operations; a smaller batch is committed without waiting
MANY: Final = 64  # operations; sharing a commit among more saves almost nothing
PAUSE: Final = 64  # batches between attempts with a larger target: a failed attempt costs GATHER_TIME


class Gathering:
    """The number of operations to wait for, adapted to the sizes of past batches."""

    __slots__ = ("_left", "target", "timeout")

    def __init__(self) -> None:
        self.target = 0  # operations to wait for
        self.timeout = 0.0  # seconds to wait for them at most
        self._left = 0  # batches until the next attempt with a larger target

    def note(self, size: int, *, did_time_out: bool) -> None:
        """Takes in a batch of `size` operations; `did_time_out`: fewer than the target arrived in time."""
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
        """Takes in the duration of the batch's commit."""
        self.timeout = min(GATHER_TIME, GATHER_FACTOR * seconds)
