"""Sessions with mail servers, written to the log line by line: what `sendryd queue trace` asks for.

Does: keeps the requests in memory, gives a session of a domain that is asked for a transcript, and counts it.
Reads: the requests, each second. Writes: the log; what is left of a request.
Limits: no content and no password is written; a line is cut after `MAX_LINE` characters.
"""

import asyncio
from typing import Final

from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.smtp.client_commands import Command
from sendryd.smtp.reply import Reply
from sendryd.smtp.states import Verb
from sendryd.store.base import TraceRequest, TraceStore
from sendryd.store.errors import StoreError

POLL_INTERVAL: Final = 1.0  # seconds: what a command asks for holds within it
MAX_LINE: Final = 1000  # characters: twice what RFC 5321 §4.5.3.1.5 lets a reply have

log = get_logger("transcript")


class Transcript:
    """One session. Lines go to the log at once, so that one that hangs can be watched."""

    def __init__(self, domain: str, relay: str, clock: Clock) -> None:
        self._domain = domain
        self._relay = relay
        self._clock = clock
        self._started = clock.monotonic()

    def sent(self, command: Command) -> None:
        """A command of ours; of AUTH only the mechanism."""
        line = command_text(command)
        if line:
            self._write("us", line)

    def heard(self, reply: Reply) -> None:
        """A reply, each of its lines."""
        lines = reply.lines
        for number, line in enumerate(lines, 1):
            dash = " " if number == len(lines) else "-"
            prefix = f"{reply.enhanced} " if reply.enhanced else ""
            self._write("them", f"{reply.code}{dash}{prefix}{line}")

    def note(self, text: str) -> None:
        """What happened beside the dialogue."""
        self._write("us", f"({text})")

    def _write(self, source: str, line: str) -> None:
        ms = round((self._clock.monotonic() - self._started) * 1000)
        log.info("transcript", domain=self._domain, relay=self._relay, ms=ms, source=source, line=line[:MAX_LINE])


def command_text(command: Command) -> str:
    """The line of a command without its end; of AUTH only the mechanism."""
    line = command.line[:-2].decode("utf-8", "replace")
    if command.verb is not Verb.AUTH:
        return line
    word, _, rest = line.partition(" ")
    return f"AUTH {rest.partition(' ')[0]} ***" if word.upper() == "AUTH" else "***"


class Tracer:
    """Knows which sessions are to be written down."""

    def __init__(self, store: TraceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._left: dict[str, int] = {}  # sessions, by domain
        self._counting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Reads the requests, until cancelled."""
        while True:
            await self._clock.sleep(POLL_INTERVAL)
            if not self._counting:  # else the store does not know yet what was begun
                await self.refresh()

    async def refresh(self) -> None:
        """Reads the requests."""
        try:
            requests: list[TraceRequest] = await self._store.list_traces(now=self._clock.now())
        except StoreError as error:
            log.error("traces_not_read", error=repr(error))
        else:
            self._left = {each.domain: each.sessions for each in requests}

    def begin(self, domain: str, relay: object) -> Transcript | None:
        """The transcript of a session that begins with a relay, written as `str` does it; None if it was not asked for."""
        left = self._left.get(domain, 0)
        if left <= 0:
            return None
        self._left[domain] = left - 1
        task = asyncio.get_running_loop().create_task(self._count(domain))
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)
        return Transcript(domain, str(relay), self._clock)

    async def _count(self, domain: str) -> None:
        try:
            await self._store.count_traced(domain)
        except StoreError as error:
            log.error("trace_not_counted", domain=domain, error=repr(error))
