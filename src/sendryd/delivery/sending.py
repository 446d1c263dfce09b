"""Steps 5 and 6 of a session: the envelope and the content of one message.

Strategy: MAIL, RCPT and DATA go out in one write where the server offers PIPELINING; content up to `SLICE` goes out with its lone dot in one
write, larger content in slices, between which the server is heard: it may refuse before the end.
Standards: RFC 5321, RFC 2920.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from sendryd.delivery.dialogue import Dialogue
from sendryd.runtime.faults import PeerClosed, WriteTimedOut
from sendryd.smtp.client import ReplyReceived
from sendryd.smtp.datastream import dot_stuff, dot_stuff_piece
from sendryd.smtp.timeouts import Step
from sendryd.smtp.transaction import Transaction

SLICE: Final = 64 * 1024  # octets written at a time: what a socket takes at once, and little enough to hear an early refusal in time
_LINE_END: Final = b"\r\n"


class OutboundContent:
    """The content of one message in pieces, each of them whole lines. What all its transactions share is computed once."""

    __slots__ = ("_parts", "_stuffed", "size")

    def __init__(self, parts: Sequence[bytes]) -> None:
        for part in parts[:-1]:
            if part and not part.endswith(b"\r\n"):
                raise ValueError("every part of a content but the last must end with CR LF")
        self._parts = tuple(filter(None, parts))
        self.size = sum(map(len, self._parts))  # octets, without stuffed dots
        self._stuffed: tuple[bytes, ...] | None = None

    def __repr__(self) -> str:
        return f"<OutboundContent {len(self._parts)} parts, {self.size} octets>"

    @property
    def is_ascii(self) -> bool:
        """No octet above 127. Looks at all of it."""
        return all(part.isascii() for part in self._parts)

    @property
    def stuffed(self) -> tuple[bytes, ...]:
        """The pieces with their dots stuffed; small ones in one piece."""
        if self._stuffed is None:
            stuffed = map(dot_stuff, self._parts)
            self._stuffed = tuple(stuffed) if self.size > SLICE else (b"".join(stuffed),)
        return self._stuffed

    async def slices(self) -> AsyncIterator[bytes]:
        """The stuffed pieces in slices."""
        for piece in self.stuffed:
            for start in range(0, len(piece), SLICE):
                yield piece[start : start + SLICE]


class StreamedContent:
    """The content of one message, read again for each transaction while it is sent: only a slice of it is in memory."""

    __slots__ = ("_front", "_read", "size")

    def __init__(self, front: bytes, size: int, read: Callable[[], AsyncIterator[bytes]]) -> None:
        """`front` is whole lines, put before the content; `size` is the octets of the content, which `read` gives in pieces."""
        self._front = front
        self._read = read
        self.size = len(front) + size  # octets, without stuffed dots

    def __repr__(self) -> str:
        return f"<StreamedContent {self.size} octets>"

    async def slices(self) -> AsyncIterator[bytes]:
        """The stuffed slices. Raises what `read` does: then the content must not be ended."""
        yield dot_stuff_piece(_LINE_END, self._front)
        before = _LINE_END
        async for piece in self._read():
            yield dot_stuff_piece(before, piece)
            before = (before + piece[-2:])[-2:]


NOTHING: Final = OutboundContent(())  # sent where 354 came although no recipient was accepted: the lone dot alone


async def carry(dialogue: Dialogue, transaction: Transaction, content: OutboundContent | StreamedContent) -> None:
    """Carries one transaction to its end. Raises what `Dialogue.receive` does."""
    while not transaction.is_done:
        if commands := transaction.commands():
            dialogue.send_together(commands)
        if transaction.is_text_due:
            transaction.is_text_due = False
            event = await _send_content(dialogue, content if transaction.wants_content else NOTHING)
        else:
            event = None
        event = event or await dialogue.receive()
        transaction.receive(event.command, event.reply)


async def _send_content(dialogue: Dialogue, content: OutboundContent | StreamedContent) -> ReplyReceived | None:
    """Writes the content and the lone dot; the reply instead if the server answers before the end."""
    machine, stream = dialogue.machine, dialogue.stream
    event = dialogue.next_event()  # what came with the 354 is no answer to what was not sent yet
    if isinstance(event, ReplyReceived):
        return event
    if isinstance(content, StreamedContent) or content.size > SLICE:
        try:
            async for piece in content.slices():
                machine.send_content(piece)
                stream.write(machine.data_to_send())
                await stream.drain(dialogue.timeouts[Step.DATA_BLOCK])
                if stream.has_unread and (early := await dialogue.hear()) is not None:
                    return early
        except (PeerClosed, WriteTimedOut):
            # What it said before it stopped listening tells more than the end of the connection.
            if stream.has_unread and (early := await dialogue.hear()) is not None:
                return early
            raise
    else:
        for piece in content.stuffed:
            machine.send_content(piece)
    machine.end_content()
    dialogue.note(f"content of {content.size} octets")
    return None
