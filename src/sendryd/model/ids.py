"""Identifiers: one 64-bit number inside, a prefixed text outside.

A number is 41 bits of milliseconds since 2024-01-01 UTC (until 2093), 10 bits of a node and 12 bits of a counter, so that it sorts by time, is an
integer primary key, and is made without the database (`runtime.idsource` makes them). The text is the prefix of the object
and 13 letters of Crockford's base 32 in lower case: `em_` for a message, `te_` for the same message seen in the Test Inbox.
"""

from typing import Final, NewType

AccountId = NewType("AccountId", int)
ApiKeyId = NewType("ApiKeyId", int)
DomainId = NewType("DomainId", int)
MessageId = NewType("MessageId", int)
DeliveryId = NewType("DeliveryId", int)
EventId = NewType("EventId", int)
TemplateId = NewType("TemplateId", int)
TemplateVersionId = NewType("TemplateVersionId", int)
WebhookId = NewType("WebhookId", int)
NotificationId = NewType("NotificationId", int)
SuppressionId = NewType("SuppressionId", int)
UnsubscribeId = NewType("UnsubscribeId", int)
ApiRequestId = NewType("ApiRequestId", int)
SmtpRefusalId = NewType("SmtpRefusalId", int)
ReportId = NewType("ReportId", int)
PersonId = NewType("PersonId", int)
MembershipId = NewType("MembershipId", int)
AuditId = NewType("AuditId", int)
DkimKeyId = NewType("DkimKeyId", int)
BulkJobId = NewType("BulkJobId", int)
InboundId = NewType("InboundId", int)
SavedViewId = NewType("SavedViewId", int)
DomainReportId = NewType("DomainReportId", int)

MESSAGE_PREFIX: Final = "em"
TEST_MESSAGE_PREFIX: Final = "te"
DELIVERY_PREFIX: Final = "dlv"
API_KEY_PREFIX: Final = "key"
DOMAIN_PREFIX: Final = "dom"
EVENT_PREFIX: Final = "evt"
TEMPLATE_PREFIX: Final = "tmpl"
TEMPLATE_VERSION_PREFIX: Final = "tmplv"
WEBHOOK_PREFIX: Final = "wh"
NOTIFICATION_PREFIX: Final = "whd"
SUPPRESSION_PREFIX: Final = "sup"  # only in cursors: a suppression is named by its address
UNSUBSCRIBE_PREFIX: Final = "unsub"
API_REQUEST_PREFIX: Final = "log"
SMTP_REFUSAL_PREFIX: Final = "ref"
ORGANIZATION_PREFIX: Final = "org"
REPORT_PREFIX: Final = "rep"
BIMI_PREFIX: Final = "bimi"
PERSON_PREFIX: Final = "usr"
MEMBERSHIP_PREFIX: Final = "mem"
AUDIT_PREFIX: Final = "aud"
BULK_JOB_PREFIX: Final = "bulk"
INBOUND_PREFIX: Final = "inb"
SAVED_VIEW_PREFIX: Final = "view"
DOMAIN_REPORT_PREFIX: Final = "drep"

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_LENGTH: Final = 13  # 65 bits hold a 63-bit number
_LIMIT: Final = 1 << 63  # identifiers are signed 64-bit integers in the databases, and never negative


def format_id(prefix: str, number: int) -> str:
    """The public text of an identifier, for example `em_0c2w5k9mzq4xg`."""
    pairs = _PAIRS
    return (
        f"{prefix}_{_ALPHABET[number >> 60]}{pairs[number >> 50 & 1023]}{pairs[number >> 40 & 1023]}"
        f"{pairs[number >> 30 & 1023]}{pairs[number >> 20 & 1023]}{pairs[number >> 10 & 1023]}{pairs[number & 1023]}"
    )


def parse_id(text: str, *prefixes: str) -> int | None:
    """The number in a public identifier that starts with one of the prefixes; None if it is not one."""
    prefix, separator, letters = text.partition("_")
    if not separator or prefix not in prefixes or len(letters) != _LENGTH:
        return None
    number = 0
    for letter in letters:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return number if number < _LIMIT else None
