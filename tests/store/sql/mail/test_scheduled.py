"""Scheduled mail that is amended: its old content and its source request go."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sendryd.model.ids import TemplateId
from sendryd.model.message import MessageType
from sendryd.store.base import NewMessage, QueueFilter
from sendryd.store.drivers.sizes import Sizes
from sendryd.store.drivers.sqlite import FILE_NAME, open_connection
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import NOW, Samples

TIME = NOW + timedelta(days=10)  # when it is to be sent
LATER = NOW + timedelta(minutes=5)


def scheduled(samples: Samples, *recipients: str) -> NewMessage:
    return samples.message(recipients or ("a@one.test", "b@two.test"), scheduled_at=TIME, source_request=b"source")


def amended(new: NewMessage, content: bytes = b"From: a@example.test\r\n\r\nnew\r\n", days: int = 20) -> NewMessage:
    moment = NOW + timedelta(days=days)
    message = replace(
        new.message,
        subject="New",
        to=("c@one.test",),
        size=len(content),
        scheduled_at=moment,
        tags=(("a", "b"),),
        track_opens=True,
        template_id=TemplateId(7),
        type=MessageType.MARKETING,
        list_id="news",
        internet_message_id="<2@example.test>",
    )
    deliveries = tuple(replace(each, due_at=moment) for each in new.deliveries)
    return replace(new, message=message, content=content, deliveries=deliveries, source_request=b"new source")


async def test_the_file_of_a_content_goes_with_the_last_that_refers_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, samples = open_store(tmp_path), Samples()
    new, kept = scheduled(samples, "a@one.test"), samples.message()
    await asyncio.gather(store.accept(new), store.accept(kept))
    # Twice in one transaction, with others.
    contents = [b"From: %d\r\n\r\n" % number for number in range(3)]
    await asyncio.gather(*(store.amend(amended(new, content), LATER) for content in contents), store.accept(samples.message()))
    assert await store.read_content(new.message.id) == contents[-1]
    assert await store.read_content(kept.message.id) == kept.content
    connection = open_connection(tmp_path / FILE_NAME)
    query = "SELECT (SELECT sum(messages) FROM segment), (SELECT count(*) FROM message)"
    assert connection.execute(query).fetchall() == [(3, 3)]
    await store.aclose()
    # The old content alone in a file of its own.
    store = open_store(tmp_path, sizes=Sizes(max_operations=1))
    lonely = scheduled(samples, "a@one.test")
    await store.accept(lonely)
    await store.aclose()
    store = open_store(tmp_path)
    assert len(list((tmp_path / "spool").iterdir())) == 2
    await store.amend(amended(lonely), LATER)
    await store.remove_orphans()
    assert len(list((tmp_path / "spool").iterdir())) == 2
    assert await store.read_content(lonely.message.id) == amended(lonely).content
    assert connection.execute(query).fetchall() == [(4, 4)]
    connection.close()
    await store.aclose()


async def test_source_requests_of_done_messages_are_deleted(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    done, waiting = [scheduled(samples, "a@one.test") for _ in range(5)], scheduled(samples, "b@two.test")
    await store.accept_all([*done, waiting], None, kept_since=NOW)
    await store.cancel(QueueFilter(domain="one.test"), LATER, samples.event)
    await store.delete_messages(created_before=NOW, limit=2)
    connection = open_connection(tmp_path / FILE_NAME)
    assert connection.execute("SELECT message_id FROM draft").fetchall() == [(waiting.message.id,)]
    connection.close()
    await store.aclose()
