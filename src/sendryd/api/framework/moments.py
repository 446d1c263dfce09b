"""Dates and times in queries: ISO 8601; without a zone they are UTC. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator

_DATE: Final = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", re.ASCII)
_LOST_PLUS: Final = re.compile(r"(:[0-9.]+) ([0-9]{2}(?::?[0-9]{2})?)\Z", re.ASCII)
_SENTENCE: Final = "write a date or time in ISO 8601, as 2026-05-31 or 2026-05-31T14:22:01Z"


def read_moment(text: str, *, is_end: bool = False) -> datetime:
    """A date or time. A date alone is its beginning, or its end. Raises `ValueError`."""
    try:
        # A plus sign that a client did not encode has become a space.
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if is_end and _DATE.fullmatch(text):
            moment += timedelta(days=1, milliseconds=-1)
    except (ValueError, OverflowError):
        raise ValueError(_SENTENCE) from None
    return moment


def _start(value: object) -> object:
    return read_moment(value) if isinstance(value, str) else value


def _end(value: object) -> object:
    return read_moment(value, is_end=True) if isinstance(value, str) else value


StartMoment = Annotated[datetime, BeforeValidator(_start)]
EndMoment = Annotated[datetime, BeforeValidator(_end)]
