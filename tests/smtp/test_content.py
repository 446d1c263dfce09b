"""Content read out of a session's input, by DATA and in chunks."""

from sendryd.smtp.content import DRAIN_FACTOR, ContentIntake
from sendryd.smtp.datastream import Flaw
from sendryd.smtp.events import DataEnded
from sendryd.smtp.linebuffer import LineBuffer
from sendryd.smtp.server_replies import BAD_SEQUENCE, FLAWED, NO_RECIPIENTS, TOO_BIG

LIMIT = 20


def filled(data: bytes) -> LineBuffer:
    lines = LineBuffer()
    lines.append(data)
    return lines


def test_data_up_to_its_end() -> None:
    content, lines = ContentIntake(LIMIT), filled(b"a\r\n..b\r\n.\r\nNOOP\r\n")
    content.begin_data()
    assert content.read_data(lines)
    assert lines.next_line(10) == b"NOOP"
    assert content.refusal is None
    assert content.take() == DataEnded(b"a\r\n.b\r\n")
    assert content.held == 0


def test_data_in_pieces() -> None:
    content = ContentIntake(LIMIT)
    content.begin_data()
    assert not content.read_data(filled(b"a\r\n"))
    assert content.held == 3
    assert content.read_data(filled(b".\r\n"))
    assert content.take().content == b"a\r\n"


def test_a_flaw_is_answered_with_its_own_reply() -> None:
    content = ContentIntake(LIMIT)
    content.begin_data()
    assert content.read_data(filled(b"a\0\r\n.\r\n"))
    assert content.refusal == FLAWED[Flaw.NUL]


def test_what_was_refused_by_us_is_answered_so_whatever_its_flaws() -> None:
    content = ContentIntake(LIMIT)
    assert not content.refuse(NO_RECIPIENTS)
    content.begin_data()
    assert content.refuse(NO_RECIPIENTS)
    assert content.read_data(filled(b"a\0\r\n.\r\n"))
    assert content.refusal == NO_RECIPIENTS


def test_no_end_is_waited_for_for_ever() -> None:
    content = ContentIntake(LIMIT)
    assert not content.is_endless
    content.begin_data()
    content.read_data(filled(b"x" * LIMIT * DRAIN_FACTOR))
    assert not content.is_endless
    content.read_data(filled(b"x" * 10))
    assert content.is_endless


def test_chunks() -> None:
    content, lines = ContentIntake(LIMIT), filled(b"a\rbcNOOP\r\n")
    assert content.begin_chunk(2, is_last=False)
    assert content.read_chunk(lines)
    assert content.chunk_refusal is None
    assert content.begin_chunk(3, is_last=True)
    lines = filled(b"\nb")
    assert not content.read_chunk(lines)
    assert content.chunk_left == 1
    assert content.read_chunk(filled(b"cNOOP\r\n"))
    content.finish()
    assert content.take().content == b"a\r\nbc"


def test_a_chunk_over_the_limit_is_refused_at_its_own_end() -> None:
    content = ContentIntake(LIMIT)
    assert content.begin_chunk(LIMIT + 1, is_last=False)
    content.read_chunk(filled(b"x" * (LIMIT + 1)))
    assert content.chunk_refusal == TOO_BIG
    assert not content.begin_chunk(LIMIT * DRAIN_FACTOR, is_last=True)


def test_a_stray_chunk_is_read_and_forgotten() -> None:
    content, lines = ContentIntake(LIMIT), filled(b"abcNOOP\r\n")
    assert content.begin_stray_chunk(3, BAD_SEQUENCE)
    assert content.is_stray_chunk
    assert content.read_chunk(lines)
    assert content.chunk_refusal == BAD_SEQUENCE
    assert lines.next_line(10) == b"NOOP"
    assert content.held == 0
    assert not content.begin_stray_chunk(LIMIT * DRAIN_FACTOR + 1, BAD_SEQUENCE)


def test_nothing_is_left_of_a_transaction() -> None:
    content = ContentIntake(LIMIT)
    content.begin_chunk(5, is_last=False)
    content.refuse(NO_RECIPIENTS)
    content.forget()
    assert (content.held, content.chunk_left, content.refusal, content.chunk_refusal) == (0, 0, None, None)
