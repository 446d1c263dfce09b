"""Contents that are larger than the slices in which they are searched and decoded."""

import base64

import pytest

from sendryd.message.parse import SLICE, Part, decode_body, walk

HEAD = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n'


def leaf(content: bytes) -> Part:
    """The part after the first delimiter."""
    return walk(content)[1]


@pytest.mark.parametrize("step", [61, 76, SLICE - 1, SLICE + 1])
@pytest.mark.parametrize("more", range(4))
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


@pytest.mark.parametrize("shift", range(-8, 9))
def test_a_delimiter_is_found_on_the_edge_of_a_slice(shift: int) -> None:
    body = b"z" * (SLICE - 2 + shift)
    content = HEAD + body + b"\r\n--\r\n--other\r\n--b--\r\n"
    part = leaf(content)
    assert content[part.body_start : part.body_end] == body + b"\r\n--\r\n--other"
