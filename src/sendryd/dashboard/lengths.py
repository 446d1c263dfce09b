"""How long a change holds that a person makes for a time."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

LENGTHS: Final[Mapping[str, timedelta | None]] = {
    "": None,
    "hour": timedelta(hours=1),
    "4hours": timedelta(hours=4),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}  # by the value of the form; None: until somebody ends it
