"""Two processes do everything to the same queue at once: nothing is claimed twice, no outcome is lost, and neither waits for the other in a circle."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final

import asyncpg
import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import DeliveryId, MessageId, SuppressionId
from sendryd.model.message import MessageClass
from sendryd.model.suppression import Suppression, SuppressionReason
from sendryd.store.base import Answer, Claim, Engagement, EventFilter, Lease, MessageFilter, NewSuppression, Outcome, Owner, QueueFilter
from sendryd.store.errors import AlreadyAnswered, LeaseLost, NotAllowed, NotFound
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.testing.postgres import shared_server
from sendryd.testing.samples import ACCOUNT, NOW, Samples

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

LATER: Final = NOW + timedelta(minutes=5)
OLD: Final = NOW - timedelta(days=4)
SINCE: Final = NOW - timedelta(days=1)
MESSAGES: Final = 120
WORKERS: Final = 4  # of each process
ENDS: Final = frozenset({EventType.DELIVERED, EventType.BOUNCED, EventType.FAILED, EventType.CANCELLED})
# Few, so that both processes want the same ones.
SUPPRESSED: Final = [f"gone-{number}@example.org" for number in range(6)]


@dataclass
class Attack:
    """What two processes do, and what must be true of it."""

    stores: list[PostgresStore]
    database: str
    samples: Samples = field(default_factory=Samples)
    rand: random.Random = field(default_factory=lambda: random.Random(7))
    held: set[DeliveryId] = field(default_factory=set)
    recorded: Counter[DeliveryId] = field(default_factory=Counter)  # final outcomes whose recording returned
    is_done: bool = False

    async def accept(self, number: int) -> list[MessageId]:
        accepted = []
        for each in range(number):
            domains = self.rand.sample(range(8), 2)
            new = self.samples.message([f"u{each}@d{domain}.example" for domain in domains], created_at=OLD if each % 3 == 0 else NOW)
            await self.stores[each % 2].accept(new)
            accepted.append(new.message.id)
        return accepted

    async def deliver(self, store: PostgresStore, owner: Owner) -> None:
        """A worker: claims and records until nothing waits."""
        while not self.is_done:
            lease = self.samples.lease(owner)
            claims = await store.claim_deliveries(now=LATER, lease=lease, limit=9, busy=frozenset(), per_domain=3)
            for claim in claims:
                for each in claim.deliveries:
                    assert each.id not in self.held, "claimed twice"
                    self.held.add(each.id)
            await asyncio.gather(*(self._end(store, lease, claim) for claim in claims))

    async def _end(self, store: PostgresStore, lease: Lease, claim: Claim) -> None:
        for _ in range(self.rand.randrange(4)):
            await asyncio.sleep(0)
        ids = [each.id for each in claim.deliveries]
        way = self.rand.random()
        self.held.difference_update(ids)
        if way < 0.15:
            await store.release(lease, ids)
        elif way < 0.3:
            await store.return_leases(lease.owner, ids, LATER)
        elif way < 0.5:
            events = (self.samples.event(EventType.DEFERRED),)
            await store.record_attempt(
                lease,
                [Outcome(delivery_id=each, state=DeliveryState.QUEUED, due_at=LATER, reply="", events=events[:0]) for each in ids],
                LATER,
            )
        else:
            tasks: list[Any] = [store.record_attempt(lease, [self._outcome(each) for each in ids], LATER)]
            if way < 0.7:  # a process that takes this one for dead
                (other,) = (each for each in self.stores if each is not store)
                tasks.append(other.return_leases(lease.owner, ids, LATER))
            result = (await asyncio.gather(*tasks, return_exceptions=True))[0]
            if result is None:
                self.recorded.update(ids)
            elif not isinstance(result, LeaseLost):
                raise result

    def _outcome(self, number: DeliveryId) -> Outcome:
        if self.rand.random() < 0.5:
            return Outcome(
                delivery_id=number, state=DeliveryState.DELIVERED, due_at=None, reply="", events=(self.samples.event(EventType.DELIVERED),)
            )
        return Outcome(
            delivery_id=number,
            state=DeliveryState.BOUNCED,
            due_at=None,
            reply="",
            events=(self.samples.event(EventType.BOUNCED),),
            suppression=self.suppression(),
        )

    def suppression(self) -> NewSuppression:
        return NewSuppression(
            id=SuppressionId(self.samples.number()), email=self.rand.choice(SUPPRESSED), reason=SuppressionReason.HARD_BOUNCE
        )

    async def meddle(self, store: PostgresStore, messages: list[MessageId]) -> None:
        """An operator and the upkeep: they change what waits until nothing does."""
        while not self.is_done:
            some = QueueFilter(message_ids=tuple(self.rand.sample(messages, 10)))
            await store.hold(some, LATER)
            await asyncio.gather(
                store.release_held(QueueFilter(), LATER),
                store.retry(some, LATER),
                store.set_class(some, self.rand.choice(list(MessageClass))),
                store.expire_deliveries(now=LATER, created_before=NOW - timedelta(days=3), make_event=self.samples.event, limit=5),
                store.cancel(QueueFilter(message_id=self.rand.choice(messages)), LATER, self.samples.event),
                self._cancel_one(store, self.rand.choice(messages)),
            )

    async def _cancel_one(self, store: PostgresStore, message: MessageId) -> None:
        try:
            await store.cancel_message(ACCOUNT, message, LATER, self.samples.event)
        except NotAllowed:  # it is being sent, or done
            return

    async def suppress(self, store: PostgresStore, deliveries: list[DeliveryId]) -> None:
        """What recipients do and people import and lift, for the same addresses that bounces are recorded of."""
        while not self.is_done:
            engagements = [
                Engagement(
                    delivery_id=self.rand.choice(deliveries),
                    event=self.samples.event(EventType.OPENED),
                    happened_at=LATER,
                    suppression=self.suppression(),
                )
                for _ in range(3)
            ]
            imported = [
                Suppression(
                    id=SuppressionId(self.samples.number()),
                    account_id=ACCOUNT,
                    email=email,
                    reason=SuppressionReason.MANUAL,
                    created_at=LATER,
                )
                for email in self.rand.sample(SUPPRESSED, 3)
            ]
            lifted = [store.remove_suppression(ACCOUNT, email) for email in self.rand.sample(SUPPRESSED, 2)]
            results = await asyncio.gather(
                store.record_engagements(engagements), store.add_suppressions(imported), *lifted, return_exceptions=True
            )
            assert [each for each in results if isinstance(each, BaseException) and not isinstance(each, NotFound)] == []

    async def watch(self) -> None:
        """Ends the attack once nothing waits."""
        while any((await self.stores[0].count_queue()).values()):
            pass
        self.is_done = True

    async def deadlocks(self) -> int:
        """How often the server ended a transaction because of a circle. Call once the stores are closed."""
        connection = await asyncpg.connect(shared_server().url("postgres"))
        try:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
            while await connection.fetchval(asked, self.database):
                pass
            return int(await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = $1", self.database))
        finally:
            await connection.close()


@pytest.fixture
async def attack(tmp_path: Path) -> AsyncIterator[Attack]:
    server = shared_server()
    name = server.new_database()
    stores = [await open_store(server.target(name), tmp_path / str(number), monotonic=monotonic) for number in range(2)]
    await stores[0].ensure_account(ACCOUNT, "default", NOW)
    made = Attack(stores, name)
    yield made
    for store in stores:
        await store.aclose()
    assert await made.deadlocks() == 0
    server.drop_database(name)


async def test_two_processes_serve_one_queue(attack: Attack) -> None:
    messages = await attack.accept(MESSAGES)
    waiting = await attack.stores[0].list_queue(QueueFilter())
    deliveries = [each.id for each in waiting]
    assert len(deliveries) == 2 * MESSAGES
    tasks = [attack.watch()]
    for number, store in enumerate(attack.stores):
        owner = Owner(node=f"node-{number}", boot=number + 1)
        tasks += [attack.deliver(store, owner) for _ in range(WORKERS)]
        tasks += [attack.meddle(store, messages), attack.suppress(store, deliveries)]
    await asyncio.gather(*tasks)
    ends: Counter[Any] = Counter()
    for event_type in ENDS:
        page = await attack.stores[1].list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, type=event_type), limit=10 * MESSAGES)
        ends.update((event.message_id, event.recipient) for event in page.items)
    assert len(ends) == 2 * MESSAGES  # each delivery has come to an end
    assert set(ends.values()) == {1}  # and to one alone
    assert set(attack.recorded.values()) == {1}
    left = {each.id: each.state for each in await attack.stores[1].list_queue(QueueFilter(states=frozenset(DeliveryState)))}
    assert {left[number] for number in attack.recorded} <= {DeliveryState.DELIVERED, DeliveryState.BOUNCED}
    of_attempts = [number for number, state in left.items() if state in {DeliveryState.DELIVERED, DeliveryState.BOUNCED}]
    assert sorted(of_attempts) == sorted(attack.recorded)


async def test_twins_of_two_processes_are_answered_alike(attack: Attack) -> None:
    keys = [f"key-{number}" for number in range(30)]
    made: dict[str, list[bytes]] = {key: [] for key in keys}
    refused: dict[str, list[bytes]] = {key: [] for key in keys}

    async def send(store: PostgresStore, key: str, body: bytes) -> None:
        answer = Answer(account_id=ACCOUNT, key=key, fingerprint=b"f" * 32, body=body, created_at=NOW)
        try:
            await store.accept_all([attack.samples.message()], answer, kept_since=SINCE)
        except AlreadyAnswered as error:
            refused[key].append(error.answer.body)
        else:
            made[key].append(body)

    calls = [(store, key, b"%d %d" % (number, twin)) for number, store in enumerate(attack.stores) for key in keys for twin in range(3)]
    attack.rand.shuffle(calls)
    await asyncio.gather(*(send(*call) for call in calls))
    assert {len(bodies) for bodies in made.values()} == {1}
    assert refused == {key: made[key] * 5 for key in keys}
    assert await attack.stores[0].count_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE)) == len(keys)
