"""Lines: only CR LF ends one, and it does not matter in which pieces they come."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sendryd.smtp.linebuffer import LineBuffer, LineFault
from sendryd.testing.cases import cases

LIMIT = 8
parts = st.lists(st.sampled_from([b"\r\n", b"\r\n", b"\r", b"\n", b"ab", b"abcd", b"abcdefgh"]), max_size=20).map(b"".join)


def lines_of(pieces: list[bytes]) -> list[bytes | LineFault]:
    """All lines, up to the first that ends badly, which ends the session."""
    buffer, lines = LineBuffer(), []
    for piece in pieces:
        buffer.append(piece)
        while (line := buffer.next_line(LIMIT)) is not None:
            lines.append(line)
            if line is LineFault.BARE_LINE_END:
                return lines
    return lines


@given(parts, st.lists(st.integers(0, 100), max_size=8))
def test_cutting_the_input_anywhere_changes_nothing(data: bytes, where: list[int]) -> None:
    edges = sorted({0, len(data), *(each for each in where if each < len(data))})
    assert lines_of([data[start:end] for start, end in itertools.pairwise(edges)]) == lines_of([data])


@cases(
    ("data", "lines"),
    [
        (b"", []),
        (b"NOOP", []),
        (b"NOOP\r\n", [b"NOOP"]),
        (b"\r\n\r\n", [b"", b""]),
        (b"12345678\r\nx\r\n", [b"12345678", b"x"]),
        (b"123456789\r\nx\r\n", [LineFault.TOO_LONG, b"x"]),
        (b"1234567890123\nNOOP\r\nx\r\n", [LineFault.TOO_LONG, b"x"]),
        (b"NOOP\n", [LineFault.BARE_LINE_END]),
        (b"\nNOOP\r\n", [LineFault.BARE_LINE_END]),
        (b"A\rB\r\n", [LineFault.BARE_LINE_END]),
        (b"NOOP\r\r\n", [LineFault.BARE_LINE_END]),
        (b"NOOP\r", []),
    ],
)
def test_lines(data: bytes, lines: list[bytes | LineFault]) -> None:
    assert lines_of([data]) == lines
    assert lines_of([bytes([octet]) for octet in data]) == lines


def test_octets_are_taken_as_they_come() -> None:
    buffer = LineBuffer()
    buffer.append(b"BDAT 4\r\nabcdNOOP\r\n")
    assert buffer.peek(4) == b"BDAT"
    assert buffer.next_line(LIMIT) == b"BDAT 4"
    assert buffer.take(2) == b"ab"
    assert len(buffer) == 8
    buffer.append(b"QUIT\r\n")
    assert buffer.take(2) == b"cd"
    assert buffer.next_line(LIMIT) == b"NOOP"
    assert buffer.take_all() == b"QUIT\r\n"
    assert not buffer
    assert buffer.take(5) == b""


def test_a_whole_read_is_taken_whole() -> None:
    buffer, data = LineBuffer(), b"x" * 100
    buffer.append(data)
    assert buffer.take_all() is data
    assert not buffer


def test_nothing_of_an_over_long_line_can_be_peeked_at() -> None:
    buffer = LineBuffer()
    buffer.append(b"x" * 20)
    assert buffer.next_line(LIMIT) is None
    assert len(buffer) == 0
    buffer.append(b"\x16\x03")
    assert buffer.peek(2) == b""
    buffer.clear()
    buffer.append(b"NOOP\r\n")
    assert buffer.next_line(LIMIT) == b"NOOP"
