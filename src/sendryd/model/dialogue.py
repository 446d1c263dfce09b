"""The dialogue of a delivery attempt: every line that went over the wire, with its time. It has no content of a mail and no password."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from sendryd.valuetype import valuetype

PLACE: Final = "dialogue"  # the name in an event's metadata of the place where its dialogue is kept


class Speaker(StrEnum):
    """Who has a line."""

    US = ">"
    THEM = "<"
    NOTE = "#"  # no line of the wire: what happened beside the dialogue


class DialogueLine(NamedTuple):
    """One line without its end."""

    ms: int  # since the attempt began
    speaker: Speaker
    text: str


@valuetype(frozen=True, slots=True, kw_only=True)
class DialogueSession:
    """What was said with one address of one host."""

    host: str
    address: str
    port: int
    tls: str  # version and cipher; empty in clear text
    lines: tuple[DialogueLine, ...]


@valuetype(frozen=True, slots=True, kw_only=True)
class AttemptDialogue:
    """All sessions of one attempt, in order."""

    began_at: datetime
    sessions: tuple[DialogueSession, ...]
