"""The Retry-After field of an HTTP answer (RFC 9110 §10.2.3): seconds, or a date. Read whatever a stranger writes into it."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER: Final = timedelta(hours=1)  # what an endpoint may ask for; longer is more likely a mistake than a wish
MAX_LENGTH: Final = 64  # characters of a date: the longest form has 33
MAX_DIGITS: Final = 9  # of a number of seconds: 30 years, more than is ever granted


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """The time that a receiver asks for, an hour at the most; None for a time that has passed and for a value that cannot be read."""
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
        except (ValueError, TypeError, ArithmeticError, LookupError):  # email.utils documents one of them, and has raised each
            return None
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta(0) else None
