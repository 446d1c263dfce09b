"""Content on the wire, compared with a plain reading of the rules, line end by line end."""

import itertools
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.smtp import datastream
from sendryd.smtp.datastream import ContentReader, Flaw, dot_stuff
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

PARTS = [
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b".",
    b".",
    b"a",
    b"bcd",
    b"\0",
    b"\xff",
    b"\r\n.\r\n",
    b"\r\n..\r\n",
    b"\n.\n",
    b"efghijk",
]
wire = st.lists(st.sampled_from(PARTS), max_size=25).map(b"".join)
clean = st.lists(st.sampled_from([b"\r\n", b"\r\n", b".", b"a", b"bcd", b"\xff"]), max_size=40).map(b"".join)
cuts = st.lists(st.integers(0, 200), max_size=10)
END = b"\r\n.\r\n"


@dataclass
class Outcome:
    """What a reader has found."""

    flaw: Flaw | None
    content: bytes | None
    first_bare_lf: int | None
    is_8bit: bool | None
    has_long_line: bool | None
    rest: bytes | None


def read_plainly(raw: bytes, *, limit: int, longest: int, is_dot_stuffed: bool) -> Outcome:
    """The rules, one token after the other."""
    rest = None
    if is_dot_stuffed:
        whole = b"\r\n" + raw
        end = whole.index(END)
        raw, rest = raw[:end], whole[end + 5 :]
    tokens = [b"\r\n", *re.split(rb"(\r\n|\r|\n)", raw)]
    lines = list(zip(tokens[0::2], tokens[1::2], [*tokens[2::2], None], strict=True))
    is_false_end = any(line == b"." and {before, after} & {b"\r", b"\n"} and after is not None for before, line, after in lines)
    flaws = [Flaw.BARE_CR] * (b"\r" in tokens) + [Flaw.NUL] * (b"\0" in raw) + [Flaw.FALSE_END] * is_false_end
    content, first_bare_lf, has_long_line = b"", None, False
    for before, line, after in lines:
        text = line[1:] if is_dot_stuffed and before == b"\r\n" and line.startswith(b".") else line
        if after == b"\n" and first_bare_lf is None:
            first_bare_lf = len(content) + len(text)
        has_long_line = has_long_line or len(text) > longest
        content += text + (b"\r\n" if after else b"")
    if not flaws and len(content) > limit:
        flaws.append(Flaw.TOO_BIG)
    if flaws:
        return Outcome(max(flaws), None, None, None, None, rest)
    return Outcome(None, content, first_bare_lf, not content.isascii(), has_long_line, rest)


def read(raw: bytes, where: list[int], reader: ContentReader, *, is_dot_stuffed: bool, taken: AbstractSet[int] = frozenset()) -> Outcome:
    """The same by a reader, cut into pieces. After those numbered in `taken` it gives away what it holds."""
    given_away: list[bytes] = []
    edges = sorted({0, len(raw), *(each for each in where if each < len(raw))})
    rest = None
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        if number in taken:
            given_away += reader.give_away()
            assert reader.given == reader.size
        if rest is not None:
            rest += raw[start:end]
        elif is_dot_stuffed:
            rest = reader.feed(raw[start:end])
        else:
            reader.append(raw[start:end])
    if not is_dot_stuffed:
        reader.finish()
    if reader.flaw:
        assert reader.held == reader.given == 0
        return Outcome(reader.flaw, None, None, None, None, rest)
    return Outcome(None, b"".join(given_away) + reader.content(), reader.first_bare_lf, reader.is_8bit, reader.has_long_line, rest)


@pytest.mark.parametrize("is_dot_stuffed", [True, False])
@settings(max_examples=examples(300), deadline=None)
@given(raw=wire, where=cuts, piece=st.integers(4, 40), limit=st.sampled_from([10, 30, 10_000]), taken=st.sets(st.integers(1, 10)))
def test_any_content_cut_anywhere_is_read_as_the_rules_say(
    raw: bytes, where: list[int], piece: int, limit: int, is_dot_stuffed: bool, taken: set[int]
) -> None:
    raw += END if is_dot_stuffed else b""
    reader = ContentReader(limit, is_dot_stuffed=is_dot_stuffed, piece=piece)
    outcome = read(raw, where, reader, is_dot_stuffed=is_dot_stuffed, taken=taken)
    outcome.has_long_line = False if outcome.flaw is None else None
    assert outcome == read_plainly(raw, limit=limit, longest=998, is_dot_stuffed=is_dot_stuffed)


@settings(max_examples=examples(300), deadline=None)
@given(raw=clean, where=cuts)
def test_long_lines_are_seen_wherever_the_content_is_cut(raw: bytes, where: list[int]) -> None:
    outcome = read(raw, where, ContentReader(10_000, is_dot_stuffed=False, piece=16, longest_line=5), is_dot_stuffed=False)
    assert outcome == read_plainly(raw, limit=10_000, longest=5, is_dot_stuffed=False)


def test_a_short_line_behind_the_edge_of_a_piece_is_not_long() -> None:
    reader = ContentReader(10_000_000, is_dot_stuffed=True)
    line = b"x" * 700 + b"\r\n"
    for _ in range(300):
        assert reader.feed(line) is None
    assert reader.feed(b".\r\n") == b""
    assert not reader.has_long_line
    assert reader.content() == line * 300


@given(st.lists(st.sampled_from([b"\r\n", b".", b"a"]), max_size=30).map(b"".join))
def test_what_is_stuffed_comes_out_as_it_went_in(text: bytes) -> None:
    content = text + b"\r\n"
    stuffed = dot_stuff(content)
    assert END not in b"\r\n" + stuffed
    reader = ContentReader(1000, is_dot_stuffed=True)
    assert reader.feed(stuffed + b".\r\nNOOP\r\n") == b"NOOP\r\n"
    assert reader.content() == content


@pytest.mark.parametrize(
    ("content", "stuffed"), [(b"", b""), (b".", b".."), (b"a\r\n.b\r\n..", b"a\r\n..b\r\n..."), (b"a.b\r\n", b"a.b\r\n")]
)
def test_dots_at_the_start_of_lines_are_doubled(content: bytes, stuffed: bytes) -> None:
    assert dot_stuff(content) == stuffed


@cases("size", [1, 31, 32, 33, 100])
@cases("false_end", [b"\r.\r\n", b"\n.\r\n", b"\r\n.\n", b"\r.\n"])
def test_a_false_end_across_the_edge_of_a_piece_is_one(false_end: bytes, size: int) -> None:
    for length in range(24, 34):
        data = b"x" * length + false_end + b"y\r\n.\r\n"
        reader = ContentReader(1000, is_dot_stuffed=True, piece=32)
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
        assert reader.flaw is Flaw.FALSE_END


def test_the_first_of_many_bare_line_feeds_is_told() -> None:
    reader = ContentReader(1_000_000, is_dot_stuffed=True)
    assert reader.feed((b"x" * 98 + b"\r\n") * 700 + b"a\nb\n" + b"y" * 10) is None
    assert reader.feed((b"x" * 98 + b"\n") * 700) is None
    assert reader.feed(b"\r\n.\r\n") == b""
    assert reader.first_bare_lf == 70_001
    assert reader.content().count(b"\n") == reader.content().count(b"\r\n") == 1403


def test_a_content_over_the_limit_is_not_held() -> None:
    reader = ContentReader(100_000, is_dot_stuffed=True)
    for _ in range(50):
        assert reader.feed(b"a" * 9_998 + b"\r\n") is None
        assert reader.held < 100_000 + datastream.PIECE
    assert reader.flaw is Flaw.TOO_BIG
    assert reader.received == 500_000 - 4
    assert reader.feed(b".\r\nQUIT\r\n") == b"QUIT\r\n"
    assert reader.received == 500_000


@settings(max_examples=examples(200), deadline=None)
@given(raw=wire, where=cuts, when=st.integers(0, 5), piece=st.integers(4, 40))
def test_an_unwanted_content_is_dropped_and_its_true_end_found(raw: bytes, where: list[int], when: int, piece: int) -> None:
    raw += END
    edges = sorted({0, len(raw), *(each for each in where if each < len(raw))})
    reader, rest = ContentReader(10_000, is_dot_stuffed=True, piece=piece), None
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        if rest is not None:
            rest += raw[start:end]
            continue
        if number == when:
            reader.discard()
            assert reader.held <= 4
        rest = reader.feed(raw[start:end])
    assert rest == read_plainly(raw, limit=10_000, longest=998, is_dot_stuffed=True).rest


def test_a_large_content_without_line_ends_is_dropped_whole() -> None:
    reader = ContentReader(1_000_000, is_dot_stuffed=False)
    reader.append(b"a\r\n" + b"z" * 300_000)
    reader.discard()
    assert reader.held == 4
    reader.append(b"z" * 300_000)
    assert reader.held <= 4
    reader.finish()
    assert reader.content() == b""
