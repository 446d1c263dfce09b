"""Scheduled reports as requests and answers have them. Pure."""

from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.addresses import Address
from sendryd.api.framework.bodies import Body
from sendryd.model import report as model
from sendryd.model.ids import REPORT_PREFIX, format_id
from sendryd.model.moment import timestamp

MAX_RECIPIENTS: Final = 10  # what the contract allows

Frequency = Literal["daily", "weekly", "monthly"]


class NewReport(Body):
    """A report to schedule."""

    frequency: Frequency
    recipients: Annotated[list[Address], Field(min_length=1, max_length=MAX_RECIPIENTS)]


class ScheduledReport(TypedDict):
    """A scheduled report."""

    id: str
    frequency: Frequency
    recipients: list[str]
    next_at: str
    created_at: str


def report_json(report: model.ScheduledReport) -> ScheduledReport:
    """A scheduled report."""
    return {
        "id": format_id(REPORT_PREFIX, report.id),
        "frequency": report.frequency.value,
        "recipients": list(report.recipients),
        "next_at": timestamp(report.due_at),
        "created_at": timestamp(report.created_at),
    }
