"""Reports on deliveries that are done, in dictionaries."""

from datetime import datetime

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.store.base.late import LateReport, LateResult
from sendryd.store.memory.state import MemoryMail
from sendryd.store.rules import judge_late


class MemoryLate(MemoryMail):
    """`LateStore`."""

    async def record_late(self, report: LateReport, now: datetime) -> LateResult:
        delivery = self._deliveries.get(report.delivery_id)
        if delivery is None or delivery.message.mode is not KeyMode.LIVE:
            return LateResult.UNFIT
        is_complained = any(
            event.type is EventType.COMPLAINED and event.delivery_id == report.delivery_id for event, _, _ in self._events.values()
        )
        result = judge_late(report.event.type, delivery.state, is_complained=is_complained)
        if result is LateResult.RECORDED:
            if report.event.type is EventType.BOUNCED:
                delivery.move(DeliveryState.BOUNCED)
                delivery.last_reply = report.reply
            self._add_events(delivery, [report.event], now)
            self._suppress(delivery.message.account_id, report.suppression)
        return result
