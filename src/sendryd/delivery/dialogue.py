"""The dialogue with one server: a client machine pumped over a byte stream. Every reply has a deadline.

Limits: each reply has the seconds of its step for all of its octets, so that a server that drips octets cannot hold us, and none is waited for
after `deadline`.
"""

import math
from collections.abc import Mapping, Sequence

from sendryd.delivery.dialoguenotes import SessionNotes
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import PeerClosed, ReadTimedOut
from sendryd.runtime.stream import ByteStream
from sendryd.smtp.client import ClientConnection, Closed, ReplyReceived
from sendryd.smtp.client_commands import Command
from sendryd.smtp.events import NEED_DATA
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step

Timeouts = Mapping[Step, float]  # seconds that the answer to each step may take, all of it


class Dialogue:
    """Commands out, replies in."""

    __slots__ = ("_monotonic", "deadline", "machine", "notes", "now", "stream", "timeouts")

    def __init__(self, stream: ByteStream, timeouts: Timeouts, clock: Clock, *, is_encrypted: bool = False) -> None:
        """`is_encrypted`: the first octets will be of a TLS handshake (implicit TLS)."""
        self.stream = stream
        self.timeouts = timeouts
        self.machine = ClientConnection(encrypted=is_encrypted)
        self.deadline = math.inf  # monotonic seconds: no reply is waited for any longer
        self.notes: SessionNotes | None = None
        self.now = clock.now
        self._monotonic = clock.monotonic

    def __repr__(self) -> str:
        return f"<Dialogue {self.machine!r}>"

    async def ask(self, command: Command) -> Reply:
        """A command and its reply."""
        self.send(command)
        return (await self.receive()).reply

    async def reply(self) -> Reply:
        """The next reply."""
        return (await self.receive()).reply

    def send(self, command: Command) -> None:
        """A command, to be written when a reply is waited for: what is sent together goes out in one write."""
        self.machine.send(command)
        if self.notes is not None:
            self.notes.sent(command)

    def send_together(self, commands: Sequence[Command]) -> None:
        """Commands of a transaction, noted as one."""
        for command in commands:
            self.machine.send(command)
        if self.notes is not None:
            self.notes.sent_together(commands)

    def next_event(self) -> ReplyReceived | Closed | type[NEED_DATA]:
        """What has been read already."""
        event = self.machine.next_event()
        notes = self.notes
        if notes is not None and notes.transcript is not None and isinstance(event, ReplyReceived):
            notes.transcript.heard(event.reply)
        return event

    async def receive(self) -> ReplyReceived:
        """Writes what is to be written and waits for the next reply. Raises `NetworkFault`, `RemoteProtocolError`."""
        machine, stream = self.machine, self.stream
        data = machine.data_to_send()
        if data:
            stream.write(data)
        event = machine.next_event()
        if not isinstance(event, ReplyReceived):
            event = await self._wait(event)
        if self.notes is not None and self.notes.transcript is not None:
            self.notes.transcript.heard(event.reply)
        return event

    async def _wait(self, event: Closed | type[NEED_DATA]) -> ReplyReceived:
        """Reads until a reply is whole."""
        machine, stream = self.machine, self.stream
        now = self._monotonic()
        deadline = min(now + self.timeouts[machine.awaiting], self.deadline)
        while True:
            if now >= deadline:
                raise ReadTimedOut("the server's reply did not end in time")
            if isinstance(event, Closed):
                raise PeerClosed("the server closed the connection")
            data = await stream.read(deadline - now)
            if self.notes is not None:
                self.notes.received(data)
            machine.receive_data(data)
            found = machine.next_event()
            if isinstance(found, ReplyReceived):
                return found
            event, now = found, self._monotonic()

    async def hear(self) -> ReplyReceived | None:
        """Takes what the server has said already; None if it is no whole reply."""
        data = await self.stream.read(self.timeouts[Step.DATA_BLOCK])
        if self.notes is not None:
            self.notes.received(data)
        self.machine.receive_data(data)
        event = self.next_event()
        if isinstance(event, Closed):
            raise PeerClosed("the server closed while the content was being sent")
        return event if isinstance(event, ReplyReceived) else None

    def time_left(self, step: Step) -> float:
        """Seconds that the answer to a step may take. Raises `ReadTimedOut` if there are none left."""
        timeout = min(self.timeouts[step], self.deadline - self._monotonic())
        if timeout <= 0:
            raise ReadTimedOut("the session did not begin in time")
        return timeout

    def note(self, text: str) -> None:
        """What happened beside the dialogue, for the notes."""
        if self.notes is not None:
            self.notes.note(text)

    def note_fault(self, text: str) -> None:
        """The session is broken."""
        if self.notes is not None:
            self.notes.note_fault(text)
