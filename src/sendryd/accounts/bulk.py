"""Changes of many deliveries at once. A person chooses, the server counts, the person agrees, the server works; the end is in the audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sendryd.accounts.audit import Audit, By, Client
from sendryd.accounts.emails import shorten_reason
from sendryd.model.bulk import STATES_OF, BulkChange, BulkJob, BulkState, Selection
from sendryd.model.ids import BULK_JOB_PREFIX, AccountId, BulkJobId, MessageId, PersonId, format_id
from sendryd.model.people import AuditEntry
from sendryd.policy.rights import Right, has_right
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import PeopleStore, QueueFilter, Store
from sendryd.store.errors import NotAllowed, NotFound

BATCH: Final = 500  # deliveries in one transaction: other mail waits for it, some 20 ms
LISTED: Final = 20  # jobs that a page shows
NEEDED: Final[Mapping[BulkChange, Right]] = {
    BulkChange.TRY: Right.WORK,
    BulkChange.CANCEL: Right.WORK,
    BulkChange.SUPPRESS: Right.WORK,
    BulkChange.HOLD: Right.ADMINISTER,
    BulkChange.RELEASE: Right.ADMINISTER,
}
_ACTIONS: Final[Mapping[BulkChange, str]] = {
    BulkChange.TRY: "bulk.tried",
    BulkChange.CANCEL: "bulk.cancelled",
    BulkChange.HOLD: "bulk.held",
    BulkChange.RELEASE: "bulk.released",
    BulkChange.SUPPRESS: "bulk.suppressed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person wants done."""

    change: BulkChange
    selection: Selection
    reason: str = ""  # of a hold
    is_agreed: bool = False  # the person has seen the count already


@dataclass(frozen=True, slots=True)
class FoundMessages:
    """Some of the messages that a search finds."""

    ids: Sequence[MessageId]
    looked_at: int
    next: MessageId | None  # messages below it come next; None: these were the last


class FindMessages(Protocol):
    """Finds messages of a job's search below an id, newest first."""

    async def __call__(self, job: BulkJob, before: MessageId) -> FoundMessages: ...


class Bulk:
    """Jobs of an account."""

    def __init__(self, store: Store, audit: Audit, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def begin(self, order: Order, person_id: PersonId, by: By) -> BulkJobId:
        """Stores a job, which the server begins to count. Raises `NotAllowed` if the person's role does not allow the change."""
        job_id = BulkJobId(self._ids.next())
        job = BulkJob(
            id=job_id,
            account_id=by.account_id,
            person_id=person_id,
            actor=by.actor,
            name=by.name,
            address=by.client.address,
            change=order.change,
            reason=shorten_reason(order.reason) if order.change is BulkChange.HOLD else "",
            selection=order.selection,
            state=BulkState.COUNTING,
            is_agreed=order.is_agreed,
            position=job_id,  # mail that is accepted from now on has greater ids, and stays out
            created_at=self._clock.now(),
        )
        if not await may_change(self._store, job):
            raise NotAllowed("the role of this person does not allow it")
        await self._store.add_bulk_job(job)
        return job_id

    async def agree(self, account_id: AccountId, job_id: BulkJobId, person_id: PersonId) -> bool:
        """Starts the work of a counted job. False if somebody was faster, or stopped it. Raises `NotAllowed` for another person's job."""
        job = await self.get(account_id, job_id)
        if job.person_id != person_id:
            raise NotAllowed("the job is another person's")
        return await self._store.agree_to_bulk_job(account_id, job_id)

    async def stop(self, account_id: AccountId, job_id: BulkJobId) -> None:
        """Stops a job; what was done stays done. Does nothing if it is over."""
        while not (job := await self.get(account_id, job_id)).is_over:
            if await end_job(self._store, self._audit, job, BulkState.STOPPED, self._clock):
                return

    async def get(self, account_id: AccountId, job_id: BulkJobId) -> BulkJob:
        """One job. Raises `NotFound`."""
        job = await self._store.get_bulk_job(account_id, job_id)
        if job is None:
            raise NotFound("no such job")
        return job

    async def list(self, account_id: AccountId) -> list[BulkJob]:
        """The latest jobs, newest first."""
        return await self._store.list_bulk_jobs(account_id, limit=LISTED)


async def may_change(store: PeopleStore, job: BulkJob) -> bool:
    """Whether the person of a job may still do it."""
    member = await store.find_membership(job.account_id, job.person_id)
    person = await store.get_person(job.person_id)
    if member is None or person is None or person.disabled_at is not None:
        return False
    if job.selection.is_of_all_accounts and not has_right(member.role, Right.OPERATE, is_operator=person.is_operator):
        return False
    return has_right(member.role, NEEDED[job.change])


async def end_job(store: Store, audit: Audit, job: BulkJob, state: BulkState, clock: Clock) -> bool:
    """Ends a job with its entry in the audit; a job that changed nothing has none. False if the job is not as it was read."""
    return await store.end_bulk_job(job, state, clock.now(), _entry(audit, job, state) if job.handled else None)


def _entry(audit: Audit, job: BulkJob, state: BulkState) -> AuditEntry:
    after = {"job": format_id(BULK_JOB_PREFIX, job.id), "deliveries": job.changed, "of": job.counted}
    if state is BulkState.STOPPED:
        after["stopped"] = True
    if job.reason:
        after["reason"] = job.reason
    return audit.entry(job.account_id, job.actor, Client(address=job.address), _ACTIONS[job.change], _target(job.selection), after=after)


def _target(selection: Selection) -> str:
    if selection.domain is not None and not selection.messages:
        return selection.domain
    return "chosen mails" if selection.query is None else selection.query or "all mails"


def filter_of(job: BulkJob, messages: tuple[MessageId, ...]) -> QueueFilter:
    """Which deliveries of these messages the job changes; of none given, those to the job's destination."""
    selection = job.selection
    return QueueFilter(
        domain=selection.domain,
        message_ids=messages or None if selection.domain is not None else messages,
        states=STATES_OF[job.change],
        account_id=None if selection.is_of_all_accounts else job.account_id,
    )
