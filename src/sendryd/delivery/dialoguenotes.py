"""What was said during an attempt, line by line: kept for the dashboard and `queue show`. Pure.

While the attempt is under way, what goes out and what comes in is noted as it is, with the moment; lines are made of it at the end.
Limits: `MAX_HEARD` octets of replies of a session. Of AUTH the mechanism alone is kept, and of its challenges the code.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sendryd.delivery.target import Target
from sendryd.delivery.transcript import Transcript, command_text
from sendryd.model.dialogue import AttemptDialogue, DialogueLine, DialogueSession, Speaker
from sendryd.runtime.stream import TlsInfo
from sendryd.smtp.client_commands import Command

MAX_HEARD: Final = 64 * 1024  # octets: every reply that makes sense, many times over
_CHALLENGE: Final = b"334"  # RFC 4954 §4


class SessionNotes:
    """One session, or the part of a kept connection that belongs to one attempt."""

    __slots__ = ("_heard", "_is_over", "_monotonic", "_spoken", "fault", "target", "tls", "transcript")

    def __init__(self, target: Target, transcript: Transcript | None, monotonic: Callable[[], float]) -> None:
        self.transcript = transcript  # to the log, if somebody has asked for it
        self.tls = ""
        self.fault = ""  # why there was no session, or why it broke
        self.target = target
        self._monotonic = monotonic
        self._spoken: list[tuple[float, Speaker, bytes | str]] = []
        self._heard = 0  # octets
        self._is_over = False

    def sent(self, command: Command) -> None:
        """A command of ours."""
        if not self._is_over:
            self._spoken.append((self._monotonic(), Speaker.US, command_text(command)))
        if self.transcript is not None:
            self.transcript.sent(command)

    def received(self, data: bytes) -> None:
        """What came, in whatever pieces."""
        if not self._is_over and self._heard < MAX_HEARD:
            self._heard += len(data)
            self._spoken.append((self._monotonic(), Speaker.THEM, data))

    def note(self, text: str) -> None:
        """What happened beside the dialogue."""
        if not self._is_over:
            self._spoken.append((self._monotonic(), Speaker.NOTE, text))
        if self.transcript is not None:
            self.transcript.note(text)

    def note_fault(self, text: str) -> None:
        """There is no session, or none any more."""
        self.fault = text
        self.note(text)

    def note_tls(self, tls: TlsInfo, *, is_kept: bool = False) -> None:
        """The session is encrypted. `is_kept`: since an earlier attempt."""
        self.tls = f"{tls.version}, {tls.cipher}"
        if not is_kept:
            self.note(self.tls)

    def end(self, began: float) -> DialogueSession:
        """What was said, in milliseconds since a moment in monotonic seconds. Nothing more is recorded."""
        self._is_over = True
        lines: list[DialogueLine] = []
        rest = b""
        for moment, speaker, said in self._spoken:
            ms = round((moment - began) * 1000)
            if isinstance(said, str):
                lines.append(DialogueLine(ms, speaker, said))
                continue
            *whole, rest = (rest + said).split(b"\n")
            lines += [DialogueLine(ms, speaker, _reply_text(each)) for each in whole]
        if rest:
            lines.append(DialogueLine(lines[-1].ms if lines else 0, Speaker.THEM, _reply_text(rest)))
        self._spoken = []
        target = self.target
        return DialogueSession(host=target.host, address=target.address, port=target.port, tls=self.tls, lines=tuple(lines))


class AttemptNotes:
    """All sessions of one attempt."""

    __slots__ = ("_began", "_began_at", "_monotonic", "_sessions")

    def __init__(self, began_at: datetime, monotonic: Callable[[], float]) -> None:
        self._began_at = began_at
        self._monotonic = monotonic
        self._began = monotonic()
        self._sessions: list[SessionNotes] = []

    def begin(self, target: Target, transcript: Transcript | None) -> SessionNotes:
        """A session begins."""
        session = SessionNotes(target, transcript, self._monotonic)
        self._sessions.append(session)
        return session

    def tried(self) -> list[tuple[Target, str, str]]:
        """The targets in order, each with its TLS and why there was no session; either may be empty."""
        return [(each.target, each.tls, each.fault) for each in self._sessions]

    def end(self) -> AttemptDialogue | None:
        """What was said in the attempt; None if no server was tried."""
        sessions = tuple(each.end(self._began) for each in self._sessions)
        return AttemptDialogue(began_at=self._began_at, sessions=sessions) if sessions else None


def _reply_text(line: bytes) -> str:
    if line[:3] == _CHALLENGE:
        return "334 ***"
    return line.rstrip(b"\r").decode("utf-8", "backslashreplace")
