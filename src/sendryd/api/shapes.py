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


# Organisation, regions, inbound, system.


class Organization(TypedDict):
    """An account."""

    id: str
    name: str
    plan: str
    createdAt: str
    created_at: str


class Branding(TypedDict):
    """How the pages look that recipients see."""

    brand_color: str
    brand_logo: str | None
    unsubscribe_heading: str | None
    unsubscribe_message: str | None
    unsubscribe_redirect_url: str | None
    unsubscribe_copy: str | None
    footer_copy: str | None


class OrganizationRegion(TypedDict):
    """What an account prefers."""

    default_region: str | None
    data_residency: str


class InboundAttachment(TypedDict):
    """An attachment of mail that came in."""

    filename: str
    contentType: str
    size: int
    contentId: NotRequired[str]


InboundEmail = TypedDict(
    "InboundEmail",
    {
        "id": str,
        "from": str,
        "to": list[str],
        "cc": list[str],
        "subject": str | None,
        "text": str | None,
        "html": str | None,
        "headers": dict[str, str] | None,
        "attachments": list[InboundAttachment],
        "webhook_delivered": bool,
        "created_at": str,
    },
)


class InboundConfig(TypedDict):
    """Where mail that comes in is posted."""

    inbound_address: str | None
    url: str | None
    secret: str | None
