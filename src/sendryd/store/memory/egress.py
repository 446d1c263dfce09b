"""Suspended addresses and counts of warming ones, in memory."""

from collections.abc import Mapping
from datetime import date, datetime

from sendryd.store.base import EgressKind, EgressSuspension


class MemoryEgress:
    """`EgressStore` without a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._suspensions: dict[tuple[EgressKind, str], EgressSuspension] = {}
        self._egress_counts: dict[tuple[date, str, str], int] = {}

    async def suspend_egress(self, suspension: EgressSuspension) -> None:
        self._suspensions[suspension.kind, suspension.name] = suspension

    async def resume_egress(self, kind: EgressKind, name: str) -> bool:
        return self._suspensions.pop((kind, name), None) is not None

    async def list_egress_suspensions(self) -> list[EgressSuspension]:
        return [each for _, each in sorted(self._suspensions.items())]

    async def end_egress_suspensions(self, now: datetime) -> None:
        self._suspensions = {key: each for key, each in self._suspensions.items() if not each.is_over(now)}

    async def add_egress_counts(self, day: date, added: Mapping[tuple[str, str], int], *, keep_since: date, most: int) -> None:
        self._egress_counts = {key: number for key, number in self._egress_counts.items() if key[0] >= keep_since}
        for (address, site), number in added.items():
            key = day, address, site
            if key in self._egress_counts or (len(self._egress_counts) < most and number > 0):
                self._egress_counts[key] = max(0, self._egress_counts.get(key, 0) + number)

    async def list_egress_counts(self, day: date) -> dict[tuple[str, str], int]:
        return {(address, site): number for (each, address, site), number in self._egress_counts.items() if each == day}
