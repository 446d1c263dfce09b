"""Other transfer encodings: what decodes out is what went in, and what is signed is never touched."""

import binascii
import email
import email.message
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.parse import MAX_PARTS, summarise, walk
from sendryd.message.quoted import QP_LINE, quoted_printable
from sendryd.message.transfer import shorten_lines, to_7bit
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

TOP = b"From: a@b.test\r\nMIME-Version: 1.0\r\n"


def leaves(content: bytes) -> list[bytes]:
    """Decoded leaf parts, by the standard library."""
    message: email.message.Message = email.message_from_bytes(content)
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return [part.replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n").rstrip(b"\r\n") for part in parts if isinstance(part, bytes)]


def longest(content: bytes) -> int:
    return max(map(len, content.split(b"\r\n")))


TEXT = TOP + b'Content-Type: text/plain; charset="utf-8"\r\n\r\n'
MIXED = (
    TOP + b'Content-Type: multipart/mixed; boundary="b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n'
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%b\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=x.bin\r\n\r\n%b\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nshort\r\n--b--\r\nepilogue\r\n"
)


@pytest.mark.parametrize("line", [b"x" * 5000, "ä".encode() * 3000, b"=" * 2000, b"a " * 1500])
def test_long_lines_are_encoded_and_the_rest_left_alone(line: bytes) -> None:
    for content in (TEXT + line + b"\r\nend\r\n", MIXED % (line, b"short"), MIXED % (b"short", line)):
        mended = shorten_lines(content)
        assert longest(mended) <= 998
        assert leaves(mended) == leaves(content)
    assert b"\r\n\r\nshort\r\n--b--\r\nepilogue\r\n" in shorten_lines(MIXED % (line, b"short"))


def test_a_message_without_mime_gets_its_fields() -> None:
    mended = shorten_lines(b"From: a@b.test\r\n\r\n" + b"x" * 3000 + b"\r\n")
    assert email.message_from_bytes(mended)["MIME-Version"] == "1.0"
    assert leaves(mended) == [b"x" * 3000]


def test_base64_on_one_line_is_wrapped() -> None:
    content = TOP + b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 1000 + b"\r\n"
    mended = shorten_lines(content)
    assert longest(mended) <= 998
    assert leaves(mended) == [b"ABC" * 1000]


SIGNED = (
    TOP + b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="s"\r\n\r\n'
    b"--s\r\nContent-Type: text/plain\r\n\r\n%b\r\n--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nMIA=\r\n--s--\r\n"
)


def test_text_that_no_reader_shows_is_wrapped() -> None:
    content = MIXED % (b"short", b"short")
    for place in (b"preamble", b"epilogue", b"--b--"):
        mended = shorten_lines(content.replace(place, place + b" " * 1000 + b"x" * (2000 if place != b"--b--" else 0)))
        assert longest(mended) <= 998
        assert leaves(mended) == leaves(content)
    converted = to_7bit(content.replace(b"preamble", "Präambel".encode()).replace(b"epilogue", "Überhang".encode()))
    assert converted.isascii()
    assert leaves(converted) == leaves(content)


def test_signed_parts_are_refused_not_broken() -> None:
    with pytest.raises(MalformedMessage, match="signed"):
        shorten_lines(SIGNED % (b"x" * 2000))
    with pytest.raises(MalformedMessage, match="signed"):
        to_7bit(SIGNED % "ä".encode())
    assert to_7bit(SIGNED % b"plain") == SIGNED % b"plain"


@settings(max_examples=examples(80), deadline=None)
@given(
    st.lists(st.sampled_from([b"a", "ä".encode(), b"\r\n", b" ", b"\t", b"=", b"\xff\xfe", b"\r\n.\r\n", b"From "]), max_size=40).map(
        b"".join
    )
)
def test_conversion_to_7bit_keeps_the_content(body: bytes) -> None:
    for content in (TEXT + body + b"\r\n", MIXED % (body, b"x"), MIXED % (b"x", body)):
        converted = to_7bit(content)
        assert converted[HeaderBlock.parse(converted).body_offset :].isascii()
        assert leaves(converted) == leaves(content)
        if content.isascii():
            assert b"quoted-printable" not in converted


def test_parts_of_a_usual_message() -> None:
    content = (
        TOP + b'Subject: =?utf-8?q?=C3=9C?=\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n'
        b'--m\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n'
        b'--r\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
        b"--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=FC=DFe\r\n"
        b"--a\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--a--\r\n"
        b"--r\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--r--\r\n"
        b'--m\r\nContent-Type: application/pdf; name="=?utf-8?b?w6QucGRm?="\r\n'
        b"Content-Disposition: attachment;\r\n filename*=utf-8''%C3%A4.pdf\r\n\r\n%PDF\r\n"
        b"--m\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n--m--\r\n"
    )
    summary = summarise(content)
    assert summary.text == "grüße"
    assert summary.html == "<p>hi</p>"
    assert [(each.filename, each.content_type, each.content_id, each.size) for each in summary.attachments] == [
        ("", "image/png", "logo", 3),
        ("ä.pdf", "application/pdf", "", 4),
        ("", "text/calendar", "", 15),
    ]
    assert ("Subject", "Ü") in summary.headers


@pytest.mark.parametrize("depth", [50, 300, 20_000])
def test_deep_nesting_is_walked_without_recursion(depth: int) -> None:
    opening = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (level, level) for level in range(depth))
    parts = walk(TOP + opening + b"\r\nleaf\r\n")
    assert 1 <= len(parts) <= MAX_PARTS
    summarise(TOP + opening)


def test_many_parts_are_capped() -> None:
    content = TOP + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 20_000 + b"--b--\r\n"
    assert len(walk(content)) == MAX_PARTS


def nested(depth: int) -> bytes:
    """A multipart in a multipart and so on, up to where the content of the innermost begins."""
    return TOP + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(depth))


@pytest.mark.parametrize("depth", [1, 99])
def test_lines_that_look_like_delimiters_take_no_time(depth: int) -> None:
    content = nested(depth) + b"\r\n" + b"--b\r\n" * 500_000
    started = time.process_time()
    assert len(walk(content)) == depth + 1
    assert time.process_time() - started < 2  # looking through all levels for each line took tens of seconds


def test_a_field_with_parameters_without_end_takes_no_time() -> None:
    content = TOP + b"Content-Type: text/plain" + b'; a="x";\r\n b=y' * 60_000 + b"\r\n\r\nx\r\n"
    started = time.process_time()
    assert walk(content)[0].content_type == "text/plain"
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "content",
    [
        TOP
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + b"--b\r\n\r\nx\r\n" * 1200
        + b"--b\r\n\r\n"
        + b"y" * 999
        + b"\r\n--b--\r\n",
        nested(150) + b"\r\n" + b"y" * 999 + b"\r\n",
    ],
    ids=["parts", "depth"],
)
def test_more_than_is_looked_at_is_refused_not_broken(content: bytes) -> None:
    with pytest.raises(MalformedMessage, match="parts"):
        shorten_lines(content)


@pytest.mark.parametrize("boundary", ["", "a" * 71, "a(b", "-", "x\r\n y"])
def test_odd_boundaries(boundary: str) -> None:
    content = TOP + f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n\r\nx\r\n--{boundary}--\r\n'.encode()
    assert walk(content)
    summarise(content)


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_can_be_summarised(content: bytes) -> None:
    summarise(content)
    summarise(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + content)


@cases("body", [b"", b" ", b"a \r\n", b"x" * 74 + b" \r\n", b"a\nb\rc\r\n\r", b".\r\n.", "ü=\t\r\n".encode() * 99, b"a" * 300 + b"\r\n"])
def test_quoted_printable_of_any_line_ends(body: bytes) -> None:
    check_quoted(body)


@given(st.binary(max_size=300) | st.text("a =\t\r\n.\u00e9", max_size=300).map(str.encode))
def test_quoted_printable_of_any_octets(body: bytes) -> None:
    check_quoted(body)


def check_quoted(body: bytes) -> None:
    quoted = quoted_printable(body)
    assert binascii.a2b_qp(quoted) == body
    assert quoted.isascii()
    assert all(len(line) <= QP_LINE and line.rstrip() == line for line in quoted.split(b"\r\n"))
    assert quoted.count(b"\n") == quoted.count(b"\r") == quoted.count(b"\r\n")


def test_a_list_of_separators_takes_no_time() -> None:
    content = TOP + b"To: \xc3\xa9" + b"\r\n ; " * 2 + (b"\r\n " + b"; " * 450) * 1000 + b"\r\n\r\nx\r\n"
    started = time.process_time()
    with pytest.raises(MalformedMessage, match="cannot be folded"):
        to_7bit(content)
    assert time.process_time() - started < 6  # a separator at a time at the end of one text took minutes
