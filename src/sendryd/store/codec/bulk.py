"""Rows of `bulk_job` and `bulk_batch`."""

import json
from typing import Any

from sendryd.model.bulk import BulkChange, BulkJob, BulkState, Selection
from sendryd.model.ids import BULK_JOB_PREFIX, AccountId, BulkJobId, DeliveryId, MessageId, PersonId
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import clean, from_ms, from_ms_or_none, read_object, to_json, to_ms, to_ms_or_none


def bulk_job_row(job: BulkJob) -> dict[str, Any]:
    """The columns of a job."""
    return {
        "id": job.id,
        "account_id": job.account_id,
        "person_id": job.person_id,
        "actor": clean(job.actor),
        "name": clean(job.name),
        "address": clean(job.address),
        "change": job.change.value,
        "reason": clean(job.reason),
        "selection": to_json(_selection(job.selection)),
        "state": job.state.value,
        "is_agreed": 1 if job.is_agreed else 0,
        "position": job.position,
        "looked_at": job.looked_at,
        "counted": job.counted,
        "handled": job.handled,
        "changed": job.changed,
        "created_at": to_ms(job.created_at),
        "ended_at": to_ms_or_none(job.ended_at),
    }


@row_of(BULK_JOB_PREFIX)
def read_bulk_job(row: Row) -> BulkJob:
    """A job. Raises `RowUnreadable`."""
    selection = read_object(row["selection"])
    return BulkJob(
        id=BulkJobId(row["id"]),
        account_id=AccountId(row["account_id"]),
        person_id=PersonId(row["person_id"]),
        actor=row["actor"],
        name=row["name"],
        address=row["address"],
        change=BulkChange(row["change"]),
        reason=row["reason"],
        selection=Selection(
            messages=tuple(MessageId(number) for number in selection.get("messages", ())),
            query=selection.get("query"),
            domain=selection.get("domain"),
            is_of_all_accounts=selection.get("all_accounts") is True,
        ),
        state=BulkState(row["state"]),
        is_agreed=bool(row["is_agreed"]),
        position=row["position"],
        looked_at=row["looked_at"],
        counted=row["counted"],
        handled=row["handled"],
        changed=row["changed"],
        created_at=from_ms(row["created_at"]),
        ended_at=from_ms_or_none(row["ended_at"]),
    )


def read_deliveries(text: str) -> tuple[DeliveryId, ...]:
    """The deliveries of a batch."""
    return tuple(DeliveryId(number) for number in json.loads(text))


def _selection(selection: Selection) -> dict[str, object]:
    found = {
        "messages": list(selection.messages),
        "query": selection.query,
        "domain": selection.domain,
        "all_accounts": selection.is_of_all_accounts,
    }
    return {name: value for name, value in found.items() if value or value == ""}
