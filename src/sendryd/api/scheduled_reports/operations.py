"""Reports that are sent by mail, again and again."""

from typing import Final

from sendryd.accounts.scheduled_reports import ScheduledReports
from sendryd.api.analytics.operations import GROUP
from sendryd.api.framework.answers import Deleted, Whole
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.scheduled_reports.schema import NewReport, ScheduledReport, report_json
from sendryd.model.ids import REPORT_PREFIX, ReportId
from sendryd.model.report import ReportFrequency

PATH: Final = "/v1/analytics/scheduled-reports"


class ReportHandlers:
    """The operations on scheduled reports."""

    def __init__(self, reports: ScheduledReports) -> None:
        self._reports = reports

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/analytics/scheduled-reports", self.list, is_logged=False),
            Operation(
                GROUP,
                "POST /v1/analytics/scheduled-reports",
                self.add,
                is_live_only=True,
                is_logged=False,
                example={"frequency": "weekly", "recipients": ["boss@example.com"]},
                conflict="The account has the maximum of 50 reports.",
            ),
            Operation(GROUP, "DELETE /v1/analytics/scheduled-reports/{id}", self.remove, is_live_only=True, is_logged=False),
        ]

    async def list(self, call: Call[None, None]) -> Whole[ScheduledReport]:
        """List scheduled reports, newest first.

        The list is not paged: an account has at most 50 reports.
        """
        return {"data": [report_json(each) for each in await self._reports.list_all(call.key.account_id)]}

    async def add(self, call: Call[NewReport, None]) -> ScheduledReport:
        """Schedule a daily, weekly or monthly report by email.

        The report comes from `reports@` the account's oldest verified domain. A repeated recipient gets one copy.
        """
        body = call.body
        return report_json(await self._reports.add(call.key.account_id, ReportFrequency(body.frequency), body.recipients))

    async def remove(self, call: Call[None, None]) -> Deleted:
        """Remove a scheduled report.

        The recipients get no further reports.
        """
        await self._reports.remove(call.key.account_id, ReportId(call.read_id(REPORT_PREFIX)))
        return {"deleted": True}
