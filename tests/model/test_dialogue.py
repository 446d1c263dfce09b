"""What was said, line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.dialogue import MAX_LINE, DialogueLine, DialogueSession, Speaker, Spoken

THEM, US, NOTE = Speaker.THEM, Speaker.US, Speaker.NOTE


def lines(*spoken: Spoken) -> list[DialogueLine]:
    return DialogueSession(host="mx.test", address="192.0.2.1", port=25, tls="", spoken=spoken).lines


def test_a_line_has_the_time_of_its_end_however_it_came() -> None:
    assert lines(
        Spoken(1, THEM, b"220 mx"),
        Spoken(5, THEM, b".test\r\n250-one\r\n250 t"),
        Spoken(6, US, b"DATA\r\n"),
        Spoken(9, THEM, b"wo\n"),
        Spoken(10, NOTE, b"broken"),
        Spoken(11, THEM, b"421 tor"),
    ) == [
        (5, THEM, "220 mx.test"),
        (5, THEM, "250-one"),
        (6, US, "DATA"),
        (9, THEM, "250 two"),
        (10, NOTE, "broken"),
        (11, THEM, "421 tor"),
    ]


def test_a_content_has_no_line() -> None:
    assert lines(Spoken(1, US, b"")) == []


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"a\rb\r\n", "a\\rb"),
        (b"\x1b[31m\n", "\\x1b[31m"),
        ("\u202eevil\n".encode(), "\\u202eevil"),
        ("k\u00f6ln\n".encode(), "k\u00f6ln"),
        (b"\xff\n", "\\xff"),
        (b"x" * 5000 + b"\n", "x" * MAX_LINE),
    ],
)
def test_a_line_is_printable_and_not_too_long(octets: bytes, text: str) -> None:
    assert lines(Spoken(0, THEM, octets)) == [(0, THEM, text)]


@given(st.lists(st.tuples(st.sampled_from(Speaker), st.binary(max_size=40))))
def test_any_octets_are_lines(pieces: list[tuple[Speaker, bytes]]) -> None:
    assert all(line.text.isprintable() for line in lines(*(Spoken(0, speaker, octets) for speaker, octets in pieces)))
