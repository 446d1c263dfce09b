"""Suppressed addresses, cached in memory: `intake` looks up every recipient, and nearly none is suppressed.

Changes by this process are seen at once; changes by other processes within half a second, by a number that grows with every change. An account
with more than `Sizes.suppressed_kept` addresses is not cached.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.queries import SQL

CHECK_INTERVAL: Final = 0.5  # seconds between reads of the number: a change must take effect within one second


class Suppressed:
    """The cached addresses of each account that was looked up."""

    def __init__(self, database: Database, monotonic: Callable[[], float] | None) -> None:
        """`monotonic` is a clock's; without one, each look-up checks for changes."""
        self._database = database
        self._monotonic = monotonic
        self._version = -1
        self._checked = float("-inf")  # when the last completed check began
        self._checking = asyncio.Lock()
        self._changes = 0  # changes by this process; the database has them before `add` and `discard` are called
        self._kept: dict[int, set[str] | None] = {}  # None: too many to cache

    async def find(self, account_id: int, emails: Sequence[str]) -> frozenset[str]:
        """The addresses among these that are suppressed."""
        await self._look_for_changes()
        if account_id not in self._kept:
            await self._keep(account_id)
        kept = self._kept.get(account_id)
        if kept is None:
            found = [email for email in emails if await self._database.find_row(SQL["is_suppressed"], account_id=account_id, email=email)]
            return frozenset(found)
        return frozenset(kept.intersection(emails)) if kept else frozenset()

    async def _look_for_changes(self) -> None:
        if self._is_fresh():
            return
        async with self._checking:  # a look-up that comes meanwhile waits for the answer
            if self._is_fresh():
                return
            began = 0.0 if self._monotonic is None else self._monotonic()
            row = await self._database.find_row(SQL["read_lists_version"])
            version = int(row["version"]) if row else 0
            if version != self._version:
                self._kept.clear()
                self._version = version
            self._checked = began

    def _is_fresh(self) -> bool:
        return self._monotonic is not None and self._monotonic() - self._checked < CHECK_INTERVAL

    async def _keep(self, account_id: int) -> None:
        """Loads the addresses and caches them, unless something changed meanwhile: then this look-up reads the database."""
        version = self._version, self._changes
        loaded = await self._load(account_id)
        if (self._version, self._changes) == version:
            self._kept[account_id] = loaded

    async def _load(self, account_id: int) -> set[str] | None:
        most = self._database.sizes.suppressed_kept
        rows = await self._database.read_rows(SQL["load_suppressed"], account_id=account_id, limit=most + 1)
        return None if len(rows) > most else {str(row["email"]) for row in rows}

    def add(self, account_id: int, emails: Iterable[str]) -> None:
        """Adds addresses that this process has just suppressed."""
        self._changes += 1
        kept = self._kept.get(account_id)
        if kept is not None:
            kept.update(emails)

    def discard(self, account_id: int, email: str) -> None:
        """Removes an address whose suppression this process has just lifted."""
        self._changes += 1
        kept = self._kept.get(account_id)
        if kept is not None:
            kept.discard(email)
