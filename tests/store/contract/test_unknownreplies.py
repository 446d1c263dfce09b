"""Unknown replies: counted by shape, bounded."""

from dataclasses import replace
from datetime import timedelta

from sendryd.model.unknownreply import UnknownReply
from sendryd.store.base import MailStore
from sendryd.testing.samples import NOW

REPLY = UnknownReply(shape="550 No", number=2, host="mx.example.org", first_at=NOW, last_at=NOW)


async def test_replies_of_one_shape_are_counted_together(store: MailStore) -> None:
    later = NOW + timedelta(hours=1)
    again = replace(REPLY, number=3, host="mx2.example.org", first_at=later, last_at=later)
    await store.add_unknown_replies([REPLY], most=9)
    await store.add_unknown_replies([again, replace(REPLY, shape="451 Other", number=1)], most=9)
    together = replace(again, number=5, first_at=NOW)
    assert await store.list_unknown_replies(limit=9) == [together, replace(REPLY, shape="451 Other", number=1)]
    assert await store.list_unknown_replies(limit=1) == [together]


async def test_the_shape_that_was_seen_last_longest_ago_makes_room(store: MailStore) -> None:
    replies = [replace(REPLY, shape=f"550 {number}", last_at=NOW + timedelta(minutes=number)) for number in range(5)]
    await store.add_unknown_replies(replies[::-1], most=3)
    assert {each.shape for each in await store.list_unknown_replies(limit=9)} == {"550 2", "550 3", "550 4"}


async def test_a_shape_is_forgotten(store: MailStore) -> None:
    await store.add_unknown_replies([REPLY], most=9)
    assert await store.forget_unknown_reply(REPLY.shape)
    assert not await store.forget_unknown_reply(REPLY.shape)
    assert await store.list_unknown_replies(limit=9) == []


async def test_shapes_that_came_no_more_are_deleted(store: MailStore) -> None:
    await store.add_unknown_replies([REPLY, replace(REPLY, shape="451 Later", last_at=NOW + timedelta(seconds=1))], most=9)
    assert await store.delete_unknown_replies(seen_before=NOW) == 0
    assert await store.delete_unknown_replies(seen_before=NOW + timedelta(seconds=1)) == 1
    assert [each.shape for each in await store.list_unknown_replies(limit=9)] == ["451 Later"]
