"""Reports that are sent by mail, again and again."""

from typing import Final

from sendryd.api.analytics.operations import GROUP
from sendryd.api.framework.answers import Deleted, Whole
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import Refused, not_found
from sendryd.api.scheduled_reports.schema import NewReport, ScheduledReport, report_json
from sendryd.model import report as model
from sendryd.model.apikey import Scope
from sendryd.model.ids import REPORT_PREFIX, ReportId, parse_id
from sendryd.policy.figures import next_report_at
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import ReportStore
from sendryd.store.errors import NotFound

PATH: Final = "/v1/analytics/scheduled-reports"
MAX_REPORTS: Final = 50  # of an account: the list has no pages, and each is mail


class ReportHandlers:
    """Everything about scheduled reports."""

    def __init__(self, store: ReportStore, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(
                method="GET",
                path=PATH,
                group=GROUP,
                summary="List scheduled reports",
                handler=self.list,
                is_logged=False,
            ),
            Operation(
                method="POST",
                path=PATH,
                group=GROUP,
                summary="Have a report of each day, week or month sent by mail",
                handler=self.add,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                is_logged=False,
                example={"frequency": "weekly", "recipients": ["boss@example.com"]},
                conflict="There are as many reports as an account can have.",
            ),
            Operation(
                method="DELETE",
                path=f"{PATH}/{{id}}",
                group=GROUP,
                summary="Have a report sent no more",
                handler=self.remove,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                is_logged=False,
            ),
        ]

    async def list(self, call: Call[None, None]) -> Whole[ScheduledReport]:
        """`GET /v1/analytics/scheduled-reports`."""
        return {"data": [report_json(each) for each in await self._store.list_scheduled_reports(call.key.account_id)]}

    async def add(self, call: Call[NewReport, None]) -> ScheduledReport:
        """`POST /v1/analytics/scheduled-reports`."""
        body = call.body
        account_id = call.key.account_id
        if len(await self._store.list_scheduled_reports(account_id)) >= MAX_REPORTS:
            sentence = f"There are {MAX_REPORTS} scheduled reports already: remove one first"
            raise Refused(Refusal(RefusalKey.CONFLICT, sentence))
        now = self._clock.now()
        frequency = model.ReportFrequency(body.frequency)
        report = model.ScheduledReport(
            id=ReportId(self._ids.next()),
            account_id=account_id,
            frequency=frequency,
            recipients=tuple(dict.fromkeys(body.recipients)),
            created_at=now,
            due_at=next_report_at(now, frequency),
        )
        await self._store.add_scheduled_report(report)
        return report_json(report)

    async def remove(self, call: Call[None, None]) -> Deleted:
        """`DELETE /v1/analytics/scheduled-reports/:id`."""
        number = parse_id(call.params["id"], REPORT_PREFIX)
        if number is None:
            raise not_found("Scheduled report")
        try:
            await self._store.remove_scheduled_report(call.key.account_id, ReportId(number))
        except NotFound:
            raise not_found("Scheduled report") from None
        return {"deleted": True}
