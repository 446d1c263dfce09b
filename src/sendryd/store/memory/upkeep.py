"""Upkeep, in dictionaries."""

from collections.abc import Mapping
from datetime import datetime

from sendryd.model.delivery import WAITING_STATES
from sendryd.store.base import (
    SpoolReport,
)
from sendryd.store.memory.state import MemoryMail


class MemoryUpkeep(MemoryMail):
    """`UpkeepStore`."""

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        waiting = {each.message.id for each in self._deliveries.values() if each.state in WAITING_STATES}
        old = [
            number for number, new in sorted(self._messages.items()) if new.message.waits_since < created_before and number not in waiting
        ][:limit]
        for number in old:
            self._contents.drop(None, [self._places.pop(number)])
            for delivery in self._messages.pop(number).deliveries:
                del self._deliveries[delivery.id]
        return len(old)

    async def delete_removed_domains(self, *, created_before: datetime, limit: int) -> int:
        needed = {each.message.signing_domain_id for each in self._deliveries.values() if each.state in WAITING_STATES}
        old = [number for number, (_, moment) in self._removed_domains.items() if moment < created_before and number not in needed][:limit]
        for number in old:
            del self._removed_domains[number]
        return len(old)

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        old = sorted(number for number, (event, _, _) in self._events.items() if event.created_at < created_before)[:limit]
        for number in old:
            del self._events[number]
        return len(old)

    async def compare_spool(self) -> SpoolReport:
        return SpoolReport(segments=0, messages=len(self._messages))

    async def check_writable(self) -> None:
        self._commits += 1

    async def read_clock(self) -> datetime | None:
        return self._seen

    async def note_clock(self, settled: datetime) -> None:
        self._seen = settled

    def can_write(self) -> bool:
        return True

    def statistics(self) -> Mapping[str, int | float]:
        return {"commits": self._commits}
