"""Random sequences of what happens, in each backend and in the memory store: the same answers, the same queue."""

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import SuppressionId, UnsubscribeId
from sendryd.model.message import MessageStatus
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.crashes import pause_after_crash
from sendryd.store.base import (
    Answer,
    Claim,
    Engagement,
    EventFilter,
    MailStore,
    MessageFilter,
    NewEvent,
    NewMessage,
    NewSuppression,
    NewUnsubscribe,
    Outcome,
    Owner,
    QueueFilter,
)
from sendryd.store.errors import AlreadyAnswered, StoreError
from sendryd.store.memory import MemoryStore
from sendryd.testing.examples import examples
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import quick_folder

from .backends import Backend

OWNERS = [Owner(node="local", boot=boot) for boot in (1, 2)]
DOMAINS = ["one.test", "two.test", "three.test"]
STATES = [DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.QUEUED, DeliveryState.EXPIRED]


class StoreModel(RuleBasedStateMachine):
    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=quick_folder())
        self.loop = asyncio.new_event_loop()
        self.installed = AsyncExitStack()
        self.stores: list[MailStore] = [MemoryStore(), self.loop.run_until_complete(self._open(backend))]
        self.samples = Samples()
        self.now, self.boot = NOW, 0
        self.claims: list[Claim] = []
        self.scheduled: list[NewMessage] = []

    async def _open(self, backend: Backend) -> MailStore:
        open_one = await self.installed.enter_async_context(backend.install(Path(self.folder.name) / "data"))
        return await open_one()

    def teardown(self) -> None:
        for store in self.stores:
            self.loop.run_until_complete(store.aclose())
        self.loop.run_until_complete(self.installed.aclose())
        self.loop.close()
        self.folder.cleanup()

    def both(self, what: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method on both; the answers, or the kinds of the errors, must be the same."""

        def call(store: MailStore) -> Any:
            coroutine: Coroutine[Any, Any, Any] = getattr(store, what)(*args, **kwargs)
            try:
                return self.loop.run_until_complete(coroutine)
            except (StoreError, AlreadyAnswered) as error:
                return type(error)

        model, database = (call(store) for store in self.stores)
        assert database == model, what
        return model

    @rule(domains=st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=3), delay=st.integers(0, 3), is_test=st.booleans())
    def accept(self, domains: list[str], delay: int, is_test: bool) -> None:
        recipients = [f"u{number}@{domain}" for number, domain in enumerate(domains)]
        due_at = self.now + timedelta(minutes=delay)
        mode = KeyMode.TEST if is_test else KeyMode.LIVE
        self.both("accept", self.samples.message(recipients, created_at=self.now, due_at=due_at, mode=mode))

    @rule(domains=st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=2))
    def accept_leased(self, domains: list[str]) -> None:
        lease = self.samples.lease(OWNERS[self.boot])
        self.both("accept", self.samples.message([f"u@{domain}" for domain in set(domains)], created_at=self.now, lease=lease))

    @rule(domain=st.sampled_from(DOMAINS), minutes=st.integers(1, 9), is_amended=st.booleans(), data=st.data())
    def schedule(self, domain: str, minutes: int, is_amended: bool, data: st.DataObject) -> None:
        moment = self.now + timedelta(minutes=minutes)
        new = self.samples.message([f"u@{domain}"], created_at=self.now, scheduled_at=moment, source_request=b"%d" % minutes)
        if is_amended and self.scheduled:
            old = data.draw(st.sampled_from(self.scheduled))
            deliveries = tuple(replace(each, due_at=moment) for each in old.deliveries)
            message = replace(old.message, scheduled_at=moment, subject=f"in {minutes}")
            self.both("amend", replace(new, message=message, deliveries=deliveries), self.now)
        else:
            self.scheduled.append(new)
            self.both("accept", new)

    @rule(data=st.data())
    def cancel_message(self, data: st.DataObject) -> None:
        if self.scheduled:
            new = data.draw(st.sampled_from(self.scheduled))
            self.both("cancel_message", ACCOUNT, new.message.id, self.now, self.maker())

    @rule(key=st.sampled_from("ab"), count=st.integers(0, 2))
    def accept_once(self, key: str, count: int) -> None:
        new = [self.samples.message(created_at=self.now) for _ in range(count)]
        answer = Answer(account_id=ACCOUNT, key=key, fingerprint=b"f" * 32, body=b"%d" % count, created_at=self.now)
        self.both("accept_all", new, answer, kept_since=self.now - timedelta(minutes=9))
        self.both("find_answer", ACCOUNT, key, kept_since=self.now)

    @rule(data=st.data(), event_type=st.sampled_from([EventType.OPENED, EventType.COMPLAINED]), email=st.sampled_from("xy"))
    def engage(self, data: st.DataObject, event_type: EventType, email: str) -> None:
        if self.scheduled:
            delivery = data.draw(st.sampled_from(self.scheduled)).deliveries[0]
            suppression = NewSuppression(id=SuppressionId(self.samples.number()), email=email, reason=SuppressionReason.COMPLAINT)
            unsubscribe = NewUnsubscribe(id=UnsubscribeId(self.samples.number()), email=email, list_id="l", reason=None)
            engagement = Engagement(
                delivery_id=delivery.id,
                event=self.samples.event(event_type),
                happened_at=self.now,
                suppression=suppression if event_type is EventType.COMPLAINED else None,
                unsubscribe=unsubscribe,
            )
            self.both("record_engagements", [engagement])
        self.both("find_suppressed", ACCOUNT, ["x", "y"])
        self.both("find_unsubscribed", ACCOUNT, "l", ["x", "y"])

    @rule(minutes=st.integers(1, 5))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(busy=st.frozensets(st.sampled_from(DOMAINS), max_size=2))
    def claim(self, busy: frozenset[str]) -> None:
        lease = self.samples.lease(OWNERS[self.boot])
        # All of it: which of several that are due at the same moment come first is not promised.
        answers = [
            self.loop.run_until_complete(store.claim_deliveries(now=self.now, lease=lease, limit=1000, busy=busy, per_domain=1000))
            for store in self.stores
        ]

        def flat(claims: list[Claim]) -> set[tuple[Any, ...]]:
            return {(each.message.id, delivery) for each in claims for delivery in each.deliveries}

        assert flat(answers[0]) == flat(answers[1])
        self.claims += answers[0]

    @rule(data=st.data(), state=st.sampled_from(STATES))
    def record(self, data: st.DataObject, state: DeliveryState) -> None:
        if not self.claims:
            return
        claimed = data.draw(st.sampled_from(self.claims))
        outcomes = [
            Outcome(
                delivery_id=delivery.id,
                state=state,
                due_at=self.now + timedelta(minutes=1) if state is DeliveryState.QUEUED else None,
                reply="reply",
                events=(self.samples.event(EventType.DEFERRED, {"n": 1}),),
            )
            for delivery in claimed.deliveries
        ]
        self.both("record_attempt", claimed.lease, outcomes, self.now)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.claims:
            claimed = data.draw(st.sampled_from(self.claims))
            self.both("release", claimed.lease, [delivery.id for delivery in claimed.deliveries])

    @rule(data=st.data())
    def return_leases(self, data: st.DataObject) -> None:
        if self.claims:
            claimed = data.draw(st.sampled_from(self.claims))
            self.both("return_leases", OWNERS[self.boot], [delivery.id for delivery in claimed.deliveries], self.now)

    @rule()
    def crash(self) -> None:
        self.boot = 1 - self.boot
        self.both("return_dead_leases", OWNERS[self.boot], now=self.now, pause=pause_after_crash)

    @rule(minutes=st.integers(0, 3))
    def bring_forward(self, minutes: int) -> None:
        self.both("bring_forward", now=self.now, latest=self.now + timedelta(minutes=minutes), limit=1000)

    @rule(what=st.sampled_from(["hold", "release_held", "retry"]), domain=st.sampled_from(DOMAINS))
    def operate(self, what: str, domain: str) -> None:
        self.both(what, QueueFilter(domain=domain), self.now)

    @rule(domain=st.sampled_from(DOMAINS))
    def cancel(self, domain: str) -> None:
        self.both("cancel", QueueFilter(domain=domain), self.now, self.maker())

    @rule(minutes=st.integers(1, 10))
    def expire(self, minutes: int) -> None:
        before = self.now - timedelta(minutes=minutes)
        self.both("expire_deliveries", now=self.now, created_before=before, make_event=self.maker(), limit=1000)

    def maker(self) -> Any:
        """Events with ids of their own for each store; they are compared without."""

        def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
            return self.samples.event(event_type, metadata)

        return make_event

    @invariant()
    def the_queue_is_the_same(self) -> None:
        for owner in OWNERS:
            leased = [set(self.loop.run_until_complete(store.list_leased(owner))) for store in self.stores]
            assert leased[0] == leased[1]
        self.both("list_queue", QueueFilter())
        self.both("count_queue")
        self.both("due_at")

    @invariant()
    def the_messages_are_the_same(self) -> None:
        for status in (None, *MessageStatus):
            which = MessageFilter(mode=KeyMode.LIVE, status=status)
            page = self.both("list_messages", ACCOUNT, which, limit=1000)
            assert self.both("count_messages", ACCOUNT, which) == len(page.items)
        for new in self.scheduled[-3:]:
            self.both("read_source_request", new.message.id)
            self.both("find_delivery", new.deliveries[0].id)

    @invariant()
    def the_events_are_the_same(self) -> None:
        def read(store: MailStore) -> list[tuple[Any, ...]]:
            found = self.loop.run_until_complete(store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE), limit=10_000))
            return sorted((each.message_id, each.delivery_id, each.type, each.created_at, str(each.metadata)) for each in found.items)

        assert read(self.stores[0]) == read(self.stores[1])


def test_random_sequences(backend: Backend) -> None:
    chosen = settings(max_examples=examples(50), stateful_step_count=25, deadline=None)
    run_state_machine_as_test(partial(StoreModel, backend), settings=chosen)  # type: ignore[arg-type]  # any factory will do
