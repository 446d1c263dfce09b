"""Counting replies that no pattern knows."""

from collections.abc import Sequence
from datetime import timedelta

from sendryd.delivery.unknownreplies import MAX_SHAPES, UnknownReplies
from sendryd.model.unknownreply import UnknownReply
from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import Relay, Verdict
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock


def verdict(text: str, host: str = "mx.example.org") -> Verdict:
    return classify(Reply(550, text), step=Step.RCPT, relay=Relay(host=host, address="192.0.2.1", port=25))


class FailingOnce(MemoryStore):
    """A store whose first write fails."""

    has_failed = False

    async def add_unknown_replies(self, replies: Sequence[UnknownReply], *, most: int) -> None:
        if not self.has_failed:
            self.has_failed = True
            raise StoreUnavailable("busy")
        await super().add_unknown_replies(replies, most=most)


async def test_unknown_replies_are_counted_by_shape_with_their_host() -> None:
    clock = ManualClock()
    store = FailingOnce()
    unknown = UnknownReplies(store, clock)
    began = clock.now()
    unknown.note(verdict("The moon is wrong for <ann@example.org>"), "ann@example.org")
    clock.advance(timedelta(minutes=1))
    unknown.note(verdict("The moon is wrong for <bob@example.org>", "mx2.example.org"), "bob@example.org")
    unknown.note(verdict("User unknown"), "ann@example.org")
    await unknown.store()  # fails, and loses nothing
    await unknown.store()
    assert await store.list_unknown_replies(limit=9) == [
        UnknownReply(shape="550 The moon is wrong for ADDRESS", number=2, host="mx2.example.org", first_at=began, last_at=clock.now())
    ]


async def test_a_reply_that_names_its_recipient_is_one_shape_for_all() -> None:
    store = MemoryStore()
    unknown = UnknownReplies(store, ManualClock())
    for name in ("ann.smith", "bob"):
        unknown.note(verdict(f"{name.upper()} cannot receive this"), f"{name}@example.org")
    await unknown.store()
    assert [(each.shape, each.number) for each in await store.list_unknown_replies(limit=9)] == [("550 NAME cannot receive this", 2)]


async def test_a_server_that_never_says_the_same_fills_no_memory() -> None:
    clock = ManualClock()
    store = MemoryStore()
    unknown = UnknownReplies(store, clock)
    for number in range(MAX_SHAPES + 100):
        unknown.note(verdict(f"Word{'x' * (number % 300)}{'y' * (number // 300)}"), "ann@example.org")
    await unknown.store()
    assert len(await store.list_unknown_replies(limit=10_000)) == MAX_SHAPES
