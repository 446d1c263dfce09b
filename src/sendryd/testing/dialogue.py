r"""Dialogue files: what a client says and what the server answers, to be read by people and run against the machine or a real socket.

Lines begin with `C: ` (sent, with CR LF), `C> ` (sent as it stands, escapes such as \r\n read), `S: ` (the next reply's lines must begin
so), `!tls` (handshake), `!eof` (the client closes), `!closed` (the server must have closed). `#` begins a comment.
"""

from dataclasses import dataclass
from enum import Enum


class StepKind(Enum):
    """The kind of a dialogue line."""

    SEND = "send"
    EXPECT = "expect"
    TLS = "tls"
    EOF = "eof"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class DialogueStep:
    """One line."""

    kind: StepKind
    data: bytes
    line_number: int


def parse_dialogue(text: str) -> list[DialogueStep]:
    """Parses a dialogue file. Raises `ValueError` with the number of an invalid line."""
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("C: ") or line == "C:":
            steps.append(DialogueStep(StepKind.SEND, line[3:].encode() + b"\r\n", number))
        elif line.startswith("C> "):
            steps.append(DialogueStep(StepKind.SEND, line[3:].encode().decode("unicode_escape").encode("latin-1"), number))
        elif line.startswith("S: "):
            steps.append(DialogueStep(StepKind.EXPECT, line[3:].encode(), number))
        elif line in {"!tls", "!eof", "!closed"}:
            steps.append(DialogueStep(StepKind(line[1:]), b"", number))
        else:
            raise ValueError(f"line {number} is no step of a dialogue: {line!r}")
    return steps
