"""Text in the charsets that mail comes in."""

import pytest

from sendryd.message.charset import codec_name, decode


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("größer".encode(), "utf-8", "größer"),
        ("größer".encode(), "UTF8", "größer"),
        (b"gr\xf6\xdfer", "iso-8859-1", "größer"),
        (b"\x83e\x83X\x83g", "Shift_JIS", "テスト"),
        ("größer".encode(), "x-unknown", "größer"),
        (b"gr\xf6\xdfer", "x-unknown", "größer"),
        (b"gr\xf6\xdfer", "utf-8", "gr\ufffd\ufffder"),
        (b"plain", "", "plain"),
    ],
)
def test_what_does_not_fit_is_replaced_and_what_is_unknown_guessed(data: bytes, charset: str, text: str) -> None:
    assert decode(data, charset) == text


@pytest.mark.parametrize("name", ["zip", "hex", "rot13", "idna", "punycode", "unicode_escape", "../x"])
def test_codecs_that_are_no_charsets_are_unknown(name: str) -> None:
    assert codec_name(name) is None
