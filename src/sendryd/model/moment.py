"""The text form of timestamps in answers, logs and webhooks."""

from datetime import datetime


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
