"""Reports to senders, in dictionaries."""

from datetime import datetime

from sendryd.model.ids import DeliveryId
from sendryd.policy.statusreport import Report, due_report
from sendryd.store.base.statusreports import DueReport
from sendryd.store.memory.delivery import Delivery, read_queued
from sendryd.store.memory.state import MemoryMail


class MemoryStatusReports(MemoryMail):
    """`StatusReportStore`."""

    async def list_due_reports(self, *, delayed_before: datetime, limit: int) -> list[DueReport]:
        due: list[DueReport] = []
        for number in sorted(self._deliveries):
            delivery = self._deliveries[number]
            report = _due(delivery, delayed_before) & delivery.report
            if report and sum(each.report is report for each in due) < limit:
                due.append(DueReport(delivery=read_queued(delivery), report=report, orcpt=delivery.new.orcpt))
        return due

    async def settle_report(self, delivery_id: DeliveryId, report: Report) -> None:
        delivery = self._deliveries.get(delivery_id)
        if delivery is not None:
            delivery.report &= ~report


def _due(delivery: Delivery, delayed_before: datetime) -> Report:
    is_late = delivery.attempts > 0 and delivery.message.waits_since < delayed_before
    report = due_report(delivery.state)
    return Report.NOTHING if report is Report.DELAY and not is_late else report
