"""Large requests and answers: what is in memory of them, and what a client is told when there is no room."""

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from sendryd.api.framework import requestbody
from sendryd.api.framework.requestbody import RequestBody, Room
from sendryd.model.apikey import ApiKey
from sendryd.model.ids import MESSAGE_PREFIX, MessageId, format_id
from sendryd.runtime.answers import COPIES
from sendryd.runtime.budget import IN_MEMORY, BudgetExhausted, ContentBudget
from sendryd.testing.api import ApiWorld

Key = tuple[ApiKey, str]
PIECE = 50_000
ATTACHED = bytes(range(256)) * 8_000  # 2 MB
MESSAGE = (
    b'From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nText\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.bin\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(ATTACHED).replace(b"\n", b"\r\n") + b"--b--\r\n"
)


class Incoming:
    """A request whose body comes when it is let."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.gate = asyncio.Event()
        self.waits = asyncio.Event()

    async def __call__(self) -> Message:
        if self.left == 1:
            self.waits.set()
            await self.gate.wait()
        self.left -= 1
        return {"type": "http.request", "body": b"x" * PIECE, "more_body": self.left > 0}

    @property
    def request(self) -> Request:
        return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, self)


async def start(budget: ContentBudget, incoming: Incoming) -> tuple[RequestBody, "asyncio.Task[bytes]", Room]:
    room = Room(budget.composing)
    body = RequestBody(budget, Path(tempfile.gettempdir()), None)
    return body, asyncio.create_task(body.read(incoming.request, 100_000_000, room)), room


async def test_a_large_body_is_in_a_file_while_it_comes() -> None:
    budget, incoming = ContentBudget(), Incoming(100)
    body, task, room = await start(budget, incoming)
    await incoming.waits.wait()
    assert budget.files.taken > 4_000_000
    assert budget.memory.taken <= IN_MEMORY
    incoming.gate.set()
    assert await task == b"x" * 5_000_000
    assert budget.files.taken == 0
    assert budget.work.taken == requestbody.COPIES * 5_000_000
    room.give_back()
    body.close()
    assert budget.memory.taken == 0


async def test_a_small_body_goes_to_a_file_where_there_is_no_memory() -> None:
    budget, incoming = ContentBudget(memory=28_000), Incoming(3)
    body, task, _room = await start(budget, incoming)
    incoming.gate.set()
    assert await task == b"x" * 150_000
    body.close()
    assert budget.memory.taken == budget.files.taken == 0


async def test_bodies_that_grow_do_not_wait_for_one_another() -> None:
    budget = ContentBudget(files=14_000_000)  # 7 MB for a key: one of the two
    async with asyncio.timeout(25):  # less than the time that a body waits for room

        async def read() -> bytes:
            incoming = Incoming(100)
            incoming.gate.set()
            body, task, room = await start(budget, incoming)
            try:
                return await task
            finally:
                room.give_back()
                body.close()

        read_or_refused = await asyncio.gather(read(), read(), return_exceptions=True)
    assert [type(each) for each in sorted(read_or_refused, key=repr)] == [BudgetExhausted, bytes]
    assert budget.memory.taken == budget.files.taken == 0


async def test_bodies_of_declared_length_do_not_wait_for_one_another() -> None:
    budget = ContentBudget(files=40_000_000)  # 10 MB for a key: two bodies
    bodies = [RequestBody(budget, Path(tempfile.gettempdir()), None) for _ in range(5)]

    async def read(body: RequestBody) -> bytes:
        incoming, room = Incoming(100), Room(budget.composing)
        incoming.gate.set()
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"5000000")]}, incoming)
        try:
            return await body.read(request, 100_000_000, room)
        finally:
            room.give_back()
            body.close()

    async with asyncio.timeout(25):
        assert await asyncio.gather(*map(read, bodies)) == [b"x" * 5_000_000] * 5
    assert budget.memory.taken == budget.files.taken == 0


async def test_a_body_that_ends_early_leaves_nothing() -> None:
    budget, incoming = ContentBudget(), Incoming(100)
    body, task, _room = await start(budget, incoming)
    await incoming.waits.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    body.close()
    assert budget.memory.taken == budget.files.taken == 0


@pytest.fixture
async def full(api: ApiWorld) -> AsyncIterator[None]:
    """All the room for work is taken."""
    api.budget.memory.timeout = 0.05
    async with api.budget.signing.hold(api.budget.work.limit):
        yield


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("path", ["", "/attachments/0", "/insights"])
async def test_large_answers_without_memory_get_503_with_retry_after(api: ApiWorld, live: Key, path: str) -> None:
    number = format_id(MESSAGE_PREFIX, await api.add_message(live[0], content=MESSAGE))
    answer = await api.get(f"/v1/emails/{number}{path}", live[1])
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.usefixtures("full")
async def test_large_requests_without_memory_get_503_with_retry_after(api: ApiWorld, tester: Key) -> None:
    body = {"from": "a@example.test", "to": "b@example.org", "subject": "s", "text": "x" * 1_000_000}
    answer = await api.send("POST", "/v1/emails", tester[1], body)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert (await api.send("POST", "/v1/emails", tester[1], {**body, "text": "small"})).status == 200


async def test_many_readers_of_large_attachments_share_the_room(api: ApiWorld, live: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, each reader had a content of its own in memory."""
    number = format_id(MESSAGE_PREFIX, await api.add_message(live[0], content=MESSAGE))
    read, reading, most = api.store.read_content, 0, 0

    async def counted(message_id: MessageId) -> bytes:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        try:
            return await read(message_id)
        finally:
            reading -= 1

    monkeypatch.setattr(api.store, "read_content", counted)
    answers = await asyncio.gather(*(api.get(f"/v1/emails/{number}/attachments/0", live[1]) for _ in range(40)))
    assert {answer.body for answer in answers} == {ATTACHED}
    assert most * len(MESSAGE) * COPIES <= api.budget.work.limit
    assert most < 40
    assert api.budget.memory.taken == 0


async def test_a_large_captured_message_is_shown_whole(api: ApiWorld, tester: Key) -> None:
    text = "größer " * 140_000
    body = {"from": "a@example.test", "to": "b@example.org", "subject": "s", "text": text}
    assert (await api.send("POST", "/v1/emails", tester[1], body)).status == 200
    shown = (await api.get("/v1/test-emails/wait", tester[1])).json
    assert shown["text"].replace("\r\n", "").strip() == text.strip()
    assert api.budget.memory.taken == api.budget.files.taken == 0


async def test_a_large_scheduled_message_is_changed_without_waiting_for_itself(api: ApiWorld, tester: Key) -> None:
    budget = api.budget
    budget.memory.timeout = 0.5
    budget.work.limit = budget.composing.limit = budget.answering.limit = 2_000_000  # either takes all of it
    body = {"from": "a@example.test", "to": "b@example.org", "subject": "s", "text": "x" * 1_000_000, "scheduled_at": "in 1 hour"}
    made = await api.send("POST", "/v1/emails", tester[1], body)
    assert made.status == 200
    changed = await api.send("PATCH", f"/v1/emails/{made.json['id']}", tester[1], {"subject": "t", "text": "y" * 1_000_000})
    assert changed.status == 200
    assert changed.json["subject"] == "t"
    assert api.budget.memory.taken == 0
