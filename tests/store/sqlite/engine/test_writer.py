"""The writer: callers at the same time share a commit."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from sendryd.model.ids import AccountId
from sendryd.store.base import Answer, NewMessage
from sendryd.store.errors import AlreadyAnswered
from sendryd.store.sqlite import open_store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

SINCE = NOW - timedelta(days=1)


async def test_many_callers_share_one_commit(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    before = store.statistics()["commits"]
    await asyncio.gather(*(store.accept(samples.message()) for _ in range(200)))
    assert store.statistics()["commits"] - before < 20
    assert store.statistics()["largest_batch"] > 50
    await store.aclose()


def answer(key: str = "k", body: bytes = b"{}", created_at: datetime = NOW, account_id: AccountId = ACCOUNT) -> Answer:
    return Answer(account_id=account_id, key=key, fingerprint=b"f" * 32, body=body, created_at=created_at)


async def test_twins_and_what_was_there_cost_the_others_no_commit_of_their_own(tmp_path: Path) -> None:
    store, samples = open_store(tmp_path), Samples()
    await store.accept_all([samples.message()], answer(), kept_since=SINCE)
    before = store.statistics()
    new: list[NewMessage] = [samples.message() for _ in range(100)]
    repeats = [store.accept_all([samples.message()], answer(), kept_since=SINCE) for _ in range(50)]
    results = await asyncio.gather(
        *(store.accept(each) for each in new[:50]), *repeats, *(store.accept(each) for each in new[50:]), return_exceptions=True
    )
    assert sum(isinstance(result, AlreadyAnswered) for result in results) == 50
    assert store.statistics()["commits"] - before["commits"] <= 3
    for each in new:
        assert await store.read_content(each.message.id) == each.content
    await store.aclose()
