"""Budgets: how much content the process may hold in memory, and how much it may keep in temporary files.

A budget is divided into shares: each has a limit, and a reserve that the others cannot take. Small contents take octets while they are in
memory. A large content is in a file while a peer is awaited, and takes octets for all its copies only while it is processed: a slow peer holds
little memory, and a waiter for the budget waits for work, not for a peer.

Waiters are served by rank, then in turn among the shares, then by arrival. A waiter that does not fit blocks later ones for the same room, so
that small requests never starve a large one.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sendryd.runtime.turns import BulkTurns

MIB: Final = 1024 * 1024
# Octets of content in memory. With 100 MB for the program itself and what the allocator keeps, the process stays below 400 MB.
MEMORY_LIMIT: Final = 240 * MIB
FILES_LIMIT: Final = 4096 * MIB  # octets in temporary files: a hundred contents of the largest size
IN_MEMORY: Final = 256 * 1024  # octets of a content or body that comes in; many times the usual message. A larger one goes to a file
# Octets of a content received by SMTP that stay in memory while it comes in, if its key's share has room: a file costs a write and a read of each
# octet. Attachments of a usual size fit.
RECEIVED_IN_MEMORY: Final = 2 * MIB
WORK_TIMEOUT: Final = 20.0  # seconds to wait for room; clients wait a minute for an answer at least


class BudgetExhausted(Exception):
    """No room became free in time."""


@dataclass(slots=True, eq=False)
class _Waiter:
    octets: int
    future: asyncio.Future[None]


class Share:
    """A budget or a part of one."""

    def __init__(self, limit: int, *, parent: "Share | None" = None, reserved: int = 0, rank: int = 0) -> None:
        self.limit = limit
        self.taken = 0
        self.timeout = WORK_TIMEOUT  # seconds to wait for room unless told otherwise; that of a whole budget counts
        self._parent = parent
        self._reserved = reserved  # octets that the parent reserves for this share
        self._rank = rank  # a lower one is served first
        self._common = limit  # octets that no child has reserved
        self._common_taken = 0
        self._root: Share = parent._root if parent else self
        self._waiters: deque[_Waiter] = deque()
        self._served = 0
        self._parts: dict[object, Share] = {}
        self._lines: list[Share] = []  # in the root: shares with waiters
        self._turns = itertools.count(1)
        if parent is not None:
            parent._common -= reserved

    def __repr__(self) -> str:
        return f"<Share {self.taken} of {self.limit} octets taken>"

    def share(self, limit: int, *, reserved: int = 0, rank: int = 0) -> "Share":
        """A new child of this share."""
        return Share(limit, parent=self, reserved=reserved, rank=rank)

    def part(self, owner: object, limit: int) -> "Share":
        """The child of one owner, such as a key. It is dropped when nothing is taken of it."""
        found = self._parts.get(owner)
        if found is None:
            for each in [each for each, part in self._parts.items() if not part.taken and not part._waiters]:
                del self._parts[each]
            found = self._parts[owner] = Share(limit, parent=self, rank=self._rank)
        return found

    @property
    def waiting(self) -> int:
        """Number of waiters in the whole budget."""
        return sum(len(line._waiters) for line in self._root._lines)

    def try_take(self, octets: int) -> bool:
        """Takes `octets`; False, and takes nothing, if there is no room for them at once."""
        if not self._root._lines:
            if self._obstacle(octets) is not None:
                return False
            self._add(octets)
            return True
        waiter = self._enqueue(octets, asyncio.get_running_loop().create_future())
        return waiter.future.done() or self._leave(waiter)

    def grow(self, octets: int) -> bool:
        """Takes more for a holder; False, and takes nothing, if there is no room.

        Holders take precedence over waiters and never wait themselves: two holders that wait for each other would deadlock. A holder that
        gets no room must return what it holds.
        """
        if self._obstacle(octets) is not None:
            return False
        self._add(octets)
        return True

    async def take(self, octets: int, timeout: float | None = None) -> None:
        """Waits for room and takes it. Raises `BudgetExhausted` after `timeout` seconds, those of the whole budget by default."""
        seconds = self._root.timeout if timeout is None else timeout
        if octets > self.limit:
            raise BudgetExhausted(f"{octets} octets are more than the {self.limit} of the whole share")
        if not self._root._lines and self._obstacle(octets) is None:
            self._add(octets)
            return
        waiter = self._enqueue(octets, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(seconds):
                await waiter.future
        except BaseException as error:
            if waiter.future.done() and not waiter.future.cancelled():
                self.give_back(octets)
            else:
                self._leave(waiter)
            if isinstance(error, TimeoutError):
                raise BudgetExhausted(f"there was no room for {octets} octets in {seconds:g} seconds") from None
            raise

    @asynccontextmanager
    async def hold(self, octets: int, timeout: float | None = None) -> AsyncIterator[None]:
        """Holds room for a piece of work; the whole share if it needs more. Raises `BudgetExhausted`."""
        octets = min(octets, self.limit)
        await self.take(octets, timeout)
        try:
            yield
        finally:
            self.give_back(octets)

    def give_back(self, octets: int) -> None:
        """Returns taken octets."""
        if octets:
            self._add(-octets)
            if self._root._lines:
                self._root._serve()

    def _obstacle(self, octets: int) -> "Share | None":
        """The share, this one or an ancestor, without room for `octets` more; None if all have room."""
        share = self
        while share.taken + octets <= share.limit:
            parent = share._parent
            if parent is None:
                return None
            if parent._common_taken + share._beyond_reserve(octets) > parent._common:
                return parent
            share = parent
        return share

    def _beyond_reserve(self, octets: int) -> int:
        """The part of a change of `octets` that comes out of the parent's common room, not of the reserve."""
        return max(0, self.taken + octets - self._reserved) - max(0, self.taken - self._reserved)

    def _add(self, octets: int) -> None:
        share = self
        while (parent := share._parent) is not None:
            parent._common_taken += share._beyond_reserve(octets)
            share.taken += octets
            share = parent
        share.taken += octets

    # Waiting.

    def _enqueue(self, octets: int, future: asyncio.Future[None]) -> _Waiter:
        waiter = _Waiter(octets, future)
        if not self._waiters:
            self._root._lines.append(self)
        self._waiters.append(waiter)
        self._root._serve()
        return waiter

    def _leave(self, waiter: _Waiter) -> bool:
        """Gives up waiting; False."""
        if waiter in self._waiters:  # else its task was cancelled just before its turn
            self._waiters.remove(waiter)
            if not self._waiters:
                self._root._lines.remove(self)
            self._root._serve()
        return False

    def _serve(self) -> None:
        """Serves waiters with the free room."""
        blocked: set[Share] = set()
        while True:
            line = min(
                (each for each in self._lines if not each._is_behind(blocked)), key=lambda each: (each._rank, each._served), default=None
            )
            if line is None:
                return
            waiter = line._waiters[0]
            obstacle = line._obstacle(waiter.octets)
            if obstacle is not None:
                blocked |= {obstacle, line}
                continue
            line._waiters.popleft()
            if not line._waiters:
                self._lines.remove(line)
            line._served = next(self._turns)
            if not waiter.future.done():
                line._add(waiter.octets)
                waiter.future.set_result(None)

    def _is_behind(self, blocked: set["Share"]) -> bool:
        return self in blocked or (self._parent is not None and self._parent._is_behind(blocked))


class ContentBudget:
    """The shares of a process: 160 MiB for work, which is one message or request of the largest size with all its copies, the rest for
    small contents. The limits together exceed the budget: the shares are rarely full at once, and each has its reserve.
    """

    def __init__(self, memory: int = MEMORY_LIMIT, files: int = FILES_LIMIT, *, received_in_memory: int = RECEIVED_IN_MEMORY) -> None:
        self.received_in_memory = received_in_memory  # octets of one content
        unit = memory // 30  # 8 MiB
        self.turns = BulkTurns()
        self.memory = Share(memory)
        self.files = Share(files)
        # In memory while a peer is awaited: small contents, and the beginnings of large ones.
        self._receipt = (self.memory.share(5 * unit, reserved=4 * unit), self.memory.share(2 * unit, reserved=unit, rank=1))
        self.requests = self.memory.share(2 * unit, reserved=unit)  # bodies of REST requests
        self.handed_over = self.memory.share(4 * unit, reserved=unit)  # accepted and not yet sent
        self.sending = self.memory.share(4 * unit, reserved=2 * unit)  # read to be sent
        # In memory while it is processed.
        self.work = self.memory.share(20 * unit, reserved=20 * unit)
        self._accepting = (self.work.share(self.work.limit), self.work.share(self.work.limit, rank=1))
        self.composing = self.work.share(self.work.limit)  # REST requests
        self.signing = self.work.share(self.work.limit)  # deliveries
        self.answering = self.work.share(self.work.limit)  # REST answers
        self.showing = self.work.share(self.work.limit, rank=1)  # pages for strangers
        self._files = (self.files.share(files, reserved=files // 2), self.files.share(files // 4, rank=1))
        self.sending_files = self.files.share(files // 4, reserved=files // 4)  # contents in another form than stored
        self.answer_files = self.files.share(files // 4)  # REST answers
        self.page_files = self.files.share(files // 16, rank=1)  # pages for strangers

    def __repr__(self) -> str:
        return f"<ContentBudget {self.memory.taken} of {self.memory.limit} octets in memory, {self.files.taken} in files>"

    def receipt(self, owner: object, *, is_test: bool) -> Share:
        """A key's share of the memory for contents received by SMTP: most of it, because the content of a key without room goes to a file, and is
        not refused. Live keys are served before test keys, here and below.
        """
        share = self._receipt[is_test]
        return share.part(owner, share.limit * 3 // 5)

    def incoming(self, owner: object, *, is_test: bool) -> Share:
        """A key's share of the files for contents received by SMTP."""
        share = self._files[is_test]
        return share.part(owner, share.limit // 2)

    def accepting(self, *, is_test: bool) -> Share:
        """The share for work on large contents received by SMTP."""
        return self._accepting[is_test]

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {
            "memory_octets": self.memory.taken,
            "working_octets": self.work.taken,
            "file_octets": self.files.taken,
            "waiting": self.memory.waiting + self.files.waiting,
        }
