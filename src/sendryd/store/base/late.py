"""What is reported of deliveries after their outcome: bounces that come late, and complaints."""

from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from sendryd.model.ids import DeliveryId
from sendryd.store.base.events import NewEvent
from sendryd.store.base.lists import NewSuppression
from sendryd.valuetype import valuetype


class LateResult(Enum):
    """What a report has changed."""

    RECORDED = auto()
    REPEATED = auto()  # the same was reported before
    TOO_EARLY = auto()  # the outcome of the attempt is not stored yet
    UNFIT = auto()  # the delivery is in no state that the report could be about, is test mail, or was deleted


@valuetype(frozen=True, slots=True, kw_only=True)
class LateReport:
    """What a report says of one delivery."""

    delivery_id: DeliveryId
    event: NewEvent  # `bounced` or `complained`
    reply: str  # what the last server said, for `queue show`: at most 1,000 characters; empty for a complaint
    suppression: NewSuppression | None = None


class LateStore(Protocol):
    """Reports on deliveries that are done."""

    async def record_late(self, report: LateReport, now: datetime) -> LateResult:
        """Stores a report with its event, suppression and the fact for webhooks, once. Durable.

        A bounce moves a delivery from delivered to bounced; a complaint changes no state. Only live mail.
        """
        ...
