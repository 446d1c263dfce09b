"""The other end of a signing process: starts it, asks it, ends it.

Reads and writes: a socket pair. Strategy: requests go out as they come and are answered in order, so a queue of futures pairs them.
When things fail: a process that has gone, or says nothing for `SILENCE`, is ended, and whatever it was asked raises `SigningProcessLost`.
Limits: what is under way is bounded by the attempts of delivery.
"""

import asyncio
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast

from sendryd.delivery.signing_process import MAX_KEYS, SIGNED, content_request, key_request, read_replies

SILENCE: Final = 10.0  # seconds without an answer to anything; a signature takes a few thousandths of one
# Without -P a file in the working directory that has the name of a module would be run in its place, with our keys.
PROGRAM: Final = (sys.executable, "-P", "-m", "sendryd.delivery.signing_process")


class SigningProcessLost(Exception):
    """The process has ended, was ended, or could not sign this."""


class SigningLink(asyncio.Protocol):
    """A process that signs, and what it was asked. Made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes], *, silence: float, max_keys: int) -> None:
        self._process = process
        self._silence = silence
        self._max_keys = max_keys
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._known: set[int] = set()
        self._unsaid: list[bytes] = []
        self._buffer = bytearray()
        self._answers = 0
        self._watch: asyncio.TimerHandle | None = None
        self._reason = ""  # why it has ended
        self.is_open = True

    def __repr__(self) -> str:
        return f"<SigningLink process={self._process.pid} waiting={len(self._waiting)} {'open' if self.is_open else 'ended'}>"

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @classmethod
    async def start(cls, *, program: Sequence[str] = PROGRAM, silence: float = SILENCE, max_keys: int = MAX_KEYS) -> "SigningLink":
        """Starts a process, which is ended after `silence` seconds without an answer and knows `max_keys` keys. Raises `OSError`, and
        `RuntimeError` if there is no thread to start it from.
        """
        ours, theirs = socket.socketpair()
        # The thread goes on when we are cancelled, so the other end is its to close.
        starting = asyncio.ensure_future(asyncio.to_thread(_start, program, theirs))
        try:
            process = await asyncio.shield(starting)
        except BaseException:
            ours.close()
            starting.add_done_callback(_end_unwanted)
            raise
        try:
            _, link = await asyncio.get_running_loop().create_unix_connection(
                lambda: cls(process, silence=silence, max_keys=max_keys), sock=ours
            )
        except BaseException:
            ours.close()
            _end_unwanted(starting)
            raise
        return link

    async def sign(self, number: int, make_known: Callable[[], tuple[str, str, bytes]], content: bytes, now: int) -> bytes:
        """The DKIM-Signature field. `make_known` gives domain, selector and PEM of the key with this number. Raises `SigningProcessLost`."""
        if not self.is_open:
            raise SigningProcessLost(self._reason)
        if number not in self._known:
            if len(self._known) >= self._max_keys:  # the process does the same
                self._known.clear()
            self._known.add(number)
            self._say(key_request(number, *make_known()))
        self._say(content_request(number, now, content))
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting.append(future)
        if self._watch is None:
            self._watch = self._loop.call_later(self._silence, self._look, self._answers)
        return await future

    def _say(self, request: bytes) -> None:
        """Writes what is asked for in one round of the loop at once: a system call for each costs more than all the rest here."""
        if not self._unsaid:
            self._loop.call_soon(self._flush)
        self._unsaid.append(request)

    def _flush(self) -> None:
        requests, self._unsaid = self._unsaid, []
        if self.is_open:
            self._transport.write(b"".join(requests))

    def close(self) -> None:
        """Ends the process. What is under way raises `SigningProcessLost`."""
        self._end("the process was ended")

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for status, body in read_replies(self._buffer):
            self._answers += 1
            future = self._waiting.popleft()
            if future.done():  # whoever asked was cancelled
                continue
            if status == SIGNED:
                future.set_result(body)
            else:
                future.set_exception(SigningProcessLost(f"the process could not sign: {body.decode('ascii')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"the process has gone: {exc}" if exc else "the process has gone")

    def _look(self, answers: int) -> None:
        self._watch = None
        if not self._waiting:
            return
        if self._answers == answers:
            self._end(f"the process said nothing for {self._silence:.0f} seconds")
        else:
            self._watch = self._loop.call_later(self._silence, self._look, self._answers)

    def _end(self, reason: str) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._reason = reason
        if self._watch is not None:
            self._watch.cancel()
        self._transport.abort()
        self._process.kill()
        self._process.wait()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(SigningProcessLost(reason))


def _start(program: Sequence[str], theirs: socket.socket) -> subprocess.Popen[bytes]:
    with theirs:
        return subprocess.Popen(program, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)


def _end_unwanted(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        process = starting.result()
        process.kill()
        process.wait()
