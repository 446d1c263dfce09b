"""When a delivery is tried again that was leased when the program was killed, and when it is held.

One of the leased deliveries may be what ends the program, by a bug that its content meets. All of them are suspects, and after a kill of
a busy relay nearly all are innocent: they are tried again at once. Those that were leased at several ends of the program in a row, without an
outcome in between, wait for longer each time and come one after the other, further and further apart: the innocent ones get their outcome,
which sets their count to zero, before the guilty one ends the program again.
"""

from datetime import timedelta
from typing import Final

# After the first, second, … crash in a row: the pause, and the distance between deliveries with as many crashes. After one more they are held.
CRASH_PAUSES: Final = (
    (timedelta(0), timedelta(0)),
    (timedelta(seconds=10), timedelta(seconds=0.25)),  # an attempt at a quick server is over by then
    (timedelta(minutes=1), timedelta(seconds=5)),
    (timedelta(minutes=5), timedelta(seconds=30)),  # most attempts at slow servers are over by then
)
MAX_SPREAD: Final = timedelta(minutes=10)  # between the first and the last of them: a thousand innocent ones need not wait for hours


def pause_after_crash(crashes: int, place: int, count: int) -> timedelta | None:
    """How long a delivery waits that was leased at so many ends of the program in a row; None: it is held until an operator releases it.

    It is number `place`, from 0, of `count` deliveries with as many crashes.
    """
    if crashes > len(CRASH_PAUSES):
        return None
    pause, distance = CRASH_PAUSES[max(crashes, 1) - 1]
    return pause + min(distance, MAX_SPREAD / max(count, 1)) * place


def crash_reason(crashes: int) -> str:
    """Why a delivery is held after so many crashes."""
    return f"The program ended {crashes} times in a row while this delivery was under way"
