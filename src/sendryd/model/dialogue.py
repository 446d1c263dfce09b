"""The dialogue of a delivery attempt: all that went over the wire, with its time. It has no content of a mail and no password.

It is kept as it was said, since hardly anybody asks for it, and made readable for those who do.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from sendryd.valuetype import valuetype

PLACE: Final = "dialogue"  # the name in an event's metadata of the place where its dialogue is kept
MAX_LINE: Final = 1000  # characters: twice what RFC 5321 §4.5.3.1.5 lets a reply line have


class Speaker(StrEnum):
    """Who has said something."""

    US = ">"
    THEM = "<"
    NOTE = "#"  # not of the wire: what happened beside the dialogue


class Spoken(NamedTuple):
    """What was said at once: lines with their ends, or a piece of them."""

    ms: int  # since the attempt began
    speaker: Speaker
    octets: bytes


class DialogueLine(NamedTuple):
    """One line without its end, printable and no longer than `MAX_LINE`."""

    ms: int  # since the attempt began; of its end
    speaker: Speaker
    text: str


@valuetype(frozen=True, slots=True, kw_only=True)
class DialogueSession:
    """What was said with one address of one host."""

    host: str
    address: str
    port: int
    tls: str  # version and cipher; empty in clear text
    spoken: tuple[Spoken, ...]

    @property
    def lines(self) -> list[DialogueLine]:
        """It line by line."""
        lines: list[DialogueLine] = []
        ms, rest = 0, b""  # of a reply, until its end has come
        for ms, speaker, octets in self.spoken:
            if speaker is Speaker.THEM:
                *whole, rest = (rest + octets).split(b"\n")
            else:
                whole = octets.removesuffix(b"\r\n").split(b"\n") if octets else []
            lines += [DialogueLine(ms, speaker, _readable(line)) for line in whole]
        return [*lines, DialogueLine(ms, Speaker.THEM, _readable(rest))] if rest else lines


@valuetype(frozen=True, slots=True, kw_only=True)
class AttemptDialogue:
    """All sessions of one attempt, in order."""

    began_at: datetime
    sessions: tuple[DialogueSession, ...]


def _readable(line: bytes) -> str:
    text = line.rstrip(b"\r").decode("utf-8", "backslashreplace")[:MAX_LINE]
    if text.isprintable():  # nearly all
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
