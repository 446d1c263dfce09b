"""Message content on the wire: strict end of data, dot-stuffing, line ends (RFC 5321 §4.1.1.4, §4.5.2).

Only CR LF . CR LF ends the data. A bare LF is a line end of the content, because real clients send it; a bare CR, a NUL, or a lone dot
beside a bare CR or LF makes the content malformed: it is then dropped, but read to its true end, so that the dialogue stays in step and commands
smuggled after a false end are never executed.

Everything works on pieces of many kilobytes by `find`, `count` and `replace`; there is no Python work for a line.
"""

import re
from enum import IntEnum
from typing import Final

END_OF_DATA: Final = b"\r\n.\r\n"
PIECE: Final = 64 * 1024  # octets processed together: large enough to amortise the work for a piece, small enough not to stall
MAX_LINE: Final = 998  # octets without CRLF: RFC 5321 §4.5.3.1.6, RFC 5322 §2.1.1

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_FALSE_END: Final = re.compile(rb"[\r\n]\.(?:\n|\r(?!\n))|(?:(?<!\r)\n|\r(?!\n))\.\r\n")
_DOT: Final = 0x2E


class Flaw(IntEnum):
    """Why a content is malformed. Of several flaws the greatest is reported, so that the result does not depend on how the octets were cut."""

    TOO_BIG = 1
    BARE_CR = 2
    NUL = 3
    FALSE_END = 4


def dot_stuff(content: bytes) -> bytes:
    """The form of a content after DATA, without the end of data (RFC 5321 §4.5.2). The content must have CRLF line ends."""
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return b"." + content if content.startswith(b".") else content


def dot_stuff_piece(before: bytes, piece: bytes) -> bytes:
    """The form of one piece of a content after DATA; pieces may be cut anywhere. `before` is the two octets before the piece, CR LF at the start."""
    window = before + piece
    return window.replace(b"\r\n.", b"\r\n..")[2:] if b"\r\n." in window else piece


class ContentReader:
    """Reads arriving content and keeps it in its final form, or finds its flaw and keeps nothing."""

    __slots__ = (
        "_came",
        "_is_dot_stuffed",
        "_is_wanted",
        "_limit",
        "_longest",
        "_piece",
        "_pieces",
        "_searched",
        "_tail",
        "_tail_before",
        "first_bare_lf",
        "flaw",
        "given",
        "has_long_line",
        "is_8bit",
        "received",
        "size",
    )

    def __init__(self, limit: int, *, is_dot_stuffed: bool, piece: int = PIECE, longest_line: int = MAX_LINE) -> None:
        self._limit = limit
        self._piece = piece
        self._longest = longest_line
        self._is_dot_stuffed = is_dot_stuffed
        self._is_wanted = True
        self._pieces: list[bytes] = []
        self._tail = b""  # octets not examined so far
        self._searched = 0  # number of octets of the tail that cannot begin an end of data
        self._tail_before = b"\r\n"  # the last two received octets before the tail
        self.size = 0  # octets kept or given away
        self.given = 0  # octets of them that were given away
        self._came = 0  # octets received after DATA
        self.received = 0  # octets of content received; after DATA, without octets that may be part of the end of data
        self.flaw: Flaw | None = None
        self.first_bare_lf: int | None = None
        self.is_8bit = False
        self.has_long_line = False

    @property
    def held(self) -> int:
        """Octets in memory now."""
        return self.size - self.given + len(self._tail)

    def feed(self, data: bytes) -> bytes | None:
        """Takes octets after DATA. Returns None before the end of data, else the octets after it."""
        buffer = self._tail + data if self._tail else data
        self._came += len(data)
        if buffer.startswith(b".\r\n") and self._tail_before == b"\r\n":
            end, behind = 0, 3
        else:
            end = buffer.find(END_OF_DATA, self._searched) + 2
            behind = end + 3
            if end < 2:
                self._keep_tail(buffer)
                self.received = self._came - len(END_OF_DATA) + 1
                return None
        self._tail = b""
        self.received = self._came - len(buffer) + end
        self._process(buffer[:end])
        return buffer[behind:]

    def append(self, chunk: bytes) -> None:
        """Takes octets of a BDAT chunk."""
        self.received += len(chunk)
        self._keep_tail(self._tail + chunk if self._tail else chunk)

    def finish(self) -> None:
        """Ends the content after its last chunk."""
        tail, self._tail = self._tail, b""
        self._process(tail)

    def discard(self) -> None:
        """Drops the content received so far, and what follows."""
        self._is_wanted = False
        self._pieces.clear()
        self.size = self.given = 0
        self._cut_tail()

    def give_away(self) -> list[bytes]:
        """Returns the content received so far in its final form, and releases it."""
        pieces, self._pieces = self._pieces, []
        self.given = self.size
        return pieces

    def content(self) -> bytes:
        """The content that `give_away` has not returned. Read it once, at the end, if there is no flaw."""
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep_tail(self, buffer: bytes) -> None:
        if len(buffer) >= self._piece:
            # A piece ends after a line end, so that no CRLF and no dot at the start of a line is cut in two.
            cut = buffer.rfind(b"\n") + 1
            if cut == 0:
                cut = len(buffer) - buffer.endswith(b"\r")
            self._process(buffer[:cut])
            buffer = buffer[cut:]
        self._tail = buffer
        self._searched = max(0, len(buffer) - 4)
        if not self._is_wanted:
            self._cut_tail()

    def _cut_tail(self) -> None:
        """Keeps in the tail only octets that can begin an end of data."""
        before = self._tail_before + self._tail[:-4]
        self._tail_before = before[-2:]
        self._tail = self._tail[-4:]
        self._searched = 0

    def _process(self, piece: bytes) -> None:
        if not piece:
            return
        before = self._tail_before
        self._tail_before = piece[-2:] if len(piece) > 1 else before[-1:] + piece
        if not self._is_wanted:
            return
        crlf = piece.count(b"\r\n")
        is_clean = piece.count(b"\n") == crlf and piece.count(b"\r") == crlf and b"\0" not in piece
        if not is_clean or before != b"\r\n":  # a false end can begin in the piece before
            self._look_for_flaws(before, piece)
        if self.flaw is not None:
            return
        if self._is_dot_stuffed:
            if b"\r\n." in piece:
                piece = piece.replace(b"\r\n.", b"\r\n")
            if piece[0] == _DOT and before == b"\r\n":
                piece = piece[1:]
        if not is_clean:
            piece = self._mend_line_ends(piece)
        self.size += len(piece)
        if self.size > self._limit:
            self._spoil(Flaw.TOO_BIG)
            return
        if not self.is_8bit and not piece.isascii():
            self.is_8bit = True
        if not self.has_long_line:
            self._measure_lines(piece)
        self._pieces.append(piece)

    def _look_for_flaws(self, before: bytes, piece: bytes) -> None:
        if piece.count(b"\r") != piece.count(b"\r\n"):
            self._spoil(Flaw.BARE_CR)
        if b"\0" in piece:
            self._spoil(Flaw.NUL)
        if self.flaw is not Flaw.FALSE_END and _FALSE_END.search(before + piece):
            self._spoil(Flaw.FALSE_END)

    def _mend_line_ends(self, piece: bytes) -> bytes:
        """Changes each bare LF to CRLF. A bare CR is a flaw, so there is none."""
        if self.first_bare_lf is None:
            first = _BARE_LF.search(piece)
            assert first is not None  # otherwise there was nothing to change
            self.first_bare_lf = self.size + first.start()
        return piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def _measure_lines(self, piece: bytes) -> None:
        """Looks for a line over the limit, jumping by the limit from line end to line end. A piece begins with a line."""
        position, length, longest = 0, len(piece), self._longest
        while length - position > longest:
            end = piece.rfind(b"\n", position, position + longest + 2)
            if end < 0:
                self.has_long_line = True
                return
            position = end + 1

    def _spoil(self, flaw: Flaw) -> None:
        if self.flaw is None or flaw > self.flaw:
            self.flaw = flaw
        self._pieces.clear()
        self.size = self.given = 0
