"""When a delivery that was leased during a crash is tried again, and when it is held.

One of the leased deliveries may have caused the crash, by a bug that its content triggers. After one crash of a busy server nearly all leased
deliveries are innocent: they are tried again at once. Deliveries leased in several crashes in a row, without an outcome in between, wait longer after
each crash and run one after another, further apart each time: innocent ones get their outcome, which resets their count, before the cause crashes the
program again.
"""

from datetime import timedelta
from typing import Final

# After the first, second, … crash in a row: the pause, and the distance between deliveries with the same count. After one more crash they are held.
CRASH_PAUSES: Final = (
    (timedelta(0), timedelta(0)),
    (timedelta(seconds=10), timedelta(seconds=0.25)),  # an attempt at a quick server is over by then
    (timedelta(minutes=1), timedelta(seconds=5)),
    (timedelta(minutes=5), timedelta(seconds=30)),  # most attempts at slow servers are over by then
)
MAX_SPREAD: Final = timedelta(minutes=10)  # between the first and the last of them, so that a thousand innocent ones do not wait for hours


def pause_after_crash(crashes: int, place: int, count: int) -> timedelta | None:
    """How long a delivery waits that was leased in `crashes` crashes in a row; None: it is held until an operator releases it.

    It is number `place`, from 0, of `count` deliveries with the same number of crashes.
    """
    if crashes > len(CRASH_PAUSES):
        return None
    pause, distance = CRASH_PAUSES[max(crashes, 1) - 1]
    return pause + min(distance, MAX_SPREAD / max(count, 1)) * place


def crash_reason(crashes: int) -> str:
    """The reason for which a delivery is held after crashes."""
    return f"The program ended {crashes} times in a row while this delivery was under way"
