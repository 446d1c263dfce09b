"""The addresses that mail leaves from: those that are suspended, and how much each warming one has sent today."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol


class EgressKind(StrEnum):
    """What is suspended."""

    ADDRESS = "address"
    POOL = "pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressSuspension:
    """An address or a pool that no mail leaves from until it is resumed."""

    kind: EgressKind
    name: str  # the address, or the pool's name
    by: str  # who suspended it
    since: datetime
    until: datetime | None = None  # None: until somebody resumes it
    reason: str = ""

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended by itself."""
        return self.until is not None and self.until <= now


class EgressStore(Protocol):
    """Suspensions, and the counts of warming addresses."""

    async def suspend_egress(self, suspension: EgressSuspension) -> None:
        """Stores a suspension, in place of an earlier one of the same address or pool. Durable."""
        ...

    async def resume_egress(self, kind: EgressKind, name: str) -> bool:
        """Ends a suspension. Durable. False if there is none."""
        ...

    async def list_egress_suspensions(self) -> list[EgressSuspension]:
        """The suspensions by kind and name, also those that are over and were not ended yet. Cheap."""
        ...

    async def end_egress_suspensions(self, now: datetime) -> None:
        """Deletes the suspensions whose end has come."""
        ...

    async def add_egress_counts(self, day: date, added: Mapping[tuple[str, str], int], *, keep_since: date, most: int) -> None:
        """Adds to what addresses have sent to sites on a UTC day; numbers may be negative, a count never is. Counts of days before `keep_since` are
        deleted, new ones beyond `most` stored ones left out.
        """
        ...

    async def list_egress_counts(self, day: date) -> dict[tuple[str, str], int]:
        """What addresses have sent to sites on a UTC day, by address and site."""
        ...
