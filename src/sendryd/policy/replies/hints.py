"""Hints of time in a receiver's reply: when it wants to be asked again. Pure."""

import re
from datetime import timedelta
from typing import Final

SHORTEST: Final = timedelta(seconds=5)
LONGEST: Final = timedelta(hours=1)  # a hint is a receiver's wish, and may be a mistake
_HINT: Final = re.compile(
    r"(?:again|retry|retried|wait|resubmit|resend|back|see you|come back|later)\b[^.;\n]{0,40}?\b(?:in|after|for|at least)?\s*"
    r"(\d{1,6})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b",
    re.IGNORECASE,
)
_UNITS: Final = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}


def retry_hint(reply: str) -> timedelta | None:
    """How long a reply asks to wait, within bounds; None: it does not say.

    >>> retry_hint("450 4.7.1 Slow down, try again in 300 seconds"), retry_hint("450 4.2.0 Greylisted, please retry after 10 min")
    (datetime.timedelta(seconds=300), datetime.timedelta(seconds=600))
    """
    found = _HINT.search(reply)
    if found is None:
        return None
    return min(max(int(found[1]) * _UNITS[found[2][0].lower()], SHORTEST), LONGEST)
