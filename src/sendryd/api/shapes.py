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


class SmtpAuth(TypedDict):
    """How to log in."""

    username: str
    password: str


class SmtpInfo(TypedDict):
    """Where to submit over SMTP."""

    host: str
    port: int
    tls: bool
    auth: SmtpAuth


TestEmail = TypedDict("TestEmail", {"id": str, "from": str, "to": list[str], "subject": str, "message_type": str, "created_at": str})


class SizedAttachment(TypedDict):
    """An attachment with its size in octets."""

    filename: str
    content_type: str
    size: int


WholeTestEmail = TypedDict(
    "WholeTestEmail",
    {
        "id": str,
        "from": str,
        "to": list[str],
        "subject": str,
        "message_type": str,
        "created_at": str,
        "cc": list[str] | None,
        "html": str | None,
        "text": str | None,
        "headers": dict[str, str],
        "attachments": list[SizedAttachment],
    },
)

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


class Version(TypedDict):
    """What runs here."""

    version: str
    api_version: str


class Change(TypedDict):
    """One change."""

    type: str
    description: str


class ChangelogEntry(TypedDict):
    """The changes of one version."""

    version: str
    date: str
    changes: list[Change]


class Changelog(TypedDict):
    """What changed."""

    entries: list[ChangelogEntry]


class Component(TypedDict):
    """A part of this server and how it does."""

    id: str
    name: str
    description: str | None
    group: str | None
    slug: str
    status: str
    uptime_90d: float
    sla_target: float
    sla_met: bool
    current_response_time_ms: float | None


class IncidentUpdate(TypedDict):
    """What was said of an incident."""

    id: str
    status: str
    message: str
    created_at: str


class AffectedComponent(TypedDict):
    """A part that an incident is about."""

    id: str
    name: str
    slug: str


class Incident(TypedDict):
    """Something that went wrong for a time."""

    id: str
    title: str
    status: str
    impact: str
    starts_at: str | None
    ends_at: str | None
    resolved_at: str | None
    created_at: str
    updated_at: str
    updates: list[IncidentUpdate]
    affected_components: list[AffectedComponent]


class SlaSummary(TypedDict):
    """How much of the time it was up."""

    target: float
    current_uptime: float
    sla_met: bool


class Status(TypedDict):
    """How this server does."""

    status: str
    last_checked_at: str | None
    components: list[Component]
    active_incidents: list[Incident]
    sla_summary: SlaSummary


class LatencyHour(TypedDict):
    """Latency in one hour."""

    hour: str
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    sample_count: int
    target_met_pct: float


class Latency(TypedDict):
    """How long requests take."""

    component: str
    target_ms: float
    current_p50_ms: float | None
    target_met: bool
    hourly: list[LatencyHour]


class Plans(TypedDict):
    """What can be had: everything, without limits."""

    plans: list[dict[str, Any]]
