"""The content of one transaction while it is received: in memory while it is small and there is room, else in a file.

A file costs no memory, however slow the client is. A content never waits for memory. A content without room in files waits for it, up to
`ROOM_TIMEOUT`, and takes the size that its client declared. A content that outgrows its declaration gets more room at once or is refused:
contents that each held a part and waited for more would deadlock.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.runtime.budget import IN_MEMORY, BudgetExhausted, ContentBudget, Share
from sendryd.runtime.scratch import ScratchFile
from sendryd.smtp.events import DataEnded
from sendryd.smtp.server import ServerConnection

ROOM_TIMEOUT: Final = 30.0  # seconds to wait for room in files; the client's own time-out is minutes
# Copies of a large content that acceptance makes: as received and as stored; one more where long lines are re-encoded.
COPIES: Final = 2


class IncomingContent:
    """The content buffer of one session, reused for each transaction."""

    def __init__(self, machine: ServerConnection, budget: ContentBudget, folder: Path) -> None:
        self._machine = machine
        self._budget = budget
        self._folder = folder
        self._memory: Share | None = None
        self._in_memory = 0  # octets taken of the memory budget
        self._files: Share | None = None
        self._room_in_files = 0  # octets taken of the budget for files
        self._in_file = 0
        self._file: ScratchFile | None = None

    def __repr__(self) -> str:
        return f"<IncomingContent {self._in_memory} octets in memory, {self._in_file} in a file>"

    @property
    def is_in_file(self) -> bool:
        """Whether a part of the content is in a file."""
        return self._in_file > 0

    def hold(self, key: ApiKey) -> bool:
        """Takes room for the octets that the machine holds. False if they must go to a file: call `spill`."""
        if self._memory is None and self._files is None and not self._machine.has_content:
            return True
        if self._in_file and self._in_file > self._machine.content_given:  # RSET between chunks, or an invalid content
            self._close_file()
        size = self._machine.content_size
        more = size - self._in_memory
        if more <= 0:
            self._give_back_memory(-more)
            return True
        if size > self._budget.received_in_memory:
            return False
        if self._memory is None:
            self._memory = self._budget.receipt(key.id, is_test=key.mode is KeyMode.TEST)
        if not self._memory.try_take(more):
            return False
        self._in_memory += more
        return True

    async def spill(self, key: ApiKey, declared: int = 0) -> None:
        """Moves the received octets to a file. `declared` is the size that the client announced, 0 if none.

        Raises `BudgetExhausted`, `OSError`: the content must then be refused.
        """
        pieces = self._machine.give_content()
        octets = sum(map(len, pieces))
        if octets:
            await self._take_files(key, self._in_file + octets, declared)
            self._in_file += octets
            if self._file is None:
                self._file = await asyncio.to_thread(ScratchFile, self._folder)
            await self._file.append(pieces)
        self._give_back_memory(max(0, self._in_memory - self._machine.content_size))

    async def _take_files(self, key: ApiKey, octets: int, declared: int) -> None:
        """Takes room in files for this total size."""
        if self._files is None:
            files = self._budget.incoming(key.id, is_test=key.mode is KeyMode.TEST)
            wanted = max(octets, min(declared, files.limit))
            await files.take(wanted, ROOM_TIMEOUT)
            self._files, self._room_in_files = files, wanted
        elif octets > self._room_in_files:
            if not self._files.grow(octets - self._room_in_files):
                raise BudgetExhausted(f"there is no room in files for more than {self._room_in_files} octets")
            self._room_in_files = octets

    @asynccontextmanager
    async def whole(self, event: DataEnded, key: ApiKey) -> AsyncIterator[bytes]:
        """The whole content, with memory for the work on it held meanwhile. Raises `BudgetExhausted`, `OSError`."""
        size = self._in_file + len(event.content)
        copies = COPIES + event.longest_line_over_998
        work = self._budget.accepting(is_test=key.mode is KeyMode.TEST)
        async with work.hold(copies * size if size > IN_MEMORY else 0):
            file = self._file
            if file is None:
                yield event.content
                return
            await file.append([event.content])
            content = await file.read()
            self._close_file()
            yield content

    def drop(self) -> None:
        """Returns all room: the content is stored or refused."""
        if self._memory is not None:
            self._give_back_memory(self._in_memory)
        if self._files is not None:
            self._close_file()

    def _give_back_memory(self, octets: int) -> None:
        if self._memory is not None:
            self._memory.give_back(octets)
            self._in_memory -= octets
            if not self._in_memory:
                self._memory = None

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._files is not None:
            self._files.give_back(self._room_in_files)
            self._files, self._room_in_files = None, 0
        self._in_file = 0
