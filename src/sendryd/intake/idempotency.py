"""What is asked for twice under one idempotency key is done once, by whichever door it comes.

The answer to a request is stored in the commit that does what was asked (decision 19), so that a repeat is answered with the same octets,
after a crash too. Of twins at the same time one goes ahead, and the others wait for what it comes to.
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
PATIENCE: Final = 30.0  # seconds that a twin waits: the contract
_TEST_ANSWERS: Final = "test\t"  # begins the names of test mail's answers; no given key has a control character

_UNDER_WAY: Final = Refusal(RefusalKey.IDEMPOTENCY_CONFLICT, "A request with this idempotency key is still being handled: try again later")
_ANOTHER: Final = Refusal(
    RefusalKey.IDEMPOTENCY_CONFLICT, "This idempotency key was used for another request: use a new key for each request"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is done once. Its name is its idempotency key, as `answer_name` writes it."""

    account_id: AccountId
    name: str
    fingerprint: bytes  # tells the request from others under the same key


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request is answered."""

    body: bytes
    is_repeat: bool = False  # it was done before


def answer_name(mode: KeyMode, key: str) -> str:
    """The name under which an answer is kept. Test mail has names of its own, so that a test key cannot use up those of live mail."""
    return key if mode is KeyMode.LIVE else _TEST_ANSWERS + key


class TwinUnderWay(Exception):
    """The first of the twins took longer than the others wait."""


class Twins:
    """Turns by account and key, within this process; across processes the store's own row decides."""

    def __init__(self) -> None:
        self._locks: dict[tuple[AccountId, str], tuple[asyncio.Lock, int]] = {}

    def __repr__(self) -> str:
        return f"<Twins {len(self._locks)} keys in use>"

    @asynccontextmanager
    async def turn(self, account_id: AccountId, key: str) -> AsyncIterator[None]:
        """One at a time under a key. Raises `TwinUnderWay` if the turn does not come in time."""
        name = (account_id, key)
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            try:
                async with asyncio.timeout(PATIENCE):
                    await lock.acquire()
            except TimeoutError:
                raise TwinUnderWay from None
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
    """The answers to requests with a key, and turns for their twins."""

    def __init__(self, store: AcceptStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._twins = Twins()

    @property
    def kept_since(self) -> datetime:
        """Older answers are forgotten."""
        return self._clock.settled() - ANSWERS_KEPT

    def make_answer(self, asked: Asked, body: bytes) -> Answer:
        """An answer, to be committed with what it tells of."""
        return Answer(account_id=asked.account_id, key=asked.name, fingerprint=asked.fingerprint, body=body, created_at=self._clock.now())

    async def once(self, asked: Asked, send: Callable[[], Awaitable[Answered | Refusal]]) -> Answered | Refusal:
        """What `send` comes to, which commits its answer with what it does; or what it came to when it was sent before.

        Raises `StoreError`.
        """
        try:
            async with self._twins.turn(asked.account_id, asked.name):
                answer = await self._find(asked.account_id, asked.name)
                if answer is None:
                    return await send()
        except AlreadyAnswered as answered:  # by another process, between the look and the commit
            answer = answered.answer
        except TwinUnderWay:
            return _UNDER_WAY
        return Answered(answer.body, is_repeat=True) if answer.fingerprint == asked.fingerprint else _ANOTHER

    async def _find(self, account_id: AccountId, name: str) -> Answer | None:
        answer = await self._store.find_answer(account_id, name, kept_since=self.kept_since)
        if answer is None and name.startswith(_TEST_ANSWERS):  # what live mail has used is taken for test mail too
            answer = await self._store.find_answer(account_id, name.removeprefix(_TEST_ANSWERS), kept_since=self.kept_since)
        return answer
