"""Message content on the wire: strict end of data, dot-stuffing, line ends (RFC 5321 §4.1.1.4, §4.5.2).

Only CR LF . CR LF ends the data. A bare LF is a line end of the content, because real clients send it; a bare CR, a NUL, or a lone dot
beside a bare CR or LF makes the content bad: it is then dropped, but read to its true end, so that the dialogue stays in step and what a
smuggler put behind a false end is never taken for commands.

Everything works on pieces of many kilobytes by `find`, `count` and `replace`; there is no Python work for a line.
"""

import re
from enum import Enum, auto
from typing import Final

END_OF_DATA: Final = b"\r\n.\r\n"
PIECE: Final = 64 * 1024  # octets looked at together: enough to make the work for a piece count for little, little enough not to stall
MAX_LINE: Final = 998  # octets without CRLF: RFC 5321 §4.5.3.1.6, RFC 5322 §2.1.1

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_FALSE_END: Final = re.compile(rb"[\r\n]\.(?:\n|\r(?!\n))|(?:(?<!\r)\n|\r(?!\n))\.\r\n")


class Flaw(Enum):
    """Why a content is bad."""

    BARE_CR = auto()
    NUL = auto()
    FALSE_END = auto()
    TOO_BIG = auto()


def dot_stuff(content: bytes) -> bytes:
    """Content with CRLF line ends as it goes out after DATA, without the end of data (RFC 5321 §4.5.2)."""
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return b"." + content if content.startswith(b".") else content


class ContentReader:
    """Takes content as it arrives and keeps it in its final form, or finds its flaw and keeps nothing."""

    __slots__ = (
        "_carry",
        "_is_after_crlf",
        "_is_dot_stuffed",
        "_limit",
        "_pieces",
        "_searched",
        "_tail",
        "_tail_before",
        "first_bare_lf",
        "flaw",
        "has_long_line",
        "is_8bit",
        "received",
        "size",
    )

    def __init__(self, limit: int, *, is_dot_stuffed: bool) -> None:
        self._limit = limit
        self._is_dot_stuffed = is_dot_stuffed
        self._pieces: list[bytes] = []
        self._tail = b""  # not looked at yet
        self._searched = 0  # how much of the tail cannot begin an end of data
        self._tail_before = b"\r\n"  # the last two octets before the tail, as they came
        self._is_after_crlf = True
        self._carry = 0  # octets of the unfinished line before the tail
        self.size = 0  # octets kept
        self.received = 0  # octets that came
        self.flaw: Flaw | None = None
        self.first_bare_lf: int | None = None
        self.is_8bit = False
        self.has_long_line = False

    @property
    def held(self) -> int:
        """Octets in memory now."""
        return self.size + len(self._tail)

    def feed(self, data: bytes) -> bytes | None:
        """More octets after DATA. None while the end has not come; else what came behind it."""
        self.received += len(data)
        buffer = self._tail + data if self._tail else data
        if self._is_after_crlf and buffer.startswith(b".\r\n"):
            self._tail = b""
            return buffer[3:]
        end = buffer.find(END_OF_DATA, self._searched)
        if end >= 0:
            self._tail = b""
            self._process(buffer[: end + 2])
            return buffer[end + 5 :]
        self._keep_tail(buffer)
        return None

    def append(self, chunk: bytes) -> None:
        """Octets of a BDAT chunk."""
        self.received += len(chunk)
        self._keep_tail(self._tail + chunk if self._tail else chunk)

    def finish(self) -> None:
        """The last chunk is complete."""
        if self._tail:
            tail, self._tail = self._tail, b""
            self._process(tail)

    def discard(self) -> None:
        """Drops what is held."""
        self._pieces.clear()
        self._tail = self._tail[-4:] if len(self._tail) > PIECE else self._tail
        self.size = 0

    def content(self) -> bytes:
        """All of it. To be asked once, at the end, when there is no flaw."""
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep_tail(self, buffer: bytes) -> None:
        if len(buffer) >= PIECE:
            # A piece ends behind a line end, so that no CRLF and no dot at the start of a line is cut in two.
            cut = buffer.rfind(b"\n") + 1
            if cut == 0:
                cut = len(buffer) - buffer.endswith(b"\r")
            self._process(buffer[:cut])
            buffer = buffer[cut:]
        self._tail = buffer
        self._searched = max(0, len(buffer) - 4)

    def _process(self, piece: bytes) -> None:
        if not piece:
            return
        if self.flaw is not None:
            self._note_end(piece)
            return
        crlf = piece.count(b"\r\n")
        is_clean = piece.count(b"\n") == crlf and piece.count(b"\r") == crlf and b"\0" not in piece
        if not is_clean and (flaw := self._find_flaw(piece)) is not None:
            self._spoil(flaw)
            self._note_end(piece)
            return
        is_after_crlf = self._is_after_crlf
        self._note_end(piece)
        if self._is_dot_stuffed:
            if b"\r\n." in piece:
                piece = piece.replace(b"\r\n.", b"\r\n")
            if is_after_crlf and piece.startswith(b"."):
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

    def _note_end(self, piece: bytes) -> None:
        self._tail_before = (self._tail_before + piece)[-2:] if len(piece) < 2 else piece[-2:]
        self._is_after_crlf = self._tail_before == b"\r\n"

    def _find_flaw(self, piece: bytes) -> Flaw | None:
        before = self._tail_before
        if _FALSE_END.search(before + piece):
            return Flaw.FALSE_END
        if b"\0" in piece:
            return Flaw.NUL
        if piece.count(b"\r") != piece.count(b"\r\n"):
            return Flaw.BARE_CR
        return None

    def _mend_line_ends(self, piece: bytes) -> bytes:
        first = _BARE_LF.search(piece)
        if first and self.first_bare_lf is None:
            self.first_bare_lf = self.size + first.start()
        return _BARE_LF.sub(b"\r\n", piece)

    def _measure_lines(self, piece: bytes) -> None:
        """Looks for a line over the limit in steps of the limit, from line end to line end."""
        position, allowed, length = 0, MAX_LINE - self._carry, len(piece)
        while length - position > allowed:
            end = piece.rfind(b"\n", position, position + allowed + 2)
            if end < 0:
                if length - position <= allowed + 1 and piece.endswith(b"\r"):
                    break
                self.has_long_line = True
                return
            position, allowed = end + 1, MAX_LINE
            self._carry = 0
        self._carry += length - position

    def _spoil(self, flaw: Flaw) -> None:
        self.flaw = flaw
        self._pieces.clear()
        self.size = 0
