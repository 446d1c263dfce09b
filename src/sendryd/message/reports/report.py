"""What a report says: its kind, and what it says of each recipient. Pure values, made of JSON types, so that a fence can hand them over."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

MAX_RECIPIENTS: Final = 50  # of one report that are read: a return path names one delivery, and lists expand to some dozens
MAX_TEXT: Final = 1_000  # characters of one value that are kept: longer than any reply of a server


class ReportKind(StrEnum):
    """What a message that came back is."""

    STATUS = "status"  # a delivery status notification (RFC 3464), or a text that says the same
    COMPLAINT = "complaint"  # a feedback report (RFC 5965)
    AUTO_REPLY = "auto_reply"  # RFC 3834: an absence, a receipt, a ticket number
    OTHER = "other"


class Action(StrEnum):
    """What became of the mail for a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientStatus:
    """What a report says of one recipient. What it does not say is empty."""

    action: Action
    status: str = ""  # RFC 3463
    diagnostic: str = ""  # what the last server said, on one line
    final_recipient: str = ""
    original_recipient: str = ""
    remote_mta: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report."""

    kind: ReportKind
    recipients: tuple[RecipientStatus, ...] = ()  # of a STATUS: at least one
    is_text: bool = False  # written for people: which addresses in it are recipients is a guess
    envelope_id: str = ""  # RFC 3464 §2.2.1
    reporting_mta: str = ""
    feedback_type: str = ""  # of a COMPLAINT, lower case: RFC 5965 §7.3
    returned: str = ""  # the header of the message that the report is about, and the addresses that the report names; empty if it has none

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The report that a fence has made."""
        recipients = tuple(RecipientStatus(**{**each, "action": Action(each["action"])}) for each in value["recipients"])
        return cls(**{**value, "kind": ReportKind(value["kind"]), "recipients": recipients})
