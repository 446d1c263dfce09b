"""Words of the description that many operations share: its introduction, what stands in queries. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from sendryd.model.event import EventType
from sendryd.model.message import MessageStatus
from sendryd.model.suppression import SuppressionReason

STATUS_WORDS: Final = {status.value: status for status in MessageStatus} | {"sent": MessageStatus.DELIVERED}
EVENT_WORDS: Final = {event_type.value: event_type for event_type in EventType}

INTRODUCTION: Final = """\
Send emails and follow them. Requests and answers are JSON in UTF-8. Unknown fields of requests are ignored, and `null` means that a field is not
given. Paths may end with a slash. Times are ISO 8601 in UTC; rates are from 0 to 1.

**Keys.** Every request has the header `Authorization: Bearer <API key>`. A key with the scope `full_access` may do everything, one with
`sending_access` may send and read, one with `read_only` may read. Mail that a test key (`sn_test_…`) sends is checked and stored, but never leaves the
server; a test key changes nothing that live mail depends on. Webhooks and templates that a test key creates work for test mail only.

**Lists** have pages of at most `limit` items; the `next_cursor` of an answer is the `cursor` of the next request.

**Errors** have one shape: `error.code` is for programs, `error.message` says what to change, and `error.details.field` names the field. Repeat a request
that was refused with 429 or 503 after the seconds in `Retry-After`. Every answer has an `X-Request-Id`; the server's log has the details under it.
"""

QUERY_PARAMETERS: Final[Mapping[str, str]] = {  # by name, where the declaration says nothing
    "limit": "The maximum number of items in the answer.",
    "q": "Text to search for; case does not matter.",
    "include_total": "Count all matching items; otherwise `total` is null.",
    "status": "The status of the email.",
    "type": "The type of the event.",
    "reason": "The reason of the suppression.",
    "to": "A recipient's address.",
    "subject": "Part of the subject.",
    "timeout": "Seconds to wait before the next request.",
    "from_date": "The first moment, in ISO 8601.",
    "to_date": "The last moment, in ISO 8601; a date is included as a whole.",
    "email_id": "The id of an email.",
    "webhook_id": "The id of a webhook.",
    "list_id": "The name of a list.",
    "email": "An address.",
    "method": "An HTTP method.",
    "path": "Part of a path.",
    "status_code": "The HTTP status of the answer.",
    "component": "A component of this server, as `GET /v1/status` lists it.",
    "hours": "The number of hours to go back.",
    "format": "The format of the download.",
    "group_by": "How to group the figures.",
    "metric": "The rate to follow.",
    "granularity": "The length of one interval. Intervals begin in UTC, weeks on Monday.",
}
QUERY_WORDS: Final[Mapping[str, Iterable[str]]] = {  # what can be asked for, by name, where the declaration says nothing
    "status": STATUS_WORDS,
    "type": EVENT_WORDS,
    "reason": [reason.value for reason in SuppressionReason],
}
