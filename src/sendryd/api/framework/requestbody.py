"""The body of a request while it comes in, and the room for what is made of it.

A body is in memory while it is small and there is room, else in a file. The room in files for a body whose length is declared is taken before it
is read. One without a declared length gets more room at once, or is refused: bodies that each had a part and waited for more would wait for one
another. A large one is brought into memory when there is room for the work on
it, with all its copies.
"""

import asyncio
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request

from sendryd.api.framework.requests import Refused
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.budget import IN_MEMORY, BudgetExhausted, ContentBudget, Share
from sendryd.runtime.scratch import ScratchFile

ROOM_TIMEOUT: Final = 30.0  # seconds to wait for room in files
RETRY_AFTER: Final = 5  # seconds, for clients that found no room: longer than the work on one request
# Of a large body at once, as JSON, text, attachments, and the message that is made of them.
COPIES: Final = 5


class Room:
    """What one request has of the memory for work."""

    def __init__(self, work: Share) -> None:
        self._work = work
        self._octets = 0

    def __repr__(self) -> str:
        return f"<Room for {self._octets} octets>"

    async def make(self, octets: int) -> None:
        """Takes room for work on `octets` of JSON or of a message, in place of the room held before. Small ones need none. Raises
        `BudgetExhausted`.
        """
        self.give_back()
        if octets > IN_MEMORY:
            needed = min(COPIES * octets, self._work.limit)
            await self._work.take(needed)
            self._octets = needed

    def give_back(self) -> None:
        """The work is done. May be called again."""
        self._work.give_back(self._octets)
        self._octets = 0


class RequestBody:
    """One body. Close it."""

    def __init__(self, budget: ContentBudget, scratch_dir: Path, key: ApiKey | None) -> None:
        self._budget = budget
        self._scratch_dir = scratch_dir
        self._key = key
        self._pieces: list[bytes] = []
        self._in_memory = 0
        self._files: Share | None = None
        self._in_file = 0
        self._room_in_files = 0  # octets taken for it
        self._file: ScratchFile | None = None

    def __repr__(self) -> str:
        return f"<RequestBody {self._in_memory} octets in memory, {self._in_file} in a file>"

    async def read(self, request: Request, limit: int, room: Room) -> bytes:
        """All of it, if it is not over the limit. What is over it is refused before it is in memory. Raises `Refused`, `BudgetExhausted`,
        `OSError`.
        """
        declared = Headers(scope=request.scope).get("content-length")
        if declared is not None and declared.isascii() and declared.isdigit():
            if int(declared) > limit:
                raise _too_large(limit)
            if int(declared) > IN_MEMORY:
                await self._take_files(int(declared))
        size = 0
        async for piece in request.stream():
            if self._file is not None:
                await self._budget.turns.wait()
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            await self._keep(piece)
        if self._file is not None:  # before there is room for work: whoever has that waits for no peer
            await self._spill()
        await room.make(size)
        if self._file is not None:
            whole = await self._file.read()
        else:
            whole = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if room_is_needed(size):
            self.close()
        return whole

    async def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        if self._in_memory + len(piece) <= IN_MEMORY and self._budget.requests.try_take(len(piece)):
            self._in_memory += len(piece)
        else:
            await self._spill()

    async def _spill(self) -> None:
        """Moves what is in memory to a file."""
        pieces, self._pieces = self._pieces, []
        octets = sum(map(len, pieces))
        if not octets:
            return
        await self._take_files(self._in_file + octets - self._room_in_files)
        self._in_file += octets
        if self._file is None:
            self._file = await asyncio.to_thread(ScratchFile, self._scratch_dir)
        await self._file.append(pieces)
        self._budget.requests.give_back(self._in_memory)
        self._in_memory = 0

    async def _take_files(self, octets: int) -> None:
        """Takes more room in files, if more is needed. Only a body that has none waits for it."""
        if octets <= 0:
            return
        if self._files is None:
            is_test = self._key is not None and self._key.mode is KeyMode.TEST
            files = self._budget.incoming(self._key.id if self._key else None, is_test=is_test)
            await files.take(octets, ROOM_TIMEOUT)
            self._files = files
        elif not self._files.grow(octets):
            raise BudgetExhausted(f"there is no room in files for more than {self._room_in_files} octets")
        self._room_in_files += octets

    def close(self) -> None:
        """Gives everything back. May be called again."""
        self._pieces.clear()
        self._budget.requests.give_back(self._in_memory)
        self._in_memory = 0
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._files is not None:
            self._files.give_back(self._room_in_files)
            self._files, self._in_file, self._room_in_files = None, 0, 0


def room_is_needed(octets: int) -> bool:
    """Whether `Room` accounts for a body of this size."""
    return octets > IN_MEMORY


def no_room(error: BudgetExhausted | OSError) -> Refused:
    """The refusal when no room became free in time, or the disk failed."""
    key = RefusalKey.TEMPORARILY_UNAVAILABLE if isinstance(error, BudgetExhausted) else RefusalKey.STORAGE_FULL
    return Refused(Refusal(key), headers={"Retry-After": str(RETRY_AFTER)})


def _too_large(limit: int) -> Refused:
    return Refused(Refusal(RefusalKey.MESSAGE_TOO_BIG), details={"limit": limit})
