"""Changes of many deliveries at once."""

from datetime import timedelta

from sendryd.model.apikey import KeyMode
from sendryd.model.bulk import STATES_OF, BulkChange, BulkJob, BulkState, Selection
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, AuditId, BulkJobId, DeliveryId, EventId, PersonId, SuppressionId
from sendryd.model.people import AuditEntry
from sendryd.model.suppression import SuppressionReason
from sendryd.store.base import EventFilter, HeldBy, NewEvent, NewSuppression, QueueFilter, Store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

from .backends import Open

STRANGER = AccountId(2)


def job_of(samples: Samples, change: BulkChange = BulkChange.CANCEL, selection: Selection | None = None) -> BulkJob:
    number = samples.number()
    return BulkJob(
        id=BulkJobId(number),
        account_id=ACCOUNT,
        person_id=PersonId(7),
        actor="ann@acme.example",
        name="Ann",
        address="192.0.2.1",
        change=change,
        reason="wrong link" if change is BulkChange.HOLD else "",
        selection=selection or Selection(query=""),
        state=BulkState.COUNTING,
        is_agreed=False,
        position=number,
        created_at=NOW,
    )


async def counted(store: Store, job: BulkJob) -> BulkJob:
    """The job once it is counted and agreed to, with the deliveries in batches of two."""
    found = await store.find_deliveries(QueueFilter(states=STATES_OF[job.change], account_id=ACCOUNT))
    await store.add_bulk_job(job)
    batches = [found[start : start + 2] for start in range(0, len(found), 2)]
    assert await store.count_bulk_job(job, batches, position=0, looked_at=3, is_last=True)
    assert await store.agree_to_bulk_job(ACCOUNT, job.id)
    return await read(store, job)


async def read(store: Store, job: BulkJob) -> BulkJob:
    found = await store.get_bulk_job(job.account_id, job.id)
    assert found is not None
    return found


async def work(store: Store, samples: Samples, job: BulkJob, *suppressions: NewSuppression) -> list[int]:
    """Works all batches off; returns their sizes."""

    def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(samples.number()), type=event_type, metadata=metadata)

    sizes = []
    while (batch := await store.read_bulk_batch(job.id)) is not None:
        assert await store.run_bulk_batch(job, batch, NOW, make_event=make_event, suppressions=suppressions)
        assert not await store.run_bulk_batch(job, batch, NOW, make_event=make_event)
        sizes.append(len(batch.deliveries))
    return sizes


async def test_a_job_is_counted_in_steps_and_waits_for_a_person(store: Store, samples: Samples) -> None:
    job = job_of(samples, selection=Selection(query="status:held", messages=()))
    await store.add_bulk_job(job)
    assert await read(store, job) == job
    assert await store.get_bulk_job(STRANGER, job.id) is None
    assert await store.list_open_bulk_jobs() == [job]
    assert await store.count_bulk_job(job, [[DeliveryId(1), DeliveryId(2)]], position=90, looked_at=250, is_last=False)
    assert not await store.count_bulk_job(job, [[DeliveryId(1)]], position=80, looked_at=250, is_last=False)
    second = await read(store, job)
    assert (second.state, second.position, second.looked_at, second.counted) == (BulkState.COUNTING, 90, 250, 2)
    assert not await store.agree_to_bulk_job(ACCOUNT, job.id)
    assert await store.count_bulk_job(second, [[DeliveryId(3)]], position=0, looked_at=10, is_last=True)
    third = await read(store, job)
    assert (third.state, third.looked_at, third.counted) == (BulkState.COUNTED, 260, 3)
    assert await store.list_open_bulk_jobs() == []
    assert not await store.agree_to_bulk_job(STRANGER, job.id)
    assert await store.agree_to_bulk_job(ACCOUNT, job.id)
    assert not await store.agree_to_bulk_job(ACCOUNT, job.id)
    assert [each.state for each in await store.list_open_bulk_jobs()] == [BulkState.WORKING]


async def test_what_was_agreed_to_before_is_worked_off_at_once(store: Store, samples: Samples) -> None:
    job = job_of(samples, selection=Selection(domain="one.test", is_of_all_accounts=True))
    await store.add_bulk_job(job)
    again = job_of(samples)
    await store.add_bulk_job(again)
    assert [each.id for each in await store.list_bulk_jobs(ACCOUNT, limit=9)] == [again.id, job.id]
    assert (await read(store, job)).selection == job.selection
    assert await store.count_bulk_job(again, [], position=0, looked_at=0, is_last=True)
    assert (await read(store, again)).state is BulkState.COUNTED


async def test_cancelling_counts_what_it_changed_and_tells_of_each(open_store: Open, store: Store, samples: Samples) -> None:
    for _ in range(2):
        await store.accept(samples.message(["a@one.test", "b@one.test", "c@two.test"]))
    held = await store.find_deliveries(QueueFilter(domain="two.test", states=frozenset({DeliveryState.QUEUED})))
    await store.hold(QueueFilter(delivery_id=held[0]), NOW)
    job = await counted(store, job_of(samples))
    assert job.counted == 6
    await store.retry(QueueFilter(delivery_id=held[1]), NOW)
    await store.cancel(QueueFilter(delivery_id=held[1]), NOW, lambda word, data: NewEvent(id=EventId(1), type=word, metadata=data))
    other = await open_store()
    assert await work(other, samples, job) == [2, 2, 2]
    await other.aclose()
    job = await read(store, job)
    assert (job.handled, job.changed, job.state) == (6, 5, BulkState.WORKING)
    events = await store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, type=EventType.CANCELLED), limit=20)
    assert len(events.items) == 6
    assert await store.find_deliveries(QueueFilter(states=frozenset({DeliveryState.CANCELLED}))) == sorted(
        await store.find_deliveries(QueueFilter())
    )


async def test_mail_is_held_with_a_reason_released_and_tried(store: Store, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@two.test"])
    await store.accept(new)
    await work(store, samples, await counted(store, job_of(samples, BulkChange.HOLD)))
    found = await store.list_queue(QueueFilter(message_id=new.message.id))
    assert {each.held_by for each in found} == {HeldBy(by="Ann", since=NOW, why="wrong link")}
    await work(store, samples, await counted(store, job_of(samples, BulkChange.RELEASE)))
    assert {each.held_by for each in await store.list_queue(QueueFilter(message_id=new.message.id))} == {None}
    job = await counted(store, job_of(samples, BulkChange.TRY))
    await work(store, samples, job)
    assert (await read(store, job)).changed == 2
    assert await store.list_probes() == ["one.test", "two.test"]


async def test_recipients_are_suppressed_once(store: Store, samples: Samples) -> None:
    await store.accept(samples.message(["a@one.test", "b@one.test"]))
    job = await counted(store, job_of(samples, BulkChange.SUPPRESS))
    batch = await store.read_bulk_batch(job.id)
    assert batch is not None
    assert batch.recipients == ("a@one.test", "b@one.test")
    made = [
        NewSuppression(id=SuppressionId(samples.number()), email=email, reason=SuppressionReason.MANUAL)
        for email in ("a@one.test", "a@one.test")
    ]
    await work(store, samples, job, *made)
    assert (await read(store, job)).changed == 1
    assert (await store.find_suppressed(ACCOUNT, ["a@one.test", "b@one.test"])) == {"a@one.test"}


async def test_a_job_ends_once_with_its_entry(store: Store, samples: Samples) -> None:
    job = await counted(store, job_of(samples))
    entry = AuditEntry(
        id=AuditId(samples.number()), account_id=ACCOUNT, actor=job.actor, address="", action="bulk.cancelled", target="", created_at=NOW
    )
    assert await store.end_bulk_job(job, BulkState.STOPPED, NOW, entry)
    assert not await store.end_bulk_job(job, BulkState.DONE, NOW, entry)
    ended = await read(store, job)
    assert (ended.state, ended.ended_at) == (BulkState.STOPPED, NOW)
    assert await store.read_bulk_batch(job.id) is None
    assert [each.id for each in (await store.list_audit(ACCOUNT, limit=9)).items] == [entry.id]
    assert await store.delete_bulk_jobs(created_before=NOW - timedelta(days=1)) == 0
    assert await store.delete_bulk_jobs(created_before=NOW + timedelta(days=1)) == 1


async def test_deliveries_are_found_by_message_destination_and_account(store: Store, samples: Samples) -> None:
    first, second = (samples.message(["a@one.test", "b@two.test"]) for _ in range(2))
    foreign = samples.message(["a@one.test"], account_id=STRANGER)
    for new in (first, second, foreign):
        await store.accept(new)
    of_first = [each.id for each in first.deliveries]
    assert await store.find_deliveries(QueueFilter(message_ids=(first.message.id,))) == of_first
    await store.hold(QueueFilter(delivery_id=of_first[0]), NOW)
    waiting = frozenset({DeliveryState.QUEUED, DeliveryState.HELD})
    both = [of_first[0], second.deliveries[0].id]
    assert await store.find_deliveries(QueueFilter(domain="one.test", states=waiting, account_id=ACCOUNT)) == both
    assert await store.find_deliveries(QueueFilter(domain="one.test", states=waiting)) == [*both, foreign.deliveries[0].id]
    ids = (first.message.id, foreign.message.id)
    queued = frozenset({DeliveryState.QUEUED})
    assert await store.find_deliveries(QueueFilter(message_ids=ids, states=queued, account_id=ACCOUNT)) == of_first[1:]
