"""What answers look like, as types: the description at `/openapi.json` is made of them, and tests hold every answer to them. Pure."""

from typing import Any, Literal, NotRequired, TypeVar

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


# Templates.


class Template(TypedDict):
    """A stored template."""

    id: str
    name: str
    subject: str | None
    html: str | None
    text: str | None
    engine: str
    variables: dict[str, Any] | None
    blocks: dict[str, Any] | None
    mode: NotRequired[Literal["test"]]  # of one that a test key made: live mail cannot use it
    created_at: str
    updated_at: str


class TemplateVersion(TypedDict):
    """A content that a template has or had."""

    id: str
    version: int
    subject: str | None
    created_at: str


class Rendered(TypedDict):
    """A template with its variables in place."""

    html: str
    text: str
    subject: NotRequired[str | None]


class Starter(TypedDict):
    """A template to begin with."""

    id: str
    name: str
    description: str
    subject: str
    html: str
    variables: list[str]
    engine: Literal["react"]


class VisualStarter(TypedDict):
    """A design to begin with."""

    id: str
    name: str
    description: str
    category: str


class WholeVisualStarter(VisualStarter):
    """A design to begin with, and the design."""

    design: dict[str, Any]


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
