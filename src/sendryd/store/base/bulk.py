"""Changes of many deliveries at once: jobs, which are stored, and their batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.bulk import BulkJob, BulkState
from sendryd.model.ids import AccountId, BulkJobId, DeliveryId
from sendryd.model.people import AuditEntry
from sendryd.store.base.events import EventMaker
from sendryd.store.base.lists import NewSuppression


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkBatch:
    """Deliveries of a job that are changed in one transaction."""

    job_id: BulkJobId
    number: int
    deliveries: tuple[DeliveryId, ...]
    recipients: tuple[str, ...]  # the forward-paths of those that still exist


class BulkStore(Protocol):
    """Jobs, oldest first where one runs after the other."""

    async def add_bulk_job(self, job: BulkJob) -> None:
        """Stores a new job. Durable."""
        ...

    async def get_bulk_job(self, account_id: AccountId, job_id: BulkJobId) -> BulkJob | None:
        """One job of an account."""
        ...

    async def list_bulk_jobs(self, account_id: AccountId, *, limit: int) -> list[BulkJob]:
        """The latest jobs of an account, newest first."""
        ...

    async def list_open_bulk_jobs(self) -> list[BulkJob]:
        """Jobs of all accounts that are being counted or worked off, oldest first. Cheap."""
        ...

    async def count_bulk_job(
        self, job: BulkJob, batches: Sequence[Sequence[DeliveryId]], *, position: int, looked_at: int, is_last: bool
    ) -> bool:
        """Adds batches that were found after `job` was read, up to a position. The last call ends the counting: the job works if a person has
        agreed, else waits for it. False if the job is not being counted any more, or was counted by another process.
        """
        ...

    async def agree_to_bulk_job(self, account_id: AccountId, job_id: BulkJobId) -> bool:
        """Starts the work of a counted job. False if it is not in this state."""
        ...

    async def read_bulk_batch(self, job_id: BulkJobId) -> BulkBatch | None:
        """The first batch that is still to be worked off; None if there is none."""
        ...

    async def run_bulk_batch(
        self, job: BulkJob, batch: BulkBatch, now: datetime, *, make_event: EventMaker, suppressions: Sequence[NewSuppression] = ()
    ) -> bool:
        """Changes the deliveries of a batch, or suppresses addresses, and counts them, in one transaction. False if the job is not working any
        more, or another process has done the batch.
        """
        ...

    async def end_bulk_job(self, job: BulkJob, state: BulkState, now: datetime, audit: AuditEntry | None) -> bool:
        """Ends a job as done or stopped, with its entry in the audit, and forgets its batches. False if the job is not as it was read."""
        ...

    async def delete_bulk_jobs(self, *, created_before: datetime) -> int:
        """Deletes old jobs. Returns how many."""
        ...
