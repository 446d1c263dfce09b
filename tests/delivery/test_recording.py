"""Whatever goes wrong after an attempt, a failed attempt is recorded."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.recording import Recorder
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import DeliveryId
from sendryd.policy.replies.classify import classify
from sendryd.policy.retry import RetryPlan
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.rand import SeededRand
from sendryd.smtp.reply import make_reply
from sendryd.smtp.timeouts import Step
from sendryd.store.base import DialogueStore, Lease, Outcome, QueueFilter
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.post import Post
from sendryd.testing.samples import NOW, Samples

pytestmark = pytest.mark.sockets


def refusing(post: Post, monkeypatch: pytest.MonkeyPatch, refuses: Callable[[Sequence[Outcome]], bool]) -> None:
    """The store refuses some outcomes for good, as a bug or a damaged row would make it."""
    record = post.store.record_attempt

    async def record_or_refuse(lease: Lease, outcomes: Sequence[Outcome], now: datetime) -> None:
        if refuses(outcomes):
            raise LookupError("a bug")
        await record(lease, outcomes, now)

    monkeypatch.setattr(post.store, "record_attempt", record_or_refuse)


async def states(post: Post) -> dict[DeliveryId, tuple[DeliveryState, int]]:
    found: dict[DeliveryId, tuple[DeliveryState, int]] = {}
    for state in DeliveryState:
        for each in await post.store.list_queue(QueueFilter(states=frozenset({state}))):
            found[each.id] = (each.state, each.attempts)
    return found


async def test_one_outcome_that_cannot_be_stored_is_a_failed_attempt_of_its_own(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    (claim,) = await post.claim("a@two.test", "b@two.test", "c@two.test")
    bad = claim.deliveries[1].id
    refusing(
        post, monkeypatch, lambda outcomes: any(each.delivery_id == bad and each.state is DeliveryState.DELIVERED for each in outcomes)
    )
    attempt = await post.worker.attempt(claim, b"From: a@example.test\r\n\r\nbody\r\n", await post.destinations.find(claim.domain))
    assert await post.worker.record(attempt) == frozenset()
    assert await states(post) == {
        each.id: (DeliveryState.QUEUED if each.id == bad else DeliveryState.DELIVERED, 1) for each in claim.deliveries
    }
    due = await post.store.due_at()
    assert due is not None
    assert due > post.clock.now()  # with the usual pause


async def test_what_the_store_refuses_altogether_is_named(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    (claim,) = await post.claim("a@two.test", "b@two.test")
    bad = claim.deliveries[0].id
    refusing(post, monkeypatch, lambda outcomes: any(each.delivery_id == bad for each in outcomes))
    attempt = await post.worker.attempt(claim, b"From: a@example.test\r\n\r\nbody\r\n", await post.destinations.find(claim.domain))
    assert await post.worker.record(attempt) == {bad}
    assert await states(post) == {bad: (DeliveryState.LEASED, 0), claim.deliveries[1].id: (DeliveryState.DELIVERED, 1)}


@pytest.mark.parametrize("text", ["Too many messages, slow down", "Too many messages, try again in 5 seconds"])
async def test_throttled_mail_backs_off_though_no_attempt_is_counted(text: str) -> None:
    store, samples, clock = MemoryStore(), Samples(), ManualClock(NOW + timedelta(hours=12))
    plan = RetryPlan((timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=4)), timedelta(hours=72))
    ids, mail_log = IdSource(clock, SeededRand(1)), MailLog(clock)
    recorder = Recorder(store, cast("DialogueStore", store), plan=plan, clock=clock, rand=SeededRand(1), ids=ids, mail_log=mail_log)
    new = samples.message(["a@two.test"], created_at=NOW)
    await store.accept(new)
    (claim,) = await store.claim_deliveries(now=clock.now(), lease=samples.lease(), limit=9, busy=frozenset(), per_domain=9)
    attempt = Attempt(claim, AttemptNotes(NOW, lambda: 0.0))
    attempt.judge_rest(classify(make_reply(451, "4.7.1", text), step=Step.RCPT))
    await recorder.record(attempt)
    (waiting,) = await store.list_queue(QueueFilter())
    assert waiting.attempts == 0
    assert timedelta(minutes=25) < waiting.due_at - clock.now() < timedelta(minutes=35)


@pytest.mark.parametrize("what", ["make_outcome", "next_attempt"])
async def test_a_bug_between_the_answer_and_the_record(post: Post, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    import sendryd.delivery.recording as module

    true, calls = getattr(module, what), 0

    def failing_first(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise LookupError("a bug")
        return true(*args, **kwargs)

    monkeypatch.setattr(module, what, failing_first)
    (claim,) = await post.claim("a@two.test")
    attempt = await post.worker.attempt(claim, b"From: a@example.test\r\n\r\nbody\r\n", await post.destinations.find(claim.domain))
    assert await post.worker.record(attempt) == frozenset()
    assert not (await post.store.count_queue())[DeliveryState.LEASED]


@pytest.mark.parametrize(
    ("reply", "attempts", "seconds"),
    [
        ("450 4.7.1 Too many messages, try again in 300 seconds", 0, 300),
        ("450 4.7.1 Too many messages", 0, 60),
        ("450 4.2.0 Greylisted, try again in 300 seconds", 1, 300),
        ("450 4.2.1 Mailbox busy, try again in 300 seconds or not", 1, 300),
    ],
)
async def test_a_reply_that_says_when_to_come_back_is_heeded(post: Post, reply: str, attempts: int, seconds: int) -> None:
    post.first.script.rcpt = post.second.script.rcpt = lambda _address: reply
    (claim,) = await post.claim("a@two.test")
    attempt = await post.worker.attempt(claim, b"From: a@example.test\r\n\r\nbody\r\n", await post.destinations.find(claim.domain))
    await post.worker.record(attempt)
    (waiting,) = await post.store.list_queue(QueueFilter())
    assert waiting.attempts == attempts
    due = await post.store.due_at()
    assert due is not None
    assert abs((due - post.clock.now()).total_seconds() - seconds) <= 10
