"""100,000 waiting deliveries are counted and cancelled, while mail is accepted all the time.

    python benchmarks/bulk.py [DELIVERIES]

Prints how long it took, and how long an acceptance took meanwhile: median and longest.
"""

import asyncio
import statistics
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from sendryd.accounts.audit import Audit
from sendryd.dashboard.matching import MailFinder
from sendryd.model.actor import Role
from sendryd.model.bulk import BulkChange, BulkJob, BulkState, Selection
from sendryd.model.ids import BulkJobId, MembershipId, PersonId
from sendryd.model.people import Membership, PersonRecord
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SystemRand
from sendryd.store.base import Store
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.upkeep.bulk import BulkKeeper

PERSON = PersonId(7)
EACH = 100  # recipients of a message
PAUSE = 0.01  # seconds between two acceptances


async def main(number: int) -> None:
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        await store.ensure_account(ACCOUNT, "default", clock.now())
        samples = Samples(clock.now() - timedelta(minutes=1))
        recipients = [f"box{each}@dead.test" for each in range(EACH)]
        for _ in range(number // EACH):
            await store.accept(samples.message(recipients, created_at=clock.now()))
        ids = IdSource(clock, SystemRand())
        job = _job(BulkJobId(ids.next()), clock)
        await store.add_bulk_job(job)
        _let_in(store, clock)
        keeper = BulkKeeper(store, MailFinder(store), Audit(store, clock=clock, ids=ids), clock=clock, ids=ids)
        later = Samples(clock.now() + timedelta(minutes=1))  # stays out: the job was begun before
        running, began, waits = asyncio.create_task(keeper.run()), perf_counter(), []
        while (await store.list_bulk_jobs(ACCOUNT, limit=1))[0].state is not BulkState.DONE:
            start = perf_counter()
            await store.accept(later.message(["b@other.test"], created_at=clock.now()))
            waits.append(perf_counter() - start)
            await asyncio.sleep(PAUSE)
        running.cancel()
        done = (await store.list_bulk_jobs(ACCOUNT, limit=1))[0]
        took = perf_counter() - began
        print(f"{done.changed:,} of {done.counted:,} cancelled in {took:.1f} s; {len(waits):,} accepted meanwhile", end=": ")
        print(f"median {statistics.median(waits) * 1000:.1f} ms, longest {max(waits) * 1000:.0f} ms")
        await store.aclose()


def _job(job_id: BulkJobId, clock: SystemClock) -> BulkJob:
    return BulkJob(
        id=job_id,
        account_id=ACCOUNT,
        person_id=PERSON,
        actor="ann@acme.example",
        name="Ann",
        address="",
        change=BulkChange.CANCEL,
        reason="",
        selection=Selection(query="status:waiting"),
        state=BulkState.COUNTING,
        is_agreed=True,
        position=job_id,
        created_at=clock.now(),
    )


def _let_in(store: Store, clock: SystemClock) -> None:
    """There is a person who may do it."""

    async def find_membership(*_: object) -> Membership:
        return Membership(id=MembershipId(1), account_id=ACCOUNT, email="ann@acme.example", role=Role.OWNER, invited_at=clock.now())

    async def get_person(*_: object) -> PersonRecord:
        return PersonRecord(id=PERSON, email="", name="", password_hash="", is_operator=False, created_at=clock.now())

    store.find_membership = find_membership  # type: ignore[method-assign,assignment]
    store.get_person = get_person  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
