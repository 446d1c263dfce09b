"""Reports that senders are still to get of their deliveries."""

from datetime import datetime
from typing import Protocol

from sendryd.model.ids import DeliveryId
from sendryd.policy.statusreport import Report
from sendryd.store.base.queue import QueuedDelivery
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True, kw_only=True)
class DueReport:
    """A delivery with a report that is due."""

    delivery: QueuedDelivery
    report: Report  # the one that is due
    orcpt: str | None  # RFC 3461 §4.2, as given


class StatusReportStore(Protocol):
    """Reports to senders."""

    async def list_due_reports(self, *, delayed_before: datetime, limit: int) -> list[DueReport]:
        """Deliveries that failed, were delivered, or have been tried and are waiting since a time before `delayed_before`, and that owe a
        report of it, by id. Cheap: indexes hold only these. At most `limit` of each kind.
        """
        ...

    async def settle_report(self, delivery_id: DeliveryId, report: Report) -> None:
        """Records that a report is sent, or is not to be sent. Durable."""
        ...
