"""Changes of many deliveries at once."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from sendryd.model.bulk import BulkChange, BulkJob, BulkState
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import BULK_JOB_PREFIX, AccountId, BulkJobId, DeliveryId
from sendryd.model.people import AuditEntry
from sendryd.store.base import BulkBatch, EventMaker, HeldBy, NewEvent, NewSuppression
from sendryd.store.codec.bulk import bulk_job_row, read_bulk_job, read_deliveries
from sendryd.store.codec.deliveries import hold_note
from sendryd.store.codec.lists import new_suppression_row
from sendryd.store.codec.people import audit_row
from sendryd.store.codec.values import first_id, to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.sql.bulk.queries import SQL
from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.queries import SQL as LISTS
from sendryd.store.sql.lists.suppressed import Suppressed
from sendryd.store.sql.mail.batch import Rows
from sendryd.store.sql.mail.changes import Move, move_some, repair_and_repeat
from sendryd.store.sql.people.queries import SQL as PEOPLE

MOVES: Final = {
    BulkChange.TRY: ((DeliveryState.QUEUED, DeliveryState.QUEUED),),
    BulkChange.CANCEL: ((DeliveryState.QUEUED, DeliveryState.CANCELLED), (DeliveryState.HELD, DeliveryState.CANCELLED)),
    BulkChange.HOLD: ((DeliveryState.QUEUED, DeliveryState.HELD),),
    BulkChange.RELEASE: ((DeliveryState.HELD, DeliveryState.QUEUED),),
}


class BulkJobs:
    """`BulkStore`, but for finding deliveries, which the queue does."""

    _database: Database
    _suppressed: Suppressed

    async def add_bulk_job(self, job: BulkJob) -> None:
        await self._database.change(SQL["insert_bulk_job"], **bulk_job_row(job))

    async def get_bulk_job(self, account_id: AccountId, job_id: BulkJobId) -> BulkJob | None:
        row = await self._database.find_row(SQL["get_bulk_job"], account_id=account_id, id=job_id)
        return read_bulk_job(row) if row else None

    async def list_bulk_jobs(self, account_id: AccountId, *, limit: int) -> list[BulkJob]:
        rows = await self._database.list_rows(SQL["list_bulk_jobs"], BULK_JOB_PREFIX, account_id=account_id, limit=limit)
        return list(self._database.unreadable.keep(rows, read_bulk_job))

    async def list_open_bulk_jobs(self) -> list[BulkJob]:
        return list(self._database.unreadable.keep(await self._database.find_rows(SQL["list_open_bulk_jobs"]), read_bulk_job))

    async def count_bulk_job(
        self, job: BulkJob, batches: Sequence[Sequence[DeliveryId]], *, position: int, looked_at: int, is_last: bool
    ) -> bool:
        values = {
            "id": job.id,
            "position": position,
            "looked_at": looked_at,
            "found": sum(len(batch) for batch in batches),
            "is_last": 1 if is_last else 0,
            "before": job.position,
            "looked_at_before": job.looked_at,
        }

        def action(connection: Connection, _batch: object) -> bool:
            if not change(connection, SQL["count_bulk_job"], **values):
                return False
            for batch in batches:
                change(connection, SQL["insert_bulk_batch"], job_id=job.id, deliveries=to_json(list(batch)))
            return True

        return await self._database.write(action)

    async def agree_to_bulk_job(self, account_id: AccountId, job_id: BulkJobId) -> bool:
        return bool(await self._database.change(SQL["agree_to_bulk_job"], account_id=account_id, id=job_id))

    async def read_bulk_batch(self, job_id: BulkJobId) -> BulkBatch | None:
        def work(connection: Connection) -> BulkBatch | None:
            row = fetch_row(connection, SQL["read_bulk_batch"], job_id=job_id)
            if row is None:
                return None
            paths = fetch_rows(connection, SQL["list_recipients"], ids=row["deliveries"])
            recipients = tuple(each["forward_path"] for each in paths)
            return BulkBatch(job_id=job_id, number=row["number"], deliveries=read_deliveries(row["deliveries"]), recipients=recipients)

        return await self._database.read(work)

    async def run_bulk_batch(
        self, job: BulkJob, batch: BulkBatch, now: datetime, *, make_event: EventMaker, suppressions: Sequence[NewSuppression] = ()
    ) -> bool:
        note = hold_note(HeldBy(by=job.name, since=now, why=job.reason)) if job.change is BulkChange.HOLD else None
        moves = [self._move(job, states, batch, now, note, make_event) for states in MOVES.get(job.change, ())]
        is_done = await repair_and_repeat(self._database, partial(_run, job, batch, moves, suppressions, to_ms(now)))
        if is_done:
            self._suppressed.add(job.account_id, [each.email for each in suppressions])
        return is_done

    def _move(
        self,
        job: BulkJob,
        states: tuple[DeliveryState, DeliveryState],
        batch: BulkBatch,
        now: datetime,
        note: str | None,
        make_event: EventMaker,
    ) -> Move:
        does_cancel = job.change is BulkChange.CANCEL
        events: dict[int, NewEvent] = {number: make_event(EventType.CANCELLED, {}) for number in batch.deliveries} if does_cancel else {}
        return Move(
            self._database.unreadable,
            states,
            batch.deliveries,
            to_ms(now),
            events=events,
            hold_note=note,
            does_probe=not does_cancel,
            spares_scheduled=job.change is BulkChange.TRY,
        )

    async def end_bulk_job(self, job: BulkJob, state: BulkState, now: datetime, audit: AuditEntry | None) -> bool:
        values = {"id": job.id, "state": state.value, "ended_at": to_ms(now), "before": job.state.value, "handled": job.handled}

        def action(connection: Connection, _batch: object) -> bool:
            if not change(connection, SQL["end_bulk_job"], **values):
                return False
            change(connection, SQL["delete_bulk_batches"], job_id=job.id)
            if audit is not None:
                change(connection, PEOPLE["insert_audit"], **audit_row(audit))
            return True

        return await self._database.write(action)

    async def delete_bulk_jobs(self, *, created_before: datetime) -> int:
        return await self._database.change(SQL["delete_bulk_jobs"], first_kept=first_id(created_before))


def _run(
    job: BulkJob,
    batch: BulkBatch,
    moves: Sequence[Move],
    suppressions: Sequence[NewSuppression],
    moment: int,
    connection: Connection,
    rows: Rows,
) -> bool:
    if fetch_row(connection, SQL["is_bulk_job_working"], id=job.id) is None:
        return False
    if not change(connection, SQL["delete_bulk_batch"], job_id=job.id, number=batch.number):
        return False
    changed = sum(move_some(each, connection, rows) for each in moves)
    for new in suppressions:
        changed += len(fetch_rows(connection, LISTS["insert_suppression"], **new_suppression_row(job.account_id, new, moment)))
    change(connection, SQL["note_bulk_batch"], id=job.id, handled=len(batch.deliveries), changed=changed)
    return True
