"""Counts and works off the changes that people make to many deliveries at once.

Does: looks for the deliveries of a job and stores their ids in batches; once a person has agreed, changes a batch in each transaction.
Reads, writes: jobs, the queue, suppressions, the audit. A job goes on where it was after a restart: a batch and its count are one transaction.
Limits: `BATCH` deliveries in one transaction, then a pause as long as it took, so that other mail has half of the writer's time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.accounts.audit import Audit
from sendryd.accounts.bulk import BATCH, FindMessages, end_job, filter_of, may_change
from sendryd.model.bulk import BulkChange, BulkJob, BulkState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import BULK_JOB_PREFIX, DeliveryId, EventId, MessageId, SuppressionId, format_id
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.address_key import normalise_address
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.store.base import BulkBatch, NewEvent, NewSuppression, Store
from sendryd.store.errors import StoreError
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 0.25  # seconds: a person waits for the count; a round without jobs reads one row of an index
TURN: Final = 1.0  # seconds that one job works before the next one has its turn
FORGET_EVERY: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=7)  # the audit keeps what was done; the job only shows its page

log = get_logger("upkeep")


class BulkKeeper:
    """Four rounds a second."""

    def __init__(
        self, store: Store, find: FindMessages, audit: Audit, *, clock: Clock, ids: IdSource, batch: int = BATCH, turn: float = TURN
    ) -> None:
        self._store = store
        self._find = find
        self._audit = audit
        self._clock = clock
        self._ids = ids
        self._batch = batch  # deliveries
        self._turn = turn  # seconds
        self._forgot_at: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="bulk_jobs_not_kept")

    async def run_once(self) -> None:
        """One round: each open job goes on for a while."""
        for job in await self._store.list_open_bulk_jobs():
            try:
                await self._count(job) if job.state is BulkState.COUNTING else await self._work(job)
            except StoreError as error:  # the other jobs go on
                log.error("bulk_job_delayed", job=format_id(BULK_JOB_PREFIX, job.id), error=repr(error))
        now = self._clock.now()
        if self._forgot_at is None or now - self._forgot_at > FORGET_EVERY:
            self._forgot_at = now
            await self._store.delete_bulk_jobs(created_before=now - KEPT)

    async def _count(self, job: BulkJob) -> None:
        selection, end = job.selection, self._clock.monotonic() + self._turn
        if selection.query is None:
            found = await self._store.find_deliveries(filter_of(job, selection.messages))
            await self._store.count_bulk_job(job, self._batches(found), position=0, looked_at=len(selection.messages), is_last=True)
            return
        current: BulkJob | None = job
        while current is not None and current.state is BulkState.COUNTING:
            page = await self._find(current, MessageId(current.position))
            found = await self._store.find_deliveries(filter_of(current, tuple(page.ids))) if page.ids else []
            position, is_last = page.next or 0, page.next is None
            await self._store.count_bulk_job(current, self._batches(found), position=position, looked_at=page.looked_at, is_last=is_last)
            current = await self._store.get_bulk_job(job.account_id, job.id) if self._clock.monotonic() < end else None

    async def _work(self, job: BulkJob) -> None:
        end = self._clock.monotonic() + self._turn
        if not await may_change(self._store, job):
            log.warning("bulk_job_not_allowed_any_more", job=format_id(BULK_JOB_PREFIX, job.id))
            await end_job(self._store, self._audit, job, BulkState.STOPPED, self._clock)
            return
        began = float("-inf")
        while began < end:
            began = self._clock.monotonic()
            batch = await self._store.read_bulk_batch(job.id)
            if batch is None:
                current = await self._store.get_bulk_job(job.account_id, job.id)
                if current is not None and current.state is BulkState.WORKING:
                    await end_job(self._store, self._audit, current, BulkState.DONE, self._clock)
                return
            suppressions = self._suppressions(batch) if job.change is BulkChange.SUPPRESS else ()
            make_event = _EventMaker(self._ids, job.actor)
            if not await self._store.run_bulk_batch(job, batch, self._clock.now(), make_event=make_event, suppressions=suppressions):
                return
            await self._clock.sleep(self._clock.monotonic() - began)

    def _batches(self, found: Sequence[DeliveryId]) -> list[Sequence[DeliveryId]]:
        return [found[start : start + self._batch] for start in range(0, len(found), self._batch)]

    def _suppressions(self, batch: BulkBatch) -> tuple[NewSuppression, ...]:
        addresses = dict.fromkeys(normalise_address(each) for each in batch.recipients)
        return tuple(NewSuppression(id=SuppressionId(self._ids.next()), email=each, reason=SuppressionReason.MANUAL) for each in addresses)


@dataclass(frozen=True, slots=True)
class _EventMaker:
    ids: IdSource
    actor: str

    def __call__(self, event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(self.ids.next()), type=event_type, metadata={**metadata, "by": self.actor})
