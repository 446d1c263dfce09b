"""Contents that are larger than the slices in which they are searched and decoded."""

import base64
import random
import sys
import time
from collections.abc import Callable

import pytest

from sendryd.message.charset import MAX_MISFITS, _decode, decode
from sendryd.message.charset import SLICE as CHARSET_SLICE
from sendryd.message.errors import MalformedMessage
from sendryd.message.parse import MAX_HYPHEN_LINES, SLICE, Part, decode_body, summarise, walk
from sendryd.message.quoted import decode_quoted
from sendryd.message.transfer import shorten_lines
from sendryd.testing.cases import cases

HEAD = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n'


def leaf(content: bytes) -> Part:
    """The part after the first delimiter."""
    return walk(content)[1]


@cases("step", [61, 76, SLICE - 1, SLICE + 1])
@cases("more", range(4))
def test_base64_of_many_slices_is_decoded_whole(step: int, more: int) -> None:
    data = bytes(range(256)) * (SLICE // 128) + b"x" * more
    letters = base64.b64encode(data)
    lines = b"\r\n".join(letters[start : start + step] for start in range(0, len(letters), step))
    content = HEAD + lines + b"\r\n--b--\r\n"
    assert decode_body(content, leaf(content)) == data


def test_base64_that_ends_within_an_octet_is_given_as_it_is() -> None:
    body = b"QUJD" * (SLICE // 2) + b"Q"
    content = HEAD + body + b"\r\n--b--\r\n"
    assert decode_body(content, leaf(content)) == body


@cases("shift", range(-8, 9))
def test_a_delimiter_is_found_on_the_edge_of_a_slice(shift: int) -> None:
    body = b"z" * (SLICE - 2 + shift)
    content = HEAD + body + b"\r\n--\r\n--other\r\n--b--\r\n"
    part = leaf(content)
    assert content[part.body_start : part.body_end] == body + b"\r\n--\r\n--other"


LARGE = 8 * 1024 * 1024  # octets


def longest_hold(work: Callable[[], object]) -> float:
    """CPU seconds that work takes in one call at the most, as the profiler of its thread sees calls into C begin and end."""
    longest = began = 0.0

    def watch(_frame: object, event: str, _argument: object) -> None:
        nonlocal longest, began
        now = time.thread_time()
        if event.startswith("c_"):
            longest = max(longest, now - began if event != "c_call" else 0.0)
        began = now

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return longest


def mail(kind: str, encoding: str, body: bytes) -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "content",
    [
        mail("text/plain; charset=windows-1252", "8bit", b"\x81" * LARGE),
        mail("text/plain; charset=utf-16", "8bit", b"\x00\xdc" * (LARGE // 2)),
        mail("text/plain; charset=gb18030", "8bit", b"\xff" * LARGE),
        mail("text/plain", "quoted-printable", b"a " * (LARGE // 2)),
        mail("multipart/mixed; boundary=b", "8bit", b"--b\r\na:" + b"\r\n " * (LARGE // 3) + b"\r\n\r\nx\r\n--b--\r\n"),
    ],
    ids=["no letters", "no UTF-16", "no GB 18030", "blanks", "folds"],
)
def test_no_call_holds_up_other_threads(content: bytes) -> None:
    assert min(longest_hold(lambda: summarise(content)) for _ in range(2)) < 0.1  # all in one call they took 0.3 to 4 s


@cases(
    "charset",
    "utf-8 utf-16-le utf-16-be gbk gb18030 big5hkscs euc_jp iso2022_jp cp932 cp949 cp866 cp1252 cp1253 iso8859-6 koi8-u mac-roman".split(),
)
def test_text_of_many_slices_is_decoded_as_in_one(charset: str) -> None:
    rand = random.Random(charset)
    data = b"".join(rand.randbytes(rand.randrange(1, 30)) + b"\r\n" for _ in range(20_000))
    if charset == "iso2022_jp":
        data = (b"\x1b$B" + bytes(rand.choices(range(0x30, 0x40), k=20)) + b"\x1b(B\r\n") * 40_000
    assert len(data) > 3 * CHARSET_SLICE
    assert _decode(data, charset) == data.decode(charset, "replace")


def test_what_is_hardly_utf_16_is_read_as_if_it_said_nothing() -> None:
    data = b"\x00\xdc" * (MAX_MISFITS + 2 * CHARSET_SLICE)
    assert decode(data, "utf-16") == decode(data, "")


@cases("seed", range(40))
def test_quoted_printable_of_many_slices_is_decoded_as_in_one(seed: int) -> None:
    rand = random.Random(seed)
    words = [b"a", b" ", b"\t", b"=41", b"=\r\n", b"\r\n", b"= \r\n", b"=", b"\n", b"b" * 70, b" " * 70, b"=C3"]
    body = b"".join(rand.choices(words, [rand.random() ** 3 for _ in words], k=2000))
    whole = b"".join(decode_quoted(body, 0, len(body)))
    assert b"".join(decode_quoted(b"xx" + body + b"yy", 2, 2 + len(body), size=64)) == whole


@pytest.mark.parametrize(
    "filling",
    [
        b"--x\r\n" * MAX_HYPHEN_LINES,
        (b"--b\r\n" + b"a:\r\n" * 1990 + b"\r\n") * 150,
        (b"--b\r\n" + b"a: " + b"x" * 50_000 + b"\r\n\r\n") * 150,
    ],
    ids=["lines", "fields", "headers"],
)
def test_what_is_beyond_the_limits_is_left_as_one_part_that_cannot_be_changed(filling: bytes) -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nz\r\n" + filling + b"--b\r\n\r\n" + b"y" * 999 + b"\r\n--b--\r\n"
    )
    last = walk(content)[-1]
    assert (last.is_header_clean, last.body_end) == (False, len(content))
    with pytest.raises(MalformedMessage):
        shorten_lines(content)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("quoted-printable", b"a" * LARGE), ("quoted-printable", b"\xe9" * (LARGE // 4)), ("7bit", b"\n" + b"a" * LARGE)],
    ids=["quoted", "8-bit in quoted", "not quoted"],
)
def test_a_line_of_megabytes_is_quoted_in_little_time(encoding: str, body: bytes) -> None:
    content = mail("text/plain; charset=windows-1252", encoding, body)
    started = time.process_time()
    shortened = shorten_lines(content)
    assert time.process_time() - started < 3  # octet by octet it took 3 to 15 s
    assert decode_body(shortened, walk(shortened)[0]) == body
