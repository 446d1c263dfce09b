"""Writes encoded words (RFC 2047) and folded header fields."""

from base64 import b64encode
from collections.abc import Iterable
from typing import Final

LINE: Final = 76  # octets of a header line where it can be folded: RFC 2047 §2, and with that within the 78 of RFC 5322 §2.1.1
MAX_ENCODED_WORD: Final = 75  # RFC 2047 §2
PHRASE_WORD: Final = 64  # letters of an encoded word in a name: fits after `Reply-To: `
_WORD_SAFE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/ "  # RFC 2047 §5 (3), the strictest place
_WORD_OCTETS: Final = tuple("_" if octet == 32 else chr(octet) if octet in _WORD_SAFE else f"={octet:02X}" for octet in range(256))


def fold(name: str, units: Iterable[str]) -> str:
    """Folds a field of units that each begin with a space into lines of 76 characters; a longer unit gets a line of its own."""
    lines: list[str] = []
    line = f"{name}:"
    is_empty = True
    for unit in units:
        if len(line) + len(unit) > LINE and (not is_empty or len(unit) <= LINE):
            lines.append(line)
            line = unit
        else:
            line += unit
        is_empty = False
    lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def encoded_words(text: str, first: int, others: int) -> list[str]:
    """Encoded words, each after a space, the first with at most `first` characters; no character is split between words (RFC 2047 §5)."""
    data = text.encode()
    unsafe = len(data.translate(None, _WORD_SAFE))
    is_quoted = len(data) + 2 * unsafe <= len(data) * 4 // 3
    words: list[str] = []
    position, limit = 0, first
    while position < len(data):
        room = limit - len("=?utf-8?q??=")
        end = _quoted_end(data, position, room) if is_quoted else min(len(data), position + room // 4 * 3)
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        chunk = data[position:end]
        encoded = f"q?{''.join([_WORD_OCTETS[octet] for octet in chunk])}" if is_quoted else f"b?{b64encode(chunk).decode('ascii')}"
        words.append(f" =?utf-8?{encoded}?=")
        position, limit = end, others
    return words


def _quoted_end(data: bytes, position: int, room: int) -> int:
    """The number of octets that fit into this many characters of the Q encoding."""
    while position < len(data):
        room -= len(_WORD_OCTETS[data[position]])
        if room < 0:
            break
        position += 1
    return position
