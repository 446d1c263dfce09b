"""Records of the dialogue files: a header line with length and checksum, then the dialogue as text, a line for each of its lines.

`D1 0000012f 9ae0daaf` · `1764407882114` · `@25 192.0.2.1 mx.example.org` TAB `TLSv1.3, …` · `>118 MAIL FROM:<…>` · `<147 250 2.1.0 Ok`
"""

import re
import zlib
from typing import Final

from sendryd.model.dialogue import AttemptDialogue, DialogueLine, DialogueSession, Speaker
from sendryd.store.codec.values import from_ms, to_ms

HEADER: Final = 21  # octets of a record before its text
MAX_RECORD: Final = 128 * 1024  # octets of text: a thousand recipients with a reply each
MAX_LINE: Final = 1000  # characters: twice what RFC 5321 §4.5.3.1.5 lets a reply line have
LEFT_OUT: Final = "The rest of the dialogue is left out: it is too long."
_HEADER: Final = re.compile(rb"D1 ([0-9a-f]{8}) ([0-9a-f]{8})\n")
_SPEAKERS: Final = {each.value: each for each in Speaker}


class DialogueUnreadable(ValueError):
    """The octets are no whole record."""


def encode_dialogue(dialogue: AttemptDialogue) -> bytes:
    """A record. Lines that are too long are cut, control characters are escaped, and what exceeds `MAX_RECORD` is left out."""
    parts = [str(to_ms(dialogue.began_at))]
    room = MAX_RECORD
    for session in dialogue.sessions:
        parts.append(f"@{session.port} {_word(session.address)} {_word(session.host)}\t{_shown(session.tls)}")
        for ms, speaker, text in session.lines:
            room -= len(text) + 16
            if room < 0:
                parts.append(f"#{ms} {LEFT_OUT}")
                return _record(parts)
            parts.append(f"{speaker.value}{ms} {_shown(text)}")
    return _record(parts)


def read_length(header: bytes) -> int:
    """Octets of text after a header. Raises `DialogueUnreadable`."""
    found = _HEADER.fullmatch(header)
    if found is None:
        raise DialogueUnreadable("no record begins here")
    length = int(found[1], 16)
    if length > 8 * MAX_RECORD:  # a character has up to four octets, an escaped one up to ten
        raise DialogueUnreadable("the record is too long")
    return length


def decode_dialogue(record: bytes) -> AttemptDialogue:
    """The dialogue of a whole record. Raises `DialogueUnreadable`."""
    header, text = record[:HEADER], record[HEADER:]
    if len(text) != read_length(header) or zlib.crc32(text) != int(header[12:20], 16):
        raise DialogueUnreadable("the record is torn or damaged")
    try:
        return _read(text.decode().split("\n"))
    except (ValueError, KeyError, OverflowError) as error:
        raise DialogueUnreadable(f"the record cannot be read: {error!r}") from None


def _record(parts: list[str]) -> bytes:
    text = "\n".join(parts).encode("utf-8", "replace")
    return b"D1 %08x %08x\n%b" % (len(text), zlib.crc32(text), text)


def _read(lines: list[str]) -> AttemptDialogue:
    sessions: list[DialogueSession] = []
    spoken: list[DialogueLine] = []
    head: tuple[str, str, int, str] | None = None
    for line in [*lines[1:], "@"]:
        if not line.startswith("@"):
            ms, _, text = line[1:].partition(" ")
            spoken.append(DialogueLine(int(ms), _SPEAKERS[line[:1]], text))
            continue
        if head is not None:
            host, address, port, tls = head
            sessions.append(DialogueSession(host=host, address=address, port=port, tls=tls, lines=tuple(spoken)))
        elif spoken:
            raise ValueError("a line before any session")
        spoken = []
        if len(line) > 1:
            where, _, tls = line[1:].partition("\t")
            port_text, address, host = where.split(" ", 2)
            head = host, address, int(port_text), tls
    return AttemptDialogue(began_at=from_ms(int(lines[0])), sessions=tuple(sessions))


def _shown(text: str) -> str:
    if len(text) > MAX_LINE:
        text = text[:MAX_LINE]
    if text.isprintable():  # nearly all
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode("ascii") for char in text)


def _word(text: str) -> str:
    """A name without spaces, which separate it from others."""
    return _shown(text).replace(" ", "?") or "?"
