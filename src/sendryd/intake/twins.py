"""Requests with the same idempotency key at the same time: one goes ahead, the others wait for what it comes to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sendryd.model.ids import AccountId

PATIENCE: Final = 30.0  # seconds that a twin waits: the contract


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
