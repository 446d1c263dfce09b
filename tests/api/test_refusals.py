"""Every refusal can be met at a door. `CASES` says how: a new key without a case fails here, and so does a case that is answered otherwise."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, cast

import pytest

from sendryd.intake.quota import Quota
from sendryd.model.actor import System
from sendryd.model.apikey import KeyMode, Scope
from sendryd.policy.ratelimit import RateLimiter
from sendryd.policy.refusal import CATALOGUE, Refusal, RefusalKey
from sendryd.runtime.memory import MemoryStream, memory_streams
from sendryd.runtime.tcp import TcpStream
from sendryd.store.errors import StoreFull, StoreUnavailable
from sendryd.submission.listener import ConnectionLimits, Listener
from sendryd.submission.session import Session
from sendryd.testing.api import MAX_SIZE, ApiWorld
from sendryd.testing.door import AUTHOR, CONTENT, LIVE_SECRET, Door, FailingStore
from sendryd.testing.http import Answer
from sendryd.testing.samples import ACCOUNT
from sendryd.testing.stores import open_new_store

TIMEOUT: Final = 30.0  # seconds for one reply
MAIL: Final = {"from": "a@example.test", "to": "b@example.org", "subject": "s", "text": "t"}
Case = Callable[[Path], Awaitable[Answer | bytes]]  # the answer of REST, or the reply of SMTP; the folder is for a store


# REST.


async def ask(
    folder: Path,
    method: str,
    path: str,
    body: object = None,
    *,
    scope: Scope = Scope.FULL_ACCESS,
    mode: KeyMode = KeyMode.LIVE,
    times: int = 1,
    limiter: RateLimiter | None = None,
) -> Answer:
    """The last answer of as many equal requests. A body of octets goes as it is."""
    api = ApiWorld(open_new_store(folder), limiter=limiter)
    try:
        await api.store.ensure_account(ACCOUNT, "default", api.clock.now())
        _, secret = await api.keys.create(System(ACCOUNT), "key", scope=scope, mode=mode)
        if isinstance(body, bytes):
            return await api.request(method, path, [("authorization", f"Bearer {secret}")], body)
        return [await api.send(method, path, secret, body) for _ in range(times)][-1]
    finally:
        await api.aclose()


async def log_in_with_a_bad_key(folder: Path) -> Answer:
    api = ApiWorld(open_new_store(folder))
    try:
        return await api.get("/v1/emails", "sn_live_" + "x" * 43)
    finally:
        await api.aclose()


async def ask_without_a_key(folder: Path) -> Answer:
    api = ApiWorld(open_new_store(folder))
    try:
        return await api.get("/v1/emails")
    finally:
        await api.aclose()


async def use_an_idempotency_key_twice(folder: Path) -> Answer:
    api = ApiWorld(open_new_store(folder))
    try:
        await api.store.ensure_account(ACCOUNT, "default", api.clock.now())
        _, secret = await api.keys.create(System(ACCOUNT), "key", mode=KeyMode.TEST)
        headers = [("authorization", f"Bearer {secret}"), ("idempotency-key", "one")]
        bodies = [json.dumps({**MAIL, "text": text}).encode() for text in ("one", "another")]
        return [await api.request("POST", "/v1/emails", headers, body) for body in bodies][-1]
    finally:
        await api.aclose()


# SMTP.


@asynccontextmanager
async def session_of(door: Door) -> AsyncIterator[MemoryStream]:
    near, far = memory_streams()
    task = asyncio.create_task(Session(near, door.session_context(), is_implicit_tls=True).run())
    await far.read(TIMEOUT)
    try:
        yield far
    finally:
        await far.aclose()
        await asyncio.wait_for(task, TIMEOUT)


async def talk(door: Door, *contents: bytes) -> bytes:
    """The reply to the last of some messages."""
    token = base64.b64encode(b"\0u\0" + LIVE_SECRET.encode())
    lines: Sequence[bytes] = [b"EHLO client.test", b"AUTH PLAIN " + token]
    for content in contents:
        lines = [*lines, f"MAIL FROM:<{AUTHOR}>".encode(), b"RCPT TO:<user@example.org>", b"DATA", content + b"."]
    async with session_of(await door.open()) as client:
        return [await say(client, line) for line in lines][-1]


async def say(client: MemoryStream, line: bytes) -> bytes:
    client.write(line + b"\r\n")
    return await client.read(TIMEOUT)


async def connect_too_often(_folder: Path) -> bytes:
    listener = Listener((await Door().open()).session_context(), ConnectionLimits(unauthenticated_per_address=0))
    near, far = memory_streams()
    listener._start(cast("TcpStream", near), is_implicit_tls=False)
    reply = await far.read(TIMEOUT)
    await listener.aclose(1.0)
    return reply


CASES: Final[dict[RefusalKey, Case]] = {
    RefusalKey.AUTH_FAILED: log_in_with_a_bad_key,
    RefusalKey.KEY_MISSING: ask_without_a_key,
    RefusalKey.SCOPE_MISSING: lambda folder: ask(folder, "POST", "/v1/domains", {"name": "a.test"}, scope=Scope.READ_ONLY),
    RefusalKey.LIVE_KEY_NEEDED: lambda folder: ask(folder, "POST", "/v1/domains", {"name": "a.test"}, mode=KeyMode.TEST),
    RefusalKey.DOMAIN_NOT_VERIFIED: lambda folder: ask(folder, "POST", "/v1/emails", MAIL),
    RefusalKey.MALFORMED_MESSAGE: lambda _: talk(Door(), b"Subject: no author\r\n\r\n"),
    RefusalKey.CONTROL_HEADER: lambda _: talk(Door(), b"X-Sendry-Unheard-Of: 1\r\n" + CONTENT),
    RefusalKey.TOO_MANY_HOPS: lambda _: talk(Door(), b"Received: from a by b\r\n" * 51 + CONTENT),
    RefusalKey.MESSAGE_TOO_BIG: lambda folder: ask(folder, "POST", "/v1/emails", b" " * (MAX_SIZE + 1)),
    RefusalKey.NOT_FOUND: lambda folder: ask(folder, "GET", "/v1/emails/em_0000000000000"),
    RefusalKey.BAD_REQUEST: lambda folder: ask(folder, "POST", "/v1/emails", b"{"),
    RefusalKey.CONFLICT: lambda folder: ask(folder, "POST", "/v1/domains", {"name": "a.test"}, times=2),
    RefusalKey.IDEMPOTENCY_CONFLICT: use_an_idempotency_key_twice,
    RefusalKey.VALIDATION_ERROR: lambda folder: ask(folder, "POST", "/v1/emails", {}),
    RefusalKey.RATE_LIMITED: lambda folder: ask(folder, "GET", "/v1/emails", times=2, limiter=RateLimiter(1, 60)),
    RefusalKey.QUOTA_REACHED: lambda _: talk(Door(account_quota=Quota(1, timedelta(days=1))), CONTENT, CONTENT),
    RefusalKey.TOO_MANY_CONNECTIONS: connect_too_often,
    RefusalKey.TEMPORARILY_UNAVAILABLE: lambda _: talk(Door(accept_store=FailingStore(StoreUnavailable("gone"))), CONTENT),
    RefusalKey.STORAGE_FULL: lambda _: talk(Door(accept_store=FailingStore(StoreFull("full"))), CONTENT),
}


def test_every_refusal_has_a_case() -> None:
    assert set(CASES) == set(RefusalKey) == set(CATALOGUE)


@pytest.mark.parametrize("key", list(CASES))
async def test_a_door_refuses_as_the_catalogue_says(key: RefusalKey, tmp_path: Path) -> None:
    answer = await CASES[key](tmp_path)
    refusal = Refusal(key)
    sentence = re.escape(CATALOGUE[key].sentence).replace(re.escape("{}"), ".+")
    if isinstance(answer, Answer):
        assert (answer.status, answer.json["error"]["code"]) == (refusal.http_status, refusal.http_code)
        assert re.fullmatch(sentence, answer.json["error"]["message"])
    else:
        assert re.fullmatch(f"{refusal.smtp.code} {refusal.smtp.enhanced} {sentence}\r\n", answer.decode())
