"""Text from octets, by the labels of the WHATWG Encoding Standard, which is how mail programs and browsers read charset names.

The name of a charset is the sender's. It never reaches Python's codec registry, which also has compressors and other surprises.
"""

import re
from typing import Final

import webencodings

UNDECLARED: Final = frozenset(
    {"", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit"}
)  # 8-bit octets under these say nothing of their charset
_NO_CHARSET: Final = frozenset({"replacement", "x-user-defined"})  # of the standard, for browsers: they give no text
_UTF_16: Final = "utf-16-le"
_BIG_ENDIAN_MARK: Final = b"\xfe\xff"
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def codec_name(charset: str) -> str | None:
    """Python's codec for a charset as a sender wrote it; None for an unknown label."""
    encoding = webencodings.lookup(charset)
    return None if encoding is None or encoding.name in _NO_CHARSET else str(encoding.codec_info.name)


def reversible_codec(data: bytes, charset: str) -> str | None:
    """The codec that reads these octets and writes the same ones again; None if the label is unknown or wrong."""
    if charset.strip().lower() in UNDECLARED:
        candidates: tuple[str, ...] = ("ascii", "utf-8", "cp1252", "latin-1")
    else:
        name = _codec_for(data, charset)
        if name is None:
            return None
        candidates = ("cp1252", "latin-1") if name == "cp1252" else (name,)  # the standard gives each octet of windows-1252 a letter
    for candidate in candidates:
        try:
            if data.decode(candidate).encode(candidate) == data:
                return candidate
        except UnicodeError:
            continue
    return None


def _codec_for(data: bytes, charset: str) -> str | None:
    name = codec_name(charset)
    return "utf-16-be" if name == _UTF_16 and data.startswith(_BIG_ENDIAN_MARK) else name


def decode(data: bytes, charset: str) -> str:
    """The text. Octets that do not fit are replaced; an undeclared or unknown charset is read as `decode_undeclared` does."""
    if charset.strip().lower() in UNDECLARED:
        return decode_undeclared(data)
    name = _codec_for(data, charset)
    if name is None:
        return decode_undeclared(data)
    text = data.decode(name, "replace")
    return text.removeprefix("\ufeff") if name.startswith("utf-16") else text


def decode_undeclared(data: bytes) -> str:
    """Text that says nothing of its charset: UTF-8 if it is that, else windows-1252, the most common legacy charset."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def one_line(text: str) -> str:
    """The text on one line, control characters replaced by spaces."""
    return _CONTROLS.sub(" ", text).strip()
