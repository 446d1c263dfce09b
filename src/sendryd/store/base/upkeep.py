"""Deleting what is old, and telling whether the database is well."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from sendryd.store.base.spool import SpoolReport


class UpkeepStore(Protocol):
    """What keeps the database small and tells that it is well."""

    async def delete_messages(self, *, created_before: datetime, limit: int) -> int:
        """Deletes done messages and their content, oldest first. Returns how many."""
        ...

    async def delete_events(self, *, created_before: datetime, limit: int) -> int:
        """Deletes events, oldest first. Returns how many."""
        ...

    async def delete_answers(self, *, created_before: datetime, limit: int) -> int:
        """Deletes answers to idempotent requests. Returns how many."""
        ...

    async def compare_spool(self) -> SpoolReport:
        """Compares what messages refer to with the contents that are there, without reading them."""
        ...

    async def check_writable(self) -> None:
        """Returns once a commit has gone through. Raises `StoreUnavailable`, also where there is no room for new mail."""
        ...

    async def read_clock(self) -> datetime | None:
        """The settled time that was noted last."""
        ...

    async def note_clock(self, settled: datetime) -> None:
        """Notes the settled time, for the next start."""
        ...

    def can_write(self) -> bool:
        """False once writing has ended for good, by a bug: only another start helps."""
        ...

    def statistics(self) -> Mapping[str, int | float]:
        """Counters for /metrics: commits, operations, longest commit in seconds, and what the backend adds."""
        ...
