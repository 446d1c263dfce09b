"""What the description says of operations beyond their declarations: examples, and answers that only the handlers know of. Pure.

Tests hold all of it to the truth: every remark is of an operation that there is, and every example is a body that the operation takes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sendryd.api.wire import EVENT_WORDS, STATUS_WORDS
from sendryd.model.ids import (
    API_KEY_PREFIX,
    DOMAIN_PREFIX,
    MESSAGE_PREFIX,
    NOTIFICATION_PREFIX,
    REPORT_PREFIX,
    TEMPLATE_PREFIX,
    TEMPLATE_VERSION_PREFIX,
    TEST_MESSAGE_PREFIX,
    UNSUBSCRIBE_PREFIX,
    WEBHOOK_PREFIX,
)
from sendryd.model.suppression import SuppressionReason

INTRODUCTION: Final = """\
Send mail, and see what became of it. Requests and answers are JSON in UTF-8. Unknown fields of requests are left aside, and `null` stands for a
field that is not given. All paths can be written with and without a slash at the end. Times are ISO 8601 in UTC; rates are from 0 to 1.

**Keys.** Every request has the header `Authorization: Bearer <API key>`. A key of the scope `full_access` may do everything, one of
`sending_access` may send and read, one of `read_only` may read. What a test key (`sn_test_…`) sends is checked and kept as always, but nothing
leaves the server; it changes nothing that live mail depends on. Webhooks and templates that a test key makes are for test mail alone.

**Lists** have pages: `limit` items at most, and `next_cursor` of an answer is the `cursor` of the next request.

**Errors** have one shape: `error.code` is for programs, `error.message` says what to change, `error.details.field` names the field. A request
that was refused with 429 or 503 can be made again after as many seconds as `Retry-After` says. Every answer has an `X-Request-Id`, under which the
server's log tells more.
"""

GROUPS: Final[Mapping[str, str]] = {
    "Emails": "Sending, at once or later, and what became of it.",
    "SMTP": "The other way in.",
    "Test Emails": "What test keys sent, as it would have arrived.",
    "Domains": "Where mail may be sent from, proved by DNS, and logos beside it.",
    "API Keys": "Who may do what.",
    "Webhooks": "Telling programs what happens.",
    "Templates": "Stored contents with variables.",
    "Suppression": "Addresses that get no mail.",
    "Unsubscribes": "Addresses that get no marketing.",
    "Analytics": "Figures and logs.",
    "Organizations": "The account of the key.",
    "Regions": "Kept for clients of hosted services: this server is the one region.",
    "Inbound": "Mail that comes in.",
    "System": "What runs here, and how it does.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """On one operation. Sentences are empty where the answer cannot occur."""

    example: Any = None  # a body
    conflict: str = ""  # when there is a 409
    missing: str = ""  # when there is a 404 though nothing in the path varies
    forbidden: str = ""  # when there is a 403 though the key has the scope
    is_checked: bool = False  # its path can be refused with a 422
    is_idempotent: bool = False  # takes an Idempotency-Key
    media: Mapping[str, str] | None = None  # types of an answer that is not JSON, with what it is


@dataclass(frozen=True, slots=True)
class PathParameter:
    """What stands in a path."""

    description: str
    example: str


def _id(what: str, prefix: str) -> PathParameter:
    return PathParameter(f"The id of {what}: `{prefix}_` and 13 letters and digits.", f"{prefix}_0c2w5k9mzq4xg")


PATH_PARAMETERS: Final[Mapping[str, PathParameter]] = {  # by the segment before
    "emails": _id("an email", MESSAGE_PREFIX),
    "attachments": PathParameter("The place of an attachment, from 0 on.", "0"),
    "test-emails": _id("a captured email", TEST_MESSAGE_PREFIX),
    "domains": _id("a domain", DOMAIN_PREFIX),
    "api-keys": _id("a key", API_KEY_PREFIX),
    "webhooks": _id("a webhook", WEBHOOK_PREFIX),
    "deliveries": _id("a notification", NOTIFICATION_PREFIX),
    "templates": _id("a template", TEMPLATE_PREFIX),
    "publish": _id("a version", TEMPLATE_VERSION_PREFIX),
    "visual-starters": PathParameter("The id of a design, as the list has it.", "newsletter"),
    "suppression": PathParameter("An address.", "user@example.org"),
    "unsubscribes": _id("an unsubscribe", UNSUBSCRIBE_PREFIX),
    "scheduled-reports": _id("a scheduled report", REPORT_PREFIX),
    "inbound": _id("a received email", "inb"),
}

QUERY_PARAMETERS: Final[Mapping[str, str]] = {  # by name, where the declaration says nothing
    "limit": "Items in an answer at most.",
    "q": "Text to look for, in any case of letters.",
    "include_total": "Count all that match; without it, `total` is null.",
    "status": "How far it has come.",
    "type": "What happened.",
    "reason": "Why it is on the list.",
    "to": "A recipient.",
    "subject": "Part of the subject.",
    "timeout": "Seconds to wait.",
    "from_date": "The first moment, in ISO 8601.",
    "to_date": "The last moment, in ISO 8601; a date is included as a whole.",
    "email_id": "The id of an email.",
    "webhook_id": "The id of a webhook.",
    "list_id": "The name of a list.",
    "email": "An address.",
    "method": "An HTTP method.",
    "path": "Part of a path.",
    "status_code": "The status that was answered.",
    "component": "A part of this server, as the status lists them.",
    "hours": "How far back.",
    "format": "What to get.",
    "group_by": "By what.",
    "metric": "Which rate.",
    "granularity": "The length of one stretch of time; all begin in UTC, weeks on Monday.",
}
QUERY_WORDS: Final[Mapping[str, Iterable[str]]] = {  # what can be asked for, by name, where the declaration says nothing
    "status": STATUS_WORDS,
    "type": EVENT_WORDS,
    "reason": [reason.value for reason in SuppressionReason],
}

_DOMAIN: Final = "The domain of `from` is not verified, and the key is a live one."
_TWINS: Final = "The `Idempotency-Key` was used for another request, or the same request is still being answered."
_DESIGN: Final = {"globalStyles": {}, "blocks": [{"id": "b1", "type": "text", "props": {"text": "Hello {{name}}"}}]}

REMARKS: Final[Mapping[str, Remark]] = {
    "POST /v1/emails": Remark(
        example={
            "from": "Acme <hello@example.com>",
            "to": ["Ann <ann@example.org>"],
            "subject": "Your order",
            "html": "<p>It is on its way.</p>",
            "text": "It is on its way.",
            "tags": [{"name": "kind", "value": "order"}],
        },
        conflict=_TWINS,
        forbidden=_DOMAIN,
        is_idempotent=True,
    ),
    "POST /v1/emails/batch": Remark(
        example={
            "from": "hello@example.com",
            "subject": "Your order",
            "emails": [{"to": "ann@example.org", "text": "It is on its way."}, {"to": "bob@example.org", "text": "It is packed."}],
        },
        conflict=_TWINS,
        forbidden=_DOMAIN,
        is_idempotent=True,
    ),
    "POST /v1/emails/marketing": Remark(
        example={
            "from": "Acme <news@example.com>",
            "to": "ann@example.org",
            "subject": "This month",
            "html": "<p>What is new.</p>",
            "unsubscribe_url": "https://example.com/unsubscribe",
            "list_id": "monthly",
        },
        conflict=_TWINS,
        forbidden=_DOMAIN,
        is_idempotent=True,
    ),
    "PATCH /v1/emails/{id}": Remark(
        example={"subject": "A better subject", "scheduled_at": "tomorrow at 9am"},
        conflict="The email is not scheduled, or has begun to be sent.",
        forbidden=_DOMAIN,
    ),
    "POST /v1/emails/{id}/cancel": Remark(conflict="The email has begun to be sent."),
    "GET /v1/emails/{id}/attachments/{index}": Remark(is_checked=True, media={"*/*": "The file, in the type that the message names."}),
    "GET /v1/test-emails/wait": Remark(missing="No such email came in time."),
    "POST /v1/domains": Remark(example={"name": "example.com"}, conflict="The domain is there already; `details.id` names it."),
    "PATCH /v1/domains/{id}": Remark(example={"tracking": {"opens": True, "clicks": False}, "tls_policy": "enforced"}),
    "PATCH /v1/domains/{id}/region": Remark(example={"region": "eu-west-1"}),
    "POST /v1/domains/{id}/bimi": Remark(example={"logo_url": "https://example.com/logo.svg"}),
    "POST /v1/api-keys": Remark(
        example={"name": "shop", "scope": "sending_access", "mode": "live"}, forbidden="A test key can make no live key."
    ),
    "POST /v1/webhooks": Remark(example={"url": "https://example.com/hooks", "events": ["email.delivered", "email.bounced"]}),
    "PUT /v1/webhooks/{id}": Remark(example={"events": ["email.bounced"], "active": True}),
    "POST /v1/webhooks/deliveries/{id}/replay": Remark(conflict="The webhook is off."),
    "POST /v1/webhooks/{id}/test": Remark(conflict="The webhook is off."),
    "POST /v1/webhooks/{id}/replay": Remark(
        example={"from": "2026-05-01", "to": "2026-05-31", "failed_only": True}, conflict="The webhook is off."
    ),
    "POST /v1/templates": Remark(
        example={
            "name": "Welcome",
            "subject": "Welcome, {{name}}",
            "html": "<p>Hello {{name}}</p>",
            "variables": {"name": {"type": "string", "required": True}},
        }
    ),
    "PUT /v1/templates/{id}": Remark(example={"html": "<p>Good day, {{name}}</p>"}),
    "POST /v1/templates/{id}/render": Remark(example={"variables": {"name": "Ann"}}),
    "POST /v1/templates/render": Remark(example={"html": "<p>Hello {{name}}</p>", "variables": {"name": "Ann"}}),
    "POST /v1/templates/compile-blocks": Remark(example={"design": _DESIGN, "variables": {"name": "Ann"}}),
    "POST /v1/suppression": Remark(example={"email": "user@example.org", "reason": "manual"}),
    "POST /v1/suppression/import": Remark(example={"emails": ["a@example.org", "b@example.org"], "reason": "complaint"}),
    "GET /v1/suppression/export": Remark(media={"text/csv": "The list, with a line of column names."}),
    "POST /v1/unsubscribes": Remark(example={"email": "user@example.org", "list_id": "monthly"}),
    "POST /v1/unsubscribes/batch": Remark(example={"emails": ["a@example.org", "b@example.org"]}),
    "POST /v1/analytics/benchmarks/opt-in": Remark(example={"opt_in": False}),
    "GET /v1/analytics/export": Remark(media={"text/csv": "The series as a file, to who accepts `text/csv` alone."}),
    "POST /v1/analytics/scheduled-reports": Remark(
        example={"frequency": "weekly", "recipients": ["boss@example.com"]}, conflict="There are as many reports as an account can have."
    ),
    "PATCH /v1/organizations/me": Remark(example={"name": "Acme"}),
    "PATCH /v1/organizations/me/branding": Remark(example={"brand_color": "#3355ff", "unsubscribe_heading": "Leaving so soon?"}),
    "PATCH /v1/organizations/me/region": Remark(example={"default_region": "eu-west-1", "data_residency": "eu"}),
    "PUT /v1/inbound/config": Remark(example={"url": "https://example.com/inbound"}),
    "GET /v1/status/latency": Remark(missing="There is no such part."),
}
