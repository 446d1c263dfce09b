"""What answers look like, as types: the description at `/openapi.json` is made of them, and tests hold every answer to them. Pure."""

from typing import Literal, NotRequired, TypeVar

from typing_extensions import TypedDict

from sendryd.api.emails.schema import EmailStatus

Item = TypeVar("Item")


# Emails.

SendResult = TypedDict("SendResult", {"id": str, "from": str, "to": list[str], "subject": str, "status": EmailStatus, "created_at": str})


class IdAndStatus(TypedDict):
    """What became of one thing."""

    id: str
    status: str


class BatchError(TypedDict):
    """Why one of a batch was not taken."""

    index: int
    error: str


class BatchResult(TypedDict):
    """What became of a batch."""

    data: list[IdAndStatus]
    errors: NotRequired[list[BatchError]]


class Cancelled(TypedDict):
    """It will not be sent."""

    id: str
    status: Literal["cancelled"]


# Keys.


# Webhooks.


# Lists.


# Analytics and logs.
