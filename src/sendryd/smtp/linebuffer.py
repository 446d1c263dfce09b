"""The input buffer of the server: lines while commands are due, octets while content is (RFC 5321 §2.3.8).

Only CR LF ends a line. A line with a bare CR or a bare LF is a fault: another server might see two lines where we see one. A line over
the limit is dropped, and is a fault at its end; its rest is never taken for a line of its own. The result does not depend on how the input is cut.
Time is linear in the input, whatever the number of lines.
"""

from enum import Enum, auto


class LineFault(Enum):
    """Why a line that has ended is not returned."""

    TOO_LONG = auto()
    BARE_LINE_END = auto()


class LineBuffer:
    """Octets in, lines or octets out."""

    __slots__ = ("_data", "_is_skipping", "_position", "left")

    def __init__(self) -> None:
        self._data = b""
        self._position = 0  # of the first unused octet
        self._is_skipping = False  # the rest of a line that is too long
        self.left = 0  # unused octets

    def __len__(self) -> int:
        return self.left

    def append(self, data: bytes) -> None:
        """Takes received octets."""
        self._data = self._data[self._position :] + data if self.left else data
        self._position = 0
        self.left = len(self._data)

    def peek(self, size: int) -> bytes:
        """The first octets of the next line, at most `size`."""
        return b"" if self._is_skipping else self._data[self._position : self._position + size]

    def next_line(self, limit: int) -> bytes | LineFault | None:
        """The next line, without its end, of at most `limit` octets. None while its end has not come."""
        if self._is_skipping:
            return self._skip_line()
        data, start = self._data, self._position
        end = data.find(b"\n", start)
        if (end if end >= 0 else len(data)) - start > limit + 1:  # where the LF would stand if the line were as long as the limit
            self._is_skipping = True
            return self._skip_line()
        if end < 0:
            return None
        self._position, self.left = end + 1, len(data) - end - 1
        line = data[start : end - 1] if end > start else b""
        if end == start or data[end - 1] != 0x0D or b"\r" in line:
            return LineFault.BARE_LINE_END
        return line

    def _skip_line(self) -> LineFault | None:
        end = self._data.find(b"\r\n", self._position)
        if end < 0:
            self._data = b"\r" if self._data.endswith(b"\r") else b""
            self._use(0)
            return None
        self._use(end + 2)
        self._is_skipping = False
        return LineFault.TOO_LONG

    def take(self, size: int) -> bytes:
        """At most `size` octets."""
        data, start = self._data, self._position
        if start == 0 and len(data) <= size:  # the common case costs no copy
            return self.take_all()
        self._use(min(start + size, len(data)))
        return data[start : start + size]

    def take_all(self) -> bytes:
        """All octets."""
        data = self._data[self._position :] if self._position else self._data
        self._data = b""
        self._position = self.left = 0
        return data

    def clear(self) -> None:
        """Drops all octets."""
        self.take_all()
        self._is_skipping = False

    def _use(self, position: int) -> None:
        self._position = position
        self.left = len(self._data) - position
