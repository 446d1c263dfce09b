"""Records of the dialogue files: a header line with length and checksum, then a line for each session, followed by what was said in it.

`D2 0000012f 9ae0daaf` · `1764407882114` · `@25 192.0.2.1 mx.example.org` TAB `TLSv1.3, …` · `>118 27` · 27 octets · `<147 14` · 14 octets
"""

import re
import zlib
from functools import lru_cache
from typing import Final

from sendryd.model.dialogue import AttemptDialogue, DialogueSession, Speaker, Spoken
from sendryd.store.codec.values import from_ms, to_ms

HEADER: Final = 21  # octets of a record before its text
MAX_RECORD: Final = 128 * 1024  # octets of text: a thousand recipients with a reply each
LEFT_OUT: Final = b"The rest of the dialogue is left out: it is too long."
_MAX_WORD: Final = 1000  # characters of a name or of what TLS is called
_HEADER: Final = re.compile(rb"D2 ([0-9a-f]{8}) ([0-9a-f]{8})\n")
_SPEAKERS: Final = {each.value.encode("ascii"): each for each in Speaker}
_MARKS: Final = {speaker: mark for mark, speaker in _SPEAKERS.items()}


class DialogueUnreadable(ValueError):
    """The octets are no whole record."""


def encode_dialogue(dialogue: AttemptDialogue) -> bytes:
    """A record. What exceeds `MAX_RECORD` is left out."""
    parts = [b"%d\n" % to_ms(dialogue.began_at)]
    for session in dialogue.sessions:
        parts.append(_head(session.host, session.address, session.port, session.tls))
        for ms, speaker, octets in session.spoken:
            parts.append(b"%b%d %d\n%b" % (_MARKS[speaker], ms, len(octets), octets))
    text = b"".join(parts)
    if len(text) > MAX_RECORD:
        text = _shorten(parts)
    return b"D2 %08x %08x\n%b" % (len(text), zlib.crc32(text), text)


def read_length(header: bytes) -> int:
    """Octets of text after a header. Raises `DialogueUnreadable`."""
    found = _HEADER.fullmatch(header)
    if found is None:
        raise DialogueUnreadable("no record begins here")
    length = int(found[1], 16)
    if length > MAX_RECORD:
        raise DialogueUnreadable("the record is too long")
    return length


def decode_dialogue(record: bytes) -> AttemptDialogue:
    """The dialogue of a whole record. Raises `DialogueUnreadable`."""
    header, text = record[:HEADER], record[HEADER:]
    if len(text) != read_length(header) or zlib.crc32(text) != int(header[12:20], 16):
        raise DialogueUnreadable("the record is torn or damaged")
    try:
        return _read(text)
    except (ValueError, KeyError, OverflowError) as error:
        raise DialogueUnreadable(f"the record cannot be read: {error!r}") from None


def _shorten(parts: list[bytes]) -> bytes:
    note = b"%b0 %d\n%b" % (_MARKS[Speaker.NOTE], len(LEFT_OUT), LEFT_OUT)
    room, kept = MAX_RECORD - len(note), 0
    while room >= len(parts[kept]):
        room -= len(parts[kept])
        kept += 1
    return b"".join([*parts[:kept], note])


def _read(text: bytes) -> AttemptDialogue:
    moment, _, rest = text.partition(b"\n")
    sessions: list[DialogueSession] = []
    while rest:
        head, _, rest = rest.partition(b"\n")
        where, _, tls = head.decode().partition("\t")
        port, address, host = where.removeprefix("@").split(" ", 2)
        spoken: list[Spoken] = []
        while rest and not rest.startswith(b"@"):
            line, _, rest = rest.partition(b"\n")
            ms, size = map(int, line[1:].split(b" "))
            if not 0 <= size <= len(rest):
                raise ValueError("a piece is longer than the record")
            spoken.append(Spoken(ms, _SPEAKERS[line[:1]], rest[:size]))
            rest = rest[size:]
        sessions.append(DialogueSession(host=host, address=address, port=int(port), tls=tls, spoken=tuple(spoken)))
    return AttemptDialogue(began_at=from_ms(int(moment)), sessions=tuple(sessions))


@lru_cache(maxsize=256)  # a backlog goes to few hosts
def _head(host: str, address: str, port: int, tls: str) -> bytes:
    return f"@{port} {_word(address)} {_word(host)}\t{_printable(tls)}\n".encode("utf-8", "replace")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_WORD])


def _word(text: str) -> str:
    """A name without spaces, which separate it from others."""
    return _printable(text).replace(" ", "?") or "?"
