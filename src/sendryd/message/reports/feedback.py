"""Complaints: feedback reports (RFC 5965), and the messages that some providers send in their place."""

import re
from collections.abc import Sequence
from typing import Final

from sendryd.message.reports.fields import Group
from sendryd.message.reports.report import Report, ReportKind

ABUSE: Final = "abuse"
_NAMING: Final = ("original-mail-from", "original-rcpt-to", "removal-recipient", "original-envelope-id")
_SUBJECT: Final = re.compile(
    r"(?:fw: )?complaint about message from |(?:email )?abuse report(?::|$)|feedback loop (?:report|complaint)", re.IGNORECASE
)


def read_feedback(groups: Sequence[Group], returned: str) -> Report:
    """The complaint in a feedback-report part."""
    fields = {name: value for group in reversed(groups) for name, value in group.items()}
    named = " ".join(fields.get(name, "") for name in _NAMING)
    return Report(
        kind=ReportKind.COMPLAINT,
        feedback_type=fields.get("feedback-type", ABUSE).strip().lower() or ABUSE,
        envelope_id=fields.get("original-envelope-id", ""),
        reporting_mta=fields.get("reporting-mta", ""),
        returned=f"{returned}\n{named}",
    )


def is_forwarded_complaint(subject: str, returned: str) -> bool:
    """Whether a message that is no feedback report forwards one that its recipient complained about."""
    return bool(returned) and _SUBJECT.match(subject) is not None
