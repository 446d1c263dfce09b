"""Large answers come from files, whole, and a client that does not take them is cut off."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Scope

from sendryd.runtime.answers import ABORT, GRACE, MIN_RATE, SLOW_AFTER, STREAMED, Answers, StreamedAnswer
from sendryd.runtime.budget import BudgetExhausted, ContentBudget, Share
from sendryd.runtime.turns import BulkTurns

pytestmark = pytest.mark.virtual_time
BODY = bytes(range(256)) * 4000


async def nothing() -> Message:
    return await asyncio.Future()


def scope(state: dict[str, Any]) -> Scope:
    return {"type": "http", "path": "/x", "method": "GET", "headers": [], "state": state}


@pytest.mark.parametrize("octets", [0, 100, STREAMED, STREAMED + 1, len(BODY)])
async def test_an_answer_of_any_size_arrives_whole_in_small_pieces(tmp_path: Path, octets: int) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    answer = await Answers(Share(10), Share(10**7), BulkTurns(), tmp_path).make(
        BODY[:octets], owner=1, media_type="text/html", headers={"X-One": "1"}
    )
    await answer(scope({}), nothing, send)
    assert b"".join(message.get("body", b"") for message in sent) == BODY[:octets]
    assert max(len(message.get("body", b"")) for message in sent) <= STREAMED
    headers = dict(sent[0]["headers"])
    assert (headers[b"content-length"], headers[b"x-one"]) == (str(octets).encode(), b"1")
    assert headers[b"content-type"].startswith(b"text/html")
    assert not sent[-1].get("more_body")
    assert list(tmp_path.iterdir()) == []


async def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    aborted: list[bool] = []
    taken = 0

    async def send(message: Message) -> None:
        nonlocal taken
        taken += len(message.get("body", b""))
        if taken > 3 * STREAMED:
            await asyncio.Future()

    answer = await Answers(Share(10), Share(10**7), BulkTurns(), tmp_path).make(BODY, owner=1, media_type="text/html")
    assert isinstance(answer, StreamedAnswer)
    async with asyncio.timeout(2 * GRACE):
        await answer(scope({ABORT: lambda: aborted.append(True)}), nothing, send)
    assert aborted == [True]


async def test_work_on_large_contents_takes_turns(tmp_path: Path) -> None:
    budget = ContentBudget(memory=28_000_000)
    answers, busy, most = Answers(budget.answering, budget.answer_files, budget.turns, tmp_path), 0, 0

    async def work() -> None:
        nonlocal busy, most
        async with answers.room(4_000_000):
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1

    await asyncio.gather(*(work() for _ in range(40)))
    assert most == 1
    assert budget.memory.taken == 0


async def test_answers_that_are_taken_slowly_fill_no_disk(tmp_path: Path) -> None:
    files = Share(8 * len(BODY))
    answers = Answers(Share(10), files, BulkTurns(), tmp_path)
    kept = [await answers.make(BODY, owner="slow", media_type="text/html") for _ in range(4)]
    with pytest.raises(BudgetExhausted):
        await answers.make(BODY, owner="slow", media_type="text/html")
    other = await answers.make(BODY, owner="other", media_type="text/html")
    await answers.make(BODY[:STREAMED], owner="slow", media_type="text/html")

    async def send(_message: Message) -> None:
        pass

    await kept.pop()(scope({}), nothing, send)
    await answers.make(BODY, owner="slow", media_type="text/html")  # never sent: its client has gone
    kept.clear()
    await other(scope({}), nothing, send)
    gc.collect()
    assert files.taken == 0


async def test_a_client_that_stays_behind_the_least_rate_is_cut_off(tmp_path: Path) -> None:
    aborted: list[bool] = []

    async def send(_message: Message) -> None:
        await asyncio.sleep(2 * STREAMED / MIN_RATE)  # half the rate, and never late by all of the grace

    answer = await Answers(Share(10), Share(10**8), BulkTurns(), tmp_path).make(BODY * 10, owner=1, media_type="text/html")
    assert 2 * STREAMED / MIN_RATE < GRACE
    async with asyncio.timeout(10 * GRACE):
        await answer(scope({ABORT: lambda: aborted.append(True)}), nothing, send)
    assert aborted == [True]


async def test_the_slowest_answer_makes_room_for_others(tmp_path: Path) -> None:
    files, gone = Share(8 * len(BODY)), asyncio.Event()
    answers = Answers(Share(10), files, BulkTurns(), tmp_path)

    async def stall(message: Message) -> None:
        if message.get("body"):
            await gone.wait()

    async def pass_on(_message: Message) -> None:
        pass

    slow = [await answers.make(BODY, owner="slow", media_type="text/html") for _ in range(4)]
    tasks = [asyncio.create_task(each(scope({ABORT: gone.set}), nothing, stall)) for each in slow]
    await asyncio.sleep(SLOW_AFTER)
    more = await answers.make(BODY, owner="slow", media_type="text/html")  # the account's half was full
    async with asyncio.timeout(5):
        await more(scope({}), nothing, pass_on)
        await asyncio.gather(*tasks)
    slow.clear()
    del more
    gc.collect()
    assert files.taken == 0
