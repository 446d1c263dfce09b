"""The Retry-After field of an HTTP answer (RFC 9110 §10.2.3): seconds, or a date. Reads any value without raising."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER: Final = timedelta(hours=1)  # longer values are capped: they are probably mistakes
MAX_LENGTH: Final = 64  # characters of a date: the longest form has 33
MAX_DIGITS: Final = 9  # digits of a number of seconds: 30 years, above every cap


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """The requested delay, an hour at most; None for a past date and for an invalid value."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        digits = value.lstrip("0")
        wait = MAX_RETRY_AFTER if len(digits) > MAX_DIGITS else timedelta(seconds=int(digits or "0"))
    elif len(value) > MAX_LENGTH:
        return None
    else:
        try:
            moment = parsedate_to_datetime(value)
            wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
        except (ValueError, TypeError, ArithmeticError, LookupError):  # email.utils documents one of them, and raises each
            return None
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta(0) else None
