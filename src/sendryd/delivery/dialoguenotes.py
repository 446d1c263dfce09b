"""What was said during an attempt: kept for the dashboard and `queue show`. Pure.

What goes out and what comes in is noted as it is, with the moment; lines are made of it by those who read it.
Limits: `MAX_HEARD` octets of replies of a session. Of AUTH the mechanism alone is kept, and of its challenges the code.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from sendryd.delivery.target import Target
from sendryd.delivery.transcript import Transcript, command_text
from sendryd.model.dialogue import AttemptDialogue, DialogueSession, Speaker, Spoken
from sendryd.runtime.stream import TlsInfo
from sendryd.smtp.client_commands import Command
from sendryd.smtp.states import Verb

MAX_HEARD: Final = 64 * 1024  # octets: every reply that makes sense, many times over
_CHALLENGE: Final = re.compile(rb"^334[^\n]*", re.MULTILINE)  # RFC 4954 §4

# As `Spoken(…)`, whose call is a Python function; this one is not, and there are some eight of them for each mail.
_spoken: Final[Callable[[tuple[int, Speaker, bytes]], Spoken]] = partial(tuple.__new__, Spoken)


class SessionNotes:
    """One session, or the part of a kept connection that belongs to one attempt."""

    __slots__ = ("_began", "_challenge", "_heard", "_is_over", "_monotonic", "_spoken", "fault", "target", "tls", "transcript")

    def __init__(self, target: Target, transcript: Transcript | None, monotonic: Callable[[], float], began: float) -> None:
        """`began`: when the attempt did, in monotonic seconds."""
        self.transcript = transcript  # to the log, if somebody has asked for it
        self.tls = ""
        self.fault = ""  # why there was no session, or why it broke
        self.target = target
        self._monotonic = monotonic
        self._began = began
        self._spoken: list[Spoken] = []
        self._challenge: bytes | None = None  # what has come of a challenge's last line; None unless one may come
        self._heard = 0  # octets
        self._is_over = False

    def sent(self, command: Command) -> None:
        """A command of ours."""
        if not self._is_over:
            is_login = command.verb is Verb.AUTH
            self._note(Speaker.US, f"{command_text(command)}\r\n".encode("ascii") if is_login else command.line)
            self._challenge = b"" if is_login else None
        if self.transcript is not None:
            self.transcript.sent(command)

    def sent_together(self, commands: Sequence[Command]) -> None:
        """Commands of ours that go out in one write, none of them AUTH."""
        if not self._is_over:
            self._note(Speaker.US, b"".join([command.line for command in commands]))
            self._challenge = None
        if self.transcript is not None:
            for command in commands:
                self.transcript.sent(command)

    def received(self, data: bytes) -> None:
        """What came, in whatever pieces."""
        if self._is_over or self._heard >= MAX_HEARD:
            return
        self._heard += len(data)
        if self._challenge is not None:
            whole, end, self._challenge = (self._challenge + data).rpartition(b"\n")
            data = _CHALLENGE.sub(b"334 ***", whole) + end
        self._note(Speaker.THEM, data)

    def note(self, text: str) -> None:
        """What happened beside the dialogue."""
        if not self._is_over:
            self._note(Speaker.NOTE, text.encode("utf-8", "replace"))
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

    def end(self) -> DialogueSession:
        """What was said. Nothing more is recorded."""
        if self._challenge:
            self._note(Speaker.THEM, _CHALLENGE.sub(b"334 ***", self._challenge))
        self._is_over, self._challenge = True, None
        target, spoken, self._spoken = self.target, tuple(self._spoken), []
        return DialogueSession(host=target.host, address=target.address, port=target.port, tls=self.tls, spoken=spoken)

    def _note(self, speaker: Speaker, octets: bytes) -> None:
        self._spoken.append(_spoken((round((self._monotonic() - self._began) * 1000), speaker, octets)))


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
        session = SessionNotes(target, transcript, self._monotonic, self._began)
        self._sessions.append(session)
        return session

    def tried(self) -> list[tuple[Target, str, str]]:
        """The targets in order, each with its TLS and why there was no session; either may be empty."""
        return [(each.target, each.tls, each.fault) for each in self._sessions]

    def end(self) -> AttemptDialogue | None:
        """What was said in the attempt; None if no server was tried."""
        if not self._sessions:
            return None
        return AttemptDialogue(began_at=self._began_at, sessions=tuple([each.end() for each in self._sessions]))
