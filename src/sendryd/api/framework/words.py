"""Words of the description that many operations share: its introduction, what stands in queries. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from sendryd.model.event import EventType
from sendryd.model.message import MessageStatus
from sendryd.model.suppression import SuppressionReason

STATUS_WORDS: Final = {status.value: status for status in MessageStatus} | {"sent": MessageStatus.DELIVERED}
EVENT_WORDS: Final = {event_type.value: event_type for event_type in EventType}

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
