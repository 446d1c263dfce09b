"""The header block: bytes as they came, or refused with a reason."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import MAX_FIELDS, HeaderBlock
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

CONTENT = b"From: a@b.test\r\nSubject: one\r\n two\r\nX-A: 1\r\nX-A:2\r\n\r\nbody\r\n"


def test_fields_by_place_and_value() -> None:
    headers = HeaderBlock.parse(CONTENT)
    assert [field.name for field in headers.fields] == [b"from", b"subject", b"x-a", b"x-a"]
    assert headers.get(b"subject") == b"one two"
    assert headers.all(b"x-a") == [b"1", b"2"]
    assert headers.count(b"x-a") == 2
    assert headers.get(b"date") is None
    assert CONTENT[headers.body_offset :] == b"body\r\n"


NAMES = st.from_regex(rb"[!-9;-~]{1,12}", fullmatch=True)
VALUES = st.from_regex(rb"[ -~\t\x80-\xff]{0,30}(\r\n[ \t][!-~]{1,10}){0,3}", fullmatch=True)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.binary(max_size=50))
def test_nothing_is_lost_or_changed(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    block = b"".join(name + b":" + value + b"\r\n" for name, value in fields)
    content = block + b"\r\n" + body
    headers = HeaderBlock.parse(content)
    assert b"".join(headers.raw(field) for field in headers.fields) + b"\r\n" + content[headers.body_offset :] == content
    assert [field.name for field in headers.fields] == [name.lower() for name, _ in fields]


@cases(
    ("content", "reason"),
    [
        (b" From: a@b.test\r\n\r\n", "folded"),
        (b"From : a@b.test\r\n\r\n", "white space"),
        (b"From\r\n : a@b.test\r\n\r\n", "no colon"),
        (b"no colon here\r\n\r\n", "no colon"),
        (b": x\r\n\r\n", "name"),
        ("Größe: 1\r\n\r\n".encode(), "name"),
        (b"Subject: a\0b\r\n\r\n", "control"),
        (b"Subject: a\x07b\r\n\r\n", "control"),
        (b"Subject: " + b"x" * 990 + b"\r\n\r\n", "998"),
        ((b"X: " + b"y" * 900 + b"\r\n") * 1300 + b"\r\n", "1 MiB"),
        (b"X: y\r\n" * (MAX_FIELDS + 1) + b"\r\n", "2000"),
        (b"From: a@b.test", "CR LF"),
    ],
)
def test_what_is_refused_and_why(content: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        HeaderBlock.parse_new(content)


@pytest.mark.parametrize("line", [b"a" * 998, b"a" * 997 + b" ", "ä".encode() * 499, b"X:"], ids=["letters", "space", "8-bit", "names"])
def test_a_large_hostile_block_takes_no_time(line: bytes) -> None:
    block = b"From: a@b.test\r\n" + (line + b"\r\n") * (1_000_000 // (len(line) + 2)) + b"\r\n"
    started = time.process_time()
    with pytest.raises(MalformedMessage):
        HeaderBlock.parse_new(block)
    assert time.process_time() - started < 1.5  # a search from octet to octet of each line took four seconds


def test_a_header_line_of_998_octets_is_fine() -> None:
    assert HeaderBlock.parse(b"Subject: " + b"x" * 989 + b"\r\n\r\n").count(b"subject") == 1


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\nbody", b"From: a@b.test\r\n"])
def test_blocks_without_end_or_fields(content: bytes) -> None:
    headers = HeaderBlock.parse(content)
    assert headers.body_offset <= len(content)


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_block_or_refused(content: bytes) -> None:
    try:
        headers = HeaderBlock.parse(content)
    except MalformedMessage:
        return
    assert headers.end <= headers.body_offset <= len(content)
