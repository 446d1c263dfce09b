"""HTTP answers with stored contents: made within the memory budget, sent from a file if they are large.

A slow client holds only a slice of a large answer in memory, and must read at `MIN_RATE`. The files have a limit, and one account gets half of it.
When it is reached, the slowest answers of the account, or of all accounts, are cut off to make room for new ones.
"""

import asyncio
import math
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sendryd.runtime.budget import BudgetExhausted, Share
from sendryd.runtime.log import get_logger
from sendryd.runtime.scratch import ScratchFile
from sendryd.runtime.turns import BulkTurns

STREAMED: Final = 64 * 1024  # octets: larger answers are sent from a file
MIN_RATE: Final = 4_000  # octets a second that a client must read of a large answer: a slow mobile line reads three times that
GRACE: Final = 60.0  # seconds that a client may lag: sockets take a large answer in lumps of a megabyte
SLOW_RATE: Final = 64_000  # octets a second: slower answers may be cut off when others need room; a line of half a megabit
SLOW_AFTER: Final = 20.0  # seconds before a rate is meaningful
# Copies of a large content while its answer is made: stored, decoded, as text, as sent.
COPIES: Final = 4
ABORT: Final = "abort"  # key in a request's state: a function that closes its connection at once

log = get_logger("http")


class StreamedAnswer(Response):
    """A response body from a file, whose size is taken of a share. Cuts off a client that is too slow."""

    def __init__(
        self,
        file: ScratchFile,
        room: Share,
        turns: BulkTurns,
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> None:
        super().__init__(None, status, dict(headers or {}), media_type)
        self._file = file
        self._turns = turns
        self._drop = weakref.finalize(self, _drop, file, room)  # also when the answer is never sent
        self._taken = 0  # octets
        self._started: float | None = None  # the loop's time; None before it is sent and after
        self._abort: Callable[[], None] | None = None
        self.room = room
        self.headers["Content-Length"] = str(file.size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI
        """ASGI."""
        loop = asyncio.get_running_loop()
        self._started = loop.time()
        self._abort = scope.get("state", {}).get(ABORT)
        due = self._started + GRACE
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in self._file.chunks():
                async with asyncio.timeout_at(due):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self._taken += len(chunk)
                due = min(due + len(chunk) / MIN_RATE, loop.time() + GRACE)  # a fast beginning does not allow hours for the rest
                await self._turns.wait()  # the next piece is read and sent in a turn of its own
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError) as error:
            log.info("answer_cut_off", path=scope["path"], error=repr(error))
            self.cut_off()
        finally:
            self._started = None
            self._drop()

    @property
    def rate(self) -> float:
        """Octets a second that the client reads; infinite until it is known."""
        if self._started is None:
            return math.inf
        seconds = asyncio.get_running_loop().time() - self._started
        return self._taken / seconds if seconds >= SLOW_AFTER else math.inf

    def cut_off(self) -> None:
        """Closes the connection and returns the room at once."""
        self._drop()
        if self._abort is not None:
            self._abort()


def _drop(file: ScratchFile, room: Share) -> None:
    file.close()
    room.give_back(file.size)


class Answers:
    """Makes the answers for one kind of client."""

    def __init__(self, work: Share, files: Share, turns: BulkTurns, scratch_dir: Path) -> None:
        self._work = work
        self._files = files
        self._turns = turns
        self._scratch_dir = scratch_dir
        self._sent: weakref.WeakSet[StreamedAnswer] = weakref.WeakSet()

    @asynccontextmanager
    async def room(self, octets: int) -> AsyncIterator[None]:
        """Holds memory for the work on a content of this size; a small one needs none. Raises `BudgetExhausted`."""
        if octets <= STREAMED:
            yield
            return
        async with self._work.hold(COPIES * octets):
            yield

    async def make(
        self, *pieces: bytes, owner: object, media_type: str, headers: Mapping[str, str] | None = None, status: int = 200
    ) -> Response:
        """The response with a body of these pieces, for an account.

        Raises `OSError`; `BudgetExhausted` at once if the files are full: a holder of working memory must not wait for room in files.
        """
        size = sum(map(len, pieces))
        if size <= STREAMED:
            return Response(b"".join(pieces), status, dict(headers or {}), media_type)
        room = self._files.part(owner, self._files.limit // 2)
        while not room.try_take(size):
            if not self._cut_off_slowest(room, size):
                raise BudgetExhausted(f"answers that are being sent leave no room in files for {size} octets")
        try:
            file = await ScratchFile.holding(self._scratch_dir, pieces)
        except BaseException:
            room.give_back(size)
            raise
        answer = StreamedAnswer(file, room, self._turns, media_type=media_type, headers=headers, status=status)
        self._sent.add(answer)
        return answer

    def _cut_off_slowest(self, room: Share, size: int) -> bool:
        """Cuts off slow answers to make room for one of this size. False if no client is slow."""
        is_of_account = room.taken + size > room.limit  # room of other accounts would not help
        slow = [each for each in self._sent if each.rate < SLOW_RATE and (not is_of_account or each.room is room)]
        if not slow:
            return False
        slowest = min(slow, key=lambda each: each.rate)
        self._sent.discard(slowest)
        slowest.cut_off()
        return True
