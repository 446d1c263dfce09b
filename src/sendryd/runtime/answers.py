"""HTTP answers made of stored contents: made where there is room for the work, sent from a file if they are large.

Whoever reads slowly holds a slice of a large answer in memory, and not for ever: each slice has its time. What is in files has a limit, of which
one account gets half: the disk is not for answers alone.
"""

import asyncio
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sendryd.runtime.budget import BudgetExhausted, Share
from sendryd.runtime.log import get_logger
from sendryd.runtime.scratch import CHUNK, ScratchFile
from sendryd.runtime.turns import BulkTurns

STREAMED: Final = 64 * 1024  # octets of an answer: more is sent from a file
MIN_RATE: Final = 1_000  # octets a second that a client has to take of a large answer: a slow mobile line gives ten times as many
# Of a large content while an answer is made of it: as stored, decoded, as text, and as it is sent.
COPIES: Final = 4
ABORT: Final = "abort"  # in the state of a request: closes its connection at once

log = get_logger("http")


class StreamedAnswer(Response):
    """A body out of a file, whose octets have been taken of a share. A client that is too slow is cut off."""

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
        self.headers["Content-Length"] = str(file.size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI
        """ASGI."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for chunk in self._file.chunks():
                async with asyncio.timeout(CHUNK / MIN_RATE):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await self._turns.wait()  # the next piece is read and sent in a turn of its own
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError) as error:
            log.info("answer_cut_off", path=scope["path"], error=repr(error))
            abort = scope.get("state", {}).get(ABORT)
            if abort is not None:
                abort()
        finally:
            self._drop()


def _drop(file: ScratchFile, room: Share) -> None:
    file.close()
    room.give_back(file.size)


class Answers:
    """Makes them. One for each kind of client."""

    def __init__(self, work: Share, files: Share, turns: BulkTurns, scratch_dir: Path) -> None:
        self._work = work
        self._files = files
        self._turns = turns
        self._scratch_dir = scratch_dir

    @asynccontextmanager
    async def room(self, octets: int) -> AsyncIterator[None]:
        """Room for work on a content of so many octets; a small one needs none. Raises `BudgetExhausted`."""
        if octets <= STREAMED:
            yield
            return
        async with self._work.hold(COPIES * octets):
            yield

    async def make(
        self, *pieces: bytes, owner: object, media_type: str, headers: Mapping[str, str] | None = None, status: int = 200
    ) -> Response:
        """The answer with a body of these pieces, for an account. Raises `OSError`; `BudgetExhausted` at once if too much is in files: room there is
        waited for by nobody who has room for work.
        """
        size = sum(map(len, pieces))
        if size <= STREAMED:
            return Response(b"".join(pieces), status, dict(headers or {}), media_type)
        room = self._files.part(owner, self._files.limit // 2)
        if not room.try_take(size):
            raise BudgetExhausted(f"answers that are being sent leave no room in files for {size} octets")
        try:
            file = await ScratchFile.holding(self._scratch_dir, pieces)
        except BaseException:
            room.give_back(size)
            raise
        return StreamedAnswer(file, room, self._turns, media_type=media_type, headers=headers, status=status)
