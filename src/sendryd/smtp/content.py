"""The content of one transaction at the server: by DATA up to its end, or by BDAT in chunks (RFC 5321 §4.1.1.4, RFC 3030).

A malformed content, or one of a refused command, is read to its true end and answered there: content octets are never read as commands.
"""

from typing import Final

from sendryd.smtp.datastream import PIECE, ContentReader
from sendryd.smtp.events import DataEnded
from sendryd.smtp.linebuffer import LineBuffer
from sendryd.smtp.reply import Reply
from sendryd.smtp.server_replies import FLAWED, TOO_BIG

DRAIN_FACTOR: Final = 4  # a content over the limit is read to its end, but not beyond this many times the limit


class ContentIntake:
    """Reads content from a session's input; reused in each transaction."""

    __slots__ = ("_limit", "_piece", "_refused", "_stray_refusal", "chunk_left", "is_last_chunk", "reader")

    def __init__(self, limit: int, piece: int = PIECE) -> None:
        self._limit = limit  # octets
        self._piece = piece  # octets processed together
        self.reader: ContentReader | None = None  # None while there is no content
        self._refused: Reply | None = None  # a refusal by the shell, or because no recipient was accepted
        self._stray_refusal: Reply | None = None  # the refusal of a chunk that belongs to no content
        self.chunk_left = 0  # octets of the current chunk that have not arrived
        self.is_last_chunk = False

    @property
    def held(self) -> int:
        """Octets in memory now."""
        return self.reader.held if self.reader else 0

    @property
    def given(self) -> int:
        """Octets of the content being received that `give_away` returned."""
        return self.reader.given if self.reader else 0

    @property
    def is_endless(self) -> bool:
        """Whether the content exceeds the limit so far that waiting for its end is pointless."""
        return self.reader is not None and self.reader.received > self._limit * DRAIN_FACTOR

    @property
    def refusal(self) -> Reply | None:
        """The refusal of a complete content, or None."""
        if self._refused is not None or self.reader is None or self.reader.flaw is None:
            return self._refused
        return FLAWED[self.reader.flaw]

    @property
    def chunk_refusal(self) -> Reply | None:
        """The refusal of a chunk that is not the last one, or None. A flaw inside the content is reported only at its end."""
        if self._stray_refusal is not None or self._refused is not None:
            return self._stray_refusal or self._refused
        return TOO_BIG if self.reader is not None and self.reader.received > self._limit else None

    @property
    def is_stray_chunk(self) -> bool:
        """Whether the current chunk belongs to no content."""
        return self._stray_refusal is not None

    def begin_data(self) -> None:
        """Begins a content after the 354 reply."""
        self.reader = ContentReader(self._limit, is_dot_stuffed=True, piece=self._piece)

    def begin_chunk(self, size: int, *, is_last: bool) -> bool:
        """Begins a chunk after a valid BDAT. False if its size exceeds what is read to its end."""
        if self.reader is None:
            self.reader = ContentReader(self._limit, is_dot_stuffed=False, piece=self._piece)
        self.chunk_left, self.is_last_chunk, self._stray_refusal = size, is_last, None
        return self.reader.received + size <= self._limit * DRAIN_FACTOR

    def begin_stray_chunk(self, size: int, reply: Reply) -> bool:
        """Begins a chunk after an invalid BDAT, whose octets follow all the same (RFC 3030 §2). False if its size exceeds what is read to its end."""
        self.chunk_left, self._stray_refusal = size, reply
        return size <= self._limit * DRAIN_FACTOR

    def refuse(self, reply: Reply) -> bool:
        """Drops the content and reads on to its end. False if there is no content."""
        if self.reader is None:
            return False
        self._refused = reply
        self.reader.discard()
        return True

    def give_away(self) -> list[bytes]:
        """Returns the content received so far in its final form, and releases it."""
        return self.reader.give_away() if self.reader else []

    def read_data(self, lines: LineBuffer) -> bool:
        """Reads available octets after DATA; returns whether the end has been reached. Octets after it stay in the input."""
        assert self.reader is not None  # begin_data was called
        rest = self.reader.feed(lines.take_all())
        if rest is None:
            return False
        if rest:
            lines.append(rest)
        return True

    def read_chunk(self, lines: LineBuffer) -> bool:
        """Reads available octets of a chunk; returns whether it is complete."""
        chunk = lines.take(self.chunk_left)
        self.chunk_left -= len(chunk)
        if self.reader is not None and self._stray_refusal is None:
            self.reader.append(chunk)
        return self.chunk_left == 0

    def finish(self) -> None:
        """Ends the content after its last chunk."""
        assert self.reader is not None  # begin_chunk was called
        self.reader.finish()

    def take(self) -> DataEnded:
        """Returns the whole content, or the part that `give_away` has not returned, and releases it."""
        reader, self.reader = self.reader, None
        assert reader is not None  # one of the begin methods was called
        return DataEnded(reader.content(), reader.first_bare_lf, reader.is_8bit, reader.has_long_line)

    def forget(self) -> None:
        """Ends the transaction."""
        self.reader = self._refused = self._stray_refusal = None
        self.chunk_left = 0
