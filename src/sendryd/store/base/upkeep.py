"""Deletion of old rows, and the health of the database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from sendryd.store.base.spool import SpoolReport


class UpkeepStore(Protocol):
    """Deletion of old rows, and the health of the database."""

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
        """Compares the places of messages with the files of contents, without reading contents."""
        ...

    async def check_writable(self) -> None:
        """Commits once, as a test. Raises `StoreUnavailable`, also if the disk has no room for new mail."""
        ...

    async def read_clock(self) -> datetime | None:
        """The settled time that was stored last."""
        ...

    async def note_clock(self, settled: datetime) -> None:
        """Stores the settled time, for the next start."""
        ...

    def can_write(self) -> bool:
        """False once the writer has ended because of a bug: only a restart helps."""
        ...

    def statistics(self) -> Mapping[str, int | float]:
        """Counters for /metrics: commits, operations, longest commit in seconds, and the backend's own."""
        ...
