"""Changes of many deliveries at once: counted, agreed to, worked off, written to the audit."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.accounts.audit import Audit, By, Client
from sendryd.accounts.bulk import Bulk, Order
from sendryd.accounts.people import People
from sendryd.dashboard.matching import MailFinder
from sendryd.model.actor import Role
from sendryd.model.bulk import BulkChange, BulkJob, BulkState, Selection
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId, BulkJobId, PersonId
from sendryd.model.people import Membership
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import QueueFilter, Store
from sendryd.store.errors import NotAllowed
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.upkeep.bulk import TURN, BulkKeeper

from .conftest import owner


class Office:
    """A person of an account, and the keeper that works for her."""

    def __init__(self, store: Store, clock: ManualClock, person_id: PersonId) -> None:
        self.store, self.clock, self.person_id = store, clock, person_id
        self.ids = IdSource(clock, SeededRand(1))
        self.samples = Samples(clock.now())
        self.audit = Audit(store, clock=clock, ids=self.ids)
        self.bulk = Bulk(store, self.audit, clock=clock, ids=self.ids)
        self.keeper = self.make_keeper(TURN)
        self.by = By(account_id=ACCOUNT, actor="ann@acme.example", client=Client(address="192.0.2.1"), name="Ann")

    def make_keeper(self, turn: float) -> BulkKeeper:
        return BulkKeeper(self.store, MailFinder(self.store, batch=2), self.audit, clock=self.clock, ids=self.ids, batch=2, turn=turn)

    async def send(self, *recipients: str, subject: str = "Hello") -> None:
        await self.store.accept(self.samples.message(recipients, subject=subject))

    async def begin(self, order: Order) -> BulkJobId:
        self.clock.advance(timedelta(minutes=1))
        return await self.bulk.begin(order, self.person_id, self.by)

    async def count(self, change: BulkChange, selection: Selection) -> BulkJob:
        job_id = await self.begin(Order(change=change, selection=selection))
        await self.keeper.run_once()
        return await self.bulk.get(ACCOUNT, job_id)

    async def agree(self, job: BulkJob) -> BulkJob:
        assert await self.bulk.agree(ACCOUNT, job.id, self.person_id)
        await self.keeper.run_once()
        return await self.bulk.get(ACCOUNT, job.id)

    async def states(self) -> set[DeliveryState]:
        every = await self.store.find_deliveries(QueueFilter())
        return {each.state for number in every for each in await self.store.list_queue(QueueFilter(delivery_id=number))}


@pytest.fixture
async def office(store: Store, clock: ManualClock, people: People) -> Office:
    return Office(store, clock, (await owner(people)).session.person_id)


async def test_what_a_search_finds_is_counted_then_cancelled_with_one_entry(office: Office) -> None:
    for number in range(5):
        await office.send(f"a{number}@one.test", "b@two.test", subject="Wrong link")
    await office.send("c@one.test", subject="Right link")
    job = await office.count(BulkChange.CANCEL, Selection(query="wrong"))
    assert (job.state, job.counted, job.looked_at) == (BulkState.COUNTED, 10, 5)
    await office.send("d@one.test", subject="Wrong link, but later")
    assert await office.states() == {DeliveryState.QUEUED}
    job = await office.agree(job)
    assert (job.state, job.handled, job.changed) == (BulkState.DONE, 10, 10)
    left = await office.store.list_queue(QueueFilter())
    assert sorted(each.message.subject for each in left) == ["Right link", "Wrong link, but later"]
    entries = [each for each in (await office.store.list_audit(ACCOUNT, limit=9)).items if each.action.startswith("bulk")]
    assert [(each.actor, each.address, each.action, each.target) for each in entries] == [
        ("ann@acme.example", "192.0.2.1", "bulk.cancelled", "wrong")
    ]
    assert entries[0].after["deliveries"] == 10


async def test_a_job_goes_on_where_it_was_after_a_restart(office: Office) -> None:
    for _ in range(5):
        await office.send("a@one.test")
    office.keeper = office.make_keeper(0)
    job = await office.count(BulkChange.HOLD, Selection(query=""))
    assert (job.state, job.looked_at, job.counted) == (BulkState.COUNTING, 2, 2)
    office.keeper = office.make_keeper(TURN)
    await office.keeper.run_once()
    job = await office.bulk.get(ACCOUNT, job.id)
    assert (job.state, job.looked_at, job.counted) == (BulkState.COUNTED, 5, 5)
    assert (await office.agree(job)).changed == 5
    assert await office.states() == {DeliveryState.HELD}


async def test_mail_to_a_destination_is_worked_off_without_a_question(office: Office) -> None:
    await office.send("a@one.test", "b@two.test")
    job_id = await office.begin(
        Order(change=BulkChange.HOLD, selection=Selection(domain="one.test"), reason="wrong\n link", is_agreed=True)
    )
    await office.keeper.run_once()
    await office.keeper.run_once()
    job = await office.bulk.get(ACCOUNT, job_id)
    assert (job.state, job.counted, job.changed) == (BulkState.DONE, 1, 1)
    (held,) = await office.store.list_queue(QueueFilter(domain="one.test"))
    assert held.held_by is not None
    assert (held.held_by.by, held.held_by.why) == ("Ann", "wrong link")


async def test_recipients_are_suppressed_as_addresses_compare(office: Office) -> None:
    await office.send("Ann@One.test", "ann@one.test", "bob@one.test")
    job = await office.agree(await office.count(BulkChange.SUPPRESS, Selection(query="")))
    assert (job.counted, job.changed) == (3, 2)
    assert await office.store.find_suppressed(ACCOUNT, ["ann@one.test", "bob@one.test"]) == {"ann@one.test", "bob@one.test"}


async def test_a_job_stops_when_its_person_may_not_do_it_any_more(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await office.send("a@one.test")
    job = await office.count(BulkChange.CANCEL, Selection(query=""))
    assert await office.bulk.agree(ACCOUNT, job.id, office.person_id)
    member = await office.store.find_membership(ACCOUNT, office.person_id)
    assert member is not None

    async def find_membership(_account_id: AccountId, _person_id: PersonId) -> Membership:
        return replace(member, role=Role.VIEWER)

    monkeypatch.setattr(office.store, "find_membership", find_membership)
    await office.keeper.run_once()
    assert (await office.bulk.get(ACCOUNT, job.id)).state is BulkState.STOPPED
    assert await office.states() == {DeliveryState.QUEUED}


async def test_a_stopped_job_changes_nothing_more(office: Office) -> None:
    await office.send("a@one.test")
    job = await office.count(BulkChange.CANCEL, Selection(query=""))
    await office.bulk.stop(ACCOUNT, job.id)
    await office.bulk.stop(ACCOUNT, job.id)
    assert not await office.bulk.agree(ACCOUNT, job.id, office.person_id)
    await office.keeper.run_once()
    assert await office.states() == {DeliveryState.QUEUED}
    assert (await office.bulk.get(ACCOUNT, job.id)).state is BulkState.STOPPED


async def test_strangers_begin_and_agree_to_nothing(office: Office) -> None:
    await office.send("a@one.test")
    job = await office.count(BulkChange.CANCEL, Selection(query=""))
    with pytest.raises(NotAllowed):
        await office.bulk.agree(ACCOUNT, job.id, PersonId(office.person_id + 1))
    stranger = By(account_id=AccountId(2), actor="eve@evil.example", client=Client(), name="Eve")
    with pytest.raises(NotAllowed):
        await office.bulk.begin(Order(change=BulkChange.TRY, selection=Selection()), office.person_id, stranger)


async def test_jobs_are_forgotten_after_a_week(office: Office) -> None:
    job = await office.count(BulkChange.TRY, Selection(query=""))
    office.clock.advance(timedelta(days=8))
    await office.keeper.run_once()
    assert await office.store.get_bulk_job(ACCOUNT, job.id) is None
