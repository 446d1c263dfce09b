"""Decodes text by the labels of the WHATWG Encoding Standard, which mail programs and browsers use for charset names.

The sender chooses the charset name. It is never passed to Python's codec registry, which also holds compressors and other codecs that are no
charsets.
"""

import codecs
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import webencodings

UNDECLARED: Final = frozenset(
    {"", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit"}
)  # labels that do not identify the charset of 8-bit octets
_NO_CHARSET: Final = frozenset({"replacement", "x-user-defined"})  # encodings of the standard that yield no text
_UTF_16: Final = "utf-16-le"
# All other codecs of the standard map each octet to one character.
_MULTIBYTE: Final = frozenset(
    {"utf-8", "utf-16-le", "utf-16-be", "gbk", "gb18030", "big5hkscs", "euc_jp", "iso2022_jp", "cp932", "shift_jis", "cp949", "euc_kr"}
)
SLICE: Final = 64 * 1024  # octets decoded by one call, which blocks all other threads: 15 ms if every octet is an error
_STATEFUL: Final = "iso2022_jp"
STATEFUL_SLICE: Final = 1024 * 1024  # octets per call of the stateful decoder, whose errors are cheap
MAX_MISFITS: Final = 500_000  # units of a text that are none of UTF-16, which Python replaces slowly: more are another charset's
_BIG_ENDIAN_MARK: Final = b"\xfe\xff"
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def codec_name(charset: str) -> str | None:
    """Python's codec for a charset label of a sender; None for an unknown label."""
    encoding = webencodings.lookup(charset)
    return None if encoding is None or encoding.name in _NO_CHARSET else str(encoding.codec_info.name)


def reversible_codec(data: bytes, charset: str) -> str | None:
    """A codec that decodes these octets and encodes the text to the same octets again; None if there is none."""
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
    """Decodes the octets; invalid ones are replaced. An undeclared or unknown charset is decoded by `decode_undeclared`."""
    if charset.strip().lower() in UNDECLARED:
        return decode_undeclared(data)
    name = _codec_for(data, charset)
    if name is None:
        return decode_undeclared(data)
    text = _decode(data, name)
    return text.removeprefix("\ufeff") if name.startswith("utf-16") else text


def _decode(data: bytes, name: str) -> str:
    """The result of `data.decode(name, "replace")`, computed slice by slice."""
    if name not in _MULTIBYTE:
        # By a table without gaps: for each octet in a gap, Python would make an exception, half a microsecond long.
        return "".join(codecs.charmap_decode(piece, "strict", _letters(name))[0] for piece in _slices(data))
    if len(data) <= SLICE:
        return data.decode(name, "replace")
    if name == _STATEFUL:  # at line ends, where this charset is back in ASCII; the decoder for pieces gives up on some errors
        return "".join(piece.decode(name, "replace") for piece in _slices_of_lines(data))
    decoder = codecs.getincrementaldecoder(name)("replace")
    pieces: list[str] = []
    misfits = 0
    for piece in _slices(data):
        pieces.append(decoder.decode(piece))
        misfits += pieces[-1].count("\ufffd")
        if misfits > MAX_MISFITS and name.startswith("utf-16"):
            return decode_undeclared(data)
    return "".join([*pieces, decoder.decode(b"", True)])


@lru_cache(64)  # the standard has fewer
def _letters(name: str) -> str:
    """The characters of all 256 octets in a single-octet charset; U+FFFD where it has none."""
    return bytes(range(256)).decode(name, "replace")


def _slices_of_lines(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        end = data.rfind(b"\n", position, position + STATEFUL_SLICE) + 1 or position + STATEFUL_SLICE
        yield data[position:end]
        position = end


def _slices(data: bytes) -> Iterator[bytes]:
    return (data[start : start + SLICE] for start in range(0, len(data), SLICE))


def decode_undeclared(data: bytes) -> str:
    """Decodes text without a declared charset: as UTF-8 if valid, else as windows-1252, the most common legacy charset."""
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
