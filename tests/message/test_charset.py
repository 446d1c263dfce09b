"""Text in the charsets that mail comes in."""

from sendryd.message.charset import codec_name, decode, reversible_codec
from sendryd.testing.cases import cases


@cases(
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
        ("größer".encode(), "", "größer"),
        ("größer".encode(), "us-ascii", "größer"),
        (b"gr\xf6\xdfer \x80", "US-ASCII", "größer €"),
        (b"\x80", "latin1", "€"),
        (b"\x80", "cp1252", "€"),
        (b"\xc7\xd1\xb1\xb9", "ks_c_5601-1987", "한국"),
        (b"\x87@", "windows-31j", "①"),
        ("שלום".encode("iso-8859-8"), "iso-8859-8-i", "שלום"),
        ("größer".encode("utf-16"), "utf-16", "größer"),
        (b"\xfe\xff" + "größer".encode("utf-16-be"), "utf-16", "größer"),
        (b"plain", "utf-7", "plain"),
    ],
)
def test_what_does_not_fit_is_replaced_and_what_is_unknown_guessed(data: bytes, charset: str, text: str) -> None:
    assert decode(data, charset) == text


@cases("name", ["zip", "hex", "rot13", "idna", "punycode", "unicode_escape", "../x"])
def test_codecs_that_are_no_charsets_are_unknown(name: str) -> None:
    assert codec_name(name) is None


@cases(
    ("data", "charset", "codec"),
    [
        ("ü".encode(), "", "utf-8"),
        (b"\xfc", "", "cp1252"),
        (b"\xfc\x81", "latin1", "latin-1"),
        (b"\xc7\xd1", "ks_c_5601-1987", "cp949"),
        (b"\xfc", "utf-8", None),
        (b"+AGE-", "utf-7", None),
        (b"abc", "iso-2022-kr", None),
        (b"abc", "rot13", None),
        (b"abc", "zlib", None),
    ],
)
def test_a_text_is_changed_only_in_a_charset_that_gives_its_octets_back(data: bytes, charset: str, codec: str | None) -> None:
    assert reversible_codec(data, charset) == codec
