"""The states of an SMTP session at both sides, and the allowed transitions.

Two rules. Every check of order and every change of state is in this file. Nothing here knows a line, a socket or a mailbox.

Theory of operation. In SMTP the state changes on the *reply*, not on the command: a refused MAIL changes nothing. So both tables are keyed by
state, verb and class of the reply. Moves that no reply makes (a handshake, the end of the content, a close) are methods.

The server has four machines, three of them tiny.

1. The dialogue: `SERVER_MOVES`. What the table does not have is answered 503; a reply of a class that it does not have is our own fault.
2. The transport: clear text, then encrypted, once.
3. The identity: anonymous, then authenticated; STARTTLS and a revoked key make it anonymous again.
4. The decision: none, or awaited. While one is awaited nothing more is read, so pipelined commands cannot overtake it.

The ugly bit: some of what comes is no command, and is not in the table. Lines of an AUTH dialogue are read in the state AUTH. The octets of
a BDAT chunk are read in whatever state the command found, because they come whether it was in order or not (`content.py`). And DATA when no
recipient was accepted goes through DATA all the same, to a certain refusal, so that its content is not taken for commands (`ServerDialogue.detour`).

The client has two. Its phase follows the replies: `CLIENT_MOVES`. A reply that the table does not have breaks the connection, because the two
sides may mean different commands. And the commands still unanswered decide what may be sent: without PIPELINING there may be none; with it
RSET, MAIL and RCPT may be followed by more, and every other command ends its group (RFC 2920 §3.1).
"""

from enum import IntEnum, StrEnum, auto
from typing import Final

from sendryd.smtp.errors import LocalProtocolError, RemoteProtocolError
from sendryd.smtp.reply import SERVICE_CLOSING, Reply, ReplyClass


class Verb(StrEnum):
    """An element of the dialogue that a reply answers: a command, the greeting, or the content."""

    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    CONTENT = "content"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"


_P, _M, _T, _N = ReplyClass.POSITIVE, ReplyClass.MORE, ReplyClass.TRANSIENT, ReplyClass.PERMANENT
_HELLOS: Final = (Verb.EHLO, Verb.HELO)


# The server's side.


class State(IntEnum):
    """The state of a server's dialogue."""

    GREETING = auto()  # connected; no greeting sent
    START = auto()  # greeting sent; EHLO is due
    READY = auto()  # EHLO was accepted; no transaction
    AUTH = auto()  # in an AUTH dialogue, or its decision is awaited
    TLS = auto()  # STARTTLS was answered with 220; the handshake is due
    MAIL = auto()  # MAIL was accepted
    RCPT = auto()  # at least one RCPT was accepted
    DATA = auto()  # content flows, until CR LF . CR LF
    BDAT = auto()  # at least one chunk was accepted, the last one has not come
    CLOSED = auto()  # nothing more is read


SERVER_MOVES: Final[dict[tuple[State, Verb, ReplyClass], State]] = {
    (State.GREETING, Verb.GREETING, _P): State.START,
    (State.GREETING, Verb.GREETING, _T): State.CLOSED,
    (State.GREETING, Verb.GREETING, _N): State.CLOSED,
    # EHLO is allowed wherever a command is, and ends a transaction under way (RFC 5321 §4.1.4).
    **{
        (state, verb, answer): State.READY if answer is _P else state
        for state in (State.START, State.READY, State.MAIL, State.RCPT, State.BDAT)
        for verb in _HELLOS
        for answer in (_P, _T, _N)
    },
    (State.READY, Verb.STARTTLS, _P): State.TLS,
    (State.READY, Verb.STARTTLS, _T): State.READY,
    (State.READY, Verb.STARTTLS, _N): State.READY,
    (State.READY, Verb.AUTH, _M): State.AUTH,
    (State.READY, Verb.AUTH, _P): State.READY,
    (State.READY, Verb.AUTH, _T): State.READY,
    (State.READY, Verb.AUTH, _N): State.READY,
    (State.AUTH, Verb.AUTH, _M): State.AUTH,
    (State.AUTH, Verb.AUTH, _P): State.READY,
    (State.AUTH, Verb.AUTH, _T): State.READY,
    (State.AUTH, Verb.AUTH, _N): State.READY,
    (State.READY, Verb.MAIL, _P): State.MAIL,
    (State.READY, Verb.MAIL, _T): State.READY,
    (State.READY, Verb.MAIL, _N): State.READY,
    (State.MAIL, Verb.RCPT, _P): State.RCPT,
    (State.MAIL, Verb.RCPT, _T): State.MAIL,
    (State.MAIL, Verb.RCPT, _N): State.MAIL,
    (State.RCPT, Verb.RCPT, _P): State.RCPT,
    (State.RCPT, Verb.RCPT, _T): State.RCPT,
    (State.RCPT, Verb.RCPT, _N): State.RCPT,
    (State.RCPT, Verb.DATA, _M): State.DATA,
    (State.RCPT, Verb.DATA, _T): State.RCPT,
    (State.RCPT, Verb.DATA, _N): State.RCPT,
    (State.DATA, Verb.CONTENT, _P): State.READY,
    (State.DATA, Verb.CONTENT, _T): State.READY,
    (State.DATA, Verb.CONTENT, _N): State.READY,
    (State.RCPT, Verb.BDAT, _P): State.BDAT,
    (State.BDAT, Verb.BDAT, _P): State.BDAT,
    (State.BDAT, Verb.CONTENT, _P): State.READY,
    (State.BDAT, Verb.CONTENT, _T): State.READY,
    (State.BDAT, Verb.CONTENT, _N): State.READY,
    (State.START, Verb.RSET, _P): State.START,
    **{(state, Verb.RSET, _P): State.READY for state in (State.READY, State.MAIL, State.RCPT, State.BDAT)},
}

SERVER_ORDER: Final = frozenset((state, verb) for state, verb, _ in SERVER_MOVES)


class ServerDialogue:
    """The dialogue of one session at the server. Other code reads its attributes; only its methods change them."""

    __slots__ = ("is_authenticated", "is_encrypted", "is_extended", "pending", "state")

    def __init__(self, *, is_encrypted: bool) -> None:
        self.state = State.GREETING
        self.pending: Verb | None = Verb.GREETING  # the element that awaits a decision
        self.is_encrypted = is_encrypted
        self.is_authenticated = False
        self.is_extended = False  # the client sent EHLO, not HELO

    def is_in_order(self, verb: Verb) -> bool:
        """Whether the client may send this now."""
        return (self.state, verb) in SERVER_ORDER

    def ask(self, verb: Verb) -> None:
        """Records that this element awaits a decision."""
        self.pending = verb

    def decide(self, reply: Reply) -> Verb:
        """Ends the awaited decision and returns the element that it was about. Raises `LocalProtocolError` if none was awaited, or if the reply
        cannot answer it.
        """
        verb = self.pending
        if verb is None:
            raise LocalProtocolError(f"nothing awaits the reply {reply}")
        self.move(verb, reply.reply_class)
        self.pending = None
        return verb

    def move(self, verb: Verb, answer: ReplyClass) -> None:
        """Changes the state after this reply to this element. Raises `LocalProtocolError` if the reply cannot answer it."""
        after = SERVER_MOVES.get((self.state, verb, answer))
        if after is None:
            raise LocalProtocolError(f"a {answer.name.lower()} reply is no answer to {verb} in {self.state.name}")
        self.state = after
        if verb is Verb.AUTH:
            self.is_authenticated = answer is _P
        elif answer is _P and verb in _HELLOS:
            self.is_extended = verb is Verb.EHLO

    def detour(self) -> None:
        """Accepts DATA after MAIL without an accepted recipient: its content is read to its end and refused there.

        A client that pipelines may not see in time that no recipient was accepted (RFC 2920 §3.1). Raises `LocalProtocolError` in other states.
        """
        if self.state is not State.MAIL:
            raise LocalProtocolError(f"there is no way around in {self.state.name}")
        self.state = State.DATA

    def shake_hands(self) -> None:
        """Records the end of the handshake, and forgets everything before it (RFC 3207 §4.2). Raises `LocalProtocolError` if no handshake was due."""
        if self.state is not State.TLS:
            raise LocalProtocolError("no handshake was due")
        self.state = State.START
        self.is_encrypted = True
        self.is_authenticated = self.is_extended = False

    def deauthenticate(self) -> None:
        """Requires AUTH again, because the key is no longer valid."""
        self.is_authenticated = False

    def close(self) -> None:
        """Closes the dialogue: nothing more is read, and no decision is awaited."""
        self.state = State.CLOSED
        self.pending = None


# The client's side.


class Phase(StrEnum):
    """The state of a client's dialogue."""

    OPEN = "open"  # commands may be sent
    TLS = "tls"  # STARTTLS was answered with 220; the handshake is due
    CONTENT = "content"  # DATA was answered with 354; content may be sent
    SENT = "sent"  # the lone dot was sent; its answer is due
    CLOSING = "closing"  # nothing more is sent; the peer has followed the protocol
    BROKEN = "broken"  # nothing more is sent; the peer has violated the protocol


MAY_BE_FOLLOWED: Final = frozenset({Verb.RSET, Verb.MAIL, Verb.RCPT})  # RFC 2920 §3.1
NEEDS_HELLO: Final = frozenset({Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.AUTH, Verb.STARTTLS})  # RFC 5321 §4.1.4

_OPEN_MOVES: Final = {
    **{
        (verb, answer): Phase.OPEN
        for verb in (Verb.GREETING, *_HELLOS, Verb.MAIL, Verb.RCPT, Verb.RSET, Verb.NOOP)
        for answer in (_P, _T, _N)
    },
    **{(Verb.AUTH, answer): Phase.OPEN for answer in (_P, _M, _T, _N)},
    (Verb.STARTTLS, _P): Phase.TLS,
    (Verb.STARTTLS, _T): Phase.OPEN,
    (Verb.STARTTLS, _N): Phase.OPEN,
    (Verb.DATA, _M): Phase.CONTENT,
    (Verb.DATA, _T): Phase.OPEN,
    (Verb.DATA, _N): Phase.OPEN,
    **{(Verb.QUIT, answer): Phase.CLOSING for answer in (_P, _T, _N)},
}

CLIENT_MOVES: Final[dict[tuple[Phase, Verb, int], Phase]] = {
    **{(Phase.OPEN, verb, answer): after for (verb, answer), after in _OPEN_MOVES.items()},
    # Commands that were pipelined before the 421 are still answered.
    **{(Phase.CLOSING, verb, answer): Phase.CLOSING for verb, answer in _OPEN_MOVES},
    # A refusal may arrive before the end of the content; then the rest and the lone dot must not be sent.
    (Phase.CONTENT, Verb.CONTENT, _T): Phase.CLOSING,
    (Phase.CONTENT, Verb.CONTENT, _N): Phase.CLOSING,
    (Phase.SENT, Verb.CONTENT, _P): Phase.OPEN,
    (Phase.SENT, Verb.CONTENT, _T): Phase.OPEN,
    (Phase.SENT, Verb.CONTENT, _N): Phase.OPEN,
}


class ClientDialogue:
    """The dialogue of one session at the client. Other code reads its attributes; only its methods change them."""

    __slots__ = ("broken_in", "fault", "has_hello", "is_encrypted", "phase")

    def __init__(self, *, is_encrypted: bool) -> None:
        self.phase = Phase.OPEN
        self.is_encrypted = is_encrypted
        self.has_hello = False
        self.fault = ""  # how the peer violated the protocol
        self.broken_in: Phase | None = None  # the phase of the violation: a message that was sent by then may have been accepted

    def check_order(self, verb: Verb, *, behind: Verb | None, may_pipeline: bool) -> None:
        """Raises `LocalProtocolError` if this may not be sent now, after a command that was sent last and is not answered yet."""
        if self.phase is not Phase.OPEN:
            raise LocalProtocolError(f"{verb} cannot be sent: the dialogue is in the phase {self.phase}")
        if behind is not None and not may_pipeline:
            raise LocalProtocolError(f"{verb} cannot be sent before {behind} is answered")
        if behind is not None and behind not in MAY_BE_FOLLOWED:
            raise LocalProtocolError(f"{verb} cannot be pipelined behind {behind}")
        if not self.has_hello and verb in NEEDS_HELLO:
            raise LocalProtocolError(f"{verb} cannot be sent before EHLO is answered")
        if verb is Verb.STARTTLS and self.is_encrypted:
            raise LocalProtocolError("STARTTLS cannot be sent inside TLS")

    def hear(self, verb: Verb, code: int) -> None:
        """Changes the state after the peer's reply to this element. Raises `RemoteProtocolError` if the reply cannot answer it."""
        answer = code // 100
        after = CLIENT_MOVES.get((self.phase, verb, answer))
        if after is None:
            raise self.break_off(
                "the message was answered before its end" if self.phase is Phase.CONTENT else f"{code} is no answer to {verb}"
            )
        self.phase = Phase.CLOSING if code == SERVICE_CLOSING else after
        if answer == _P and verb in _HELLOS:
            self.has_hello = True

    def end_content(self) -> None:
        """Records that the lone dot was sent. Raises `LocalProtocolError` if no content is being sent."""
        if self.phase is not Phase.CONTENT:
            raise LocalProtocolError("content can be ended only after 354, and once")
        self.phase = Phase.SENT

    def shake_hands(self) -> None:
        """Records the end of the handshake, and forgets everything learned before it (RFC 3207 §4.2). Raises `LocalProtocolError` if no handshake
        was due.
        """
        if self.phase is not Phase.TLS:
            raise LocalProtocolError("TLS can be established only after 220 to STARTTLS")
        self.phase = Phase.OPEN
        self.is_encrypted = True
        self.has_hello = False

    def break_off(self, fault: str) -> RemoteProtocolError:
        """Breaks the dialogue because the peer violated the protocol: nothing more is sent. Returns the error to raise."""
        self.broken_in = self.phase
        self.phase = Phase.BROKEN
        self.fault = fault
        return RemoteProtocolError(fault)
