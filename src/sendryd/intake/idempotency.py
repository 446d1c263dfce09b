"""Runs a request once for each idempotency key, over SMTP, REST and scheduled reports.

The answer is stored in the commit of the request's messages (decision 19), so that a repeat gets the same octets, also after a crash. Of
concurrent requests with one key the first runs, and the others wait for its answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.store.base import AcceptStore, Answer
from sendryd.store.errors import AlreadyAnswered

ANSWERS_KEPT: Final = timedelta(hours=24)  # the contract
WAIT_TIMEOUT: Final = 30.0  # seconds that a concurrent repeat waits: the contract
_TEST_ANSWERS: Final = "test\t"  # prefix of the names of test mail's answers; a client's key has no control character

_UNDER_WAY: Final = Refusal(RefusalKey.IDEMPOTENCY_CONFLICT, "A request with this idempotency key is still being handled: try again later")
_ANOTHER: Final = Refusal(
    RefusalKey.IDEMPOTENCY_CONFLICT, "This idempotency key was used for another request: use a new key for each request"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to run once. Its name is its idempotency key, as `answer_name` writes it."""

    account_id: AccountId
    name: str
    fingerprint: bytes  # identifies the request among others under the same key


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request."""

    body: bytes
    is_repeat: bool = False  # an earlier request ran


def answer_name(mode: KeyMode, key: str) -> str:
    """The name under which an answer is stored. Test mail has its own names, so that a test key cannot take those of live mail."""
    return key if mode is KeyMode.LIVE else _TEST_ANSWERS + key


class KeyBusy(Exception):
    """Another request holds the key for longer than `WAIT_TIMEOUT`."""


class KeyLocks:
    """A lock for each account and idempotency key in this process; between processes the store's row decides."""

    def __init__(self) -> None:
        self._locks: dict[tuple[AccountId, str], tuple[asyncio.Lock, int]] = {}

    def __repr__(self) -> str:
        return f"<KeyLocks {len(self._locks)} keys in use>"

    @asynccontextmanager
    async def hold(self, account_id: AccountId, key: str) -> AsyncIterator[None]:
        """Holds the lock of a key. Raises `KeyBusy` if it is not free in time."""
        name = (account_id, key)
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            try:
                async with asyncio.timeout(WAIT_TIMEOUT):
                    await lock.acquire()
            except TimeoutError:
                raise KeyBusy from None
            try:
                yield
            finally:
                lock.release()
        finally:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, users - 1)


class Idempotency:
    """Stored answers to requests with an idempotency key, and the locks of keys in use."""

    def __init__(self, store: AcceptStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._locks = KeyLocks()

    @property
    def kept_since(self) -> datetime:
        """The time before which stored answers have expired."""
        return self._clock.settled() - ANSWERS_KEPT

    def make_answer(self, asked: Asked, body: bytes) -> Answer:
        """An answer to commit with the messages of its request."""
        return Answer(account_id=asked.account_id, key=asked.name, fingerprint=asked.fingerprint, body=body, created_at=self._clock.now())

    async def once(self, asked: Asked, send: Callable[[], Awaitable[Answered | Refusal]]) -> Answered | Refusal:
        """Runs `send` once for each key; a repeat gets the stored answer. `send` commits its answer with its messages.

        Raises `StoreError`.
        """
        try:
            async with self._locks.hold(asked.account_id, asked.name):
                answer = await self._find(asked.account_id, asked.name)
                if answer is None:
                    return await send()
        except AlreadyAnswered as answered:  # another process ran it between the look-up and the commit
            answer = answered.answer
        except KeyBusy:
            return _UNDER_WAY
        return Answered(answer.body, is_repeat=True) if answer.fingerprint == asked.fingerprint else _ANOTHER

    async def _find(self, account_id: AccountId, name: str) -> Answer | None:
        answer = await self._store.find_answer(account_id, name, kept_since=self.kept_since)
        if answer is None and name.startswith(_TEST_ANSWERS):  # a key that live mail has used is taken for test mail too
            answer = await self._store.find_answer(account_id, name.removeprefix(_TEST_ANSWERS), kept_since=self.kept_since)
        return answer
