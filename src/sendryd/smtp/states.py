"""The states of a server session, and the only moves between them.

Rules: everything that decides whether a command is in order stands in this file; nothing here knows a socket or a mailbox.

Theory of operation. There are four machines, three of them tiny.

1. The dialogue, below. In SMTP the state changes on the *reply*, not on the command: a refused MAIL changes nothing. So the table is keyed
   by state, verb and class of our reply. What the table does not have is answered 503 by the machine; a reply of a class that it does
   not have is our own fault.
2. The transport: clear text, then encrypted, once.
3. The identity: nobody, then authenticated; STARTTLS and a revoked key make it nobody again.
4. The decision: none, or awaited. While one is awaited nothing more is read, so pipelined commands cannot overtake it.

The ugly bit: some of what comes is no command, and is not in the table. Lines of an AUTH dialogue are read in the state AUTH. The octets of
a BDAT chunk are read in whatever state the command found, because they come whether it was in order or not (`content.py`). And DATA when no
recipient was accepted goes through DATA all the same, to a certain refusal, so that its content is not taken for commands.
"""

from enum import IntEnum, auto
from typing import Final

from sendryd.smtp.reply import ReplyClass


class State(IntEnum):
    """Where the dialogue stands."""

    GREETING = auto()  # connected, nothing said
    START = auto()  # greeted; EHLO is due
    READY = auto()  # EHLO was accepted; no transaction
    AUTH = auto()  # in an AUTH dialogue, or its decision is awaited
    TLS = auto()  # 220 was said to STARTTLS; the handshake is due
    MAIL = auto()  # MAIL was accepted
    RCPT = auto()  # at least one RCPT was accepted
    DATA = auto()  # content flows, until CR LF . CR LF
    BDAT = auto()  # at least one chunk was accepted, the last one has not come
    CLOSED = auto()  # nothing more is read


class Verb(IntEnum):
    """What a reply of ours can answer. The last two are no commands."""

    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    AUTH = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    BDAT = auto()
    RSET = auto()
    CONNECT = auto()
    CONTENT = auto()


_P, _M, _T, _N = ReplyClass.POSITIVE, ReplyClass.MORE, ReplyClass.TRANSIENT, ReplyClass.PERMANENT

TRANSITIONS: Final[dict[tuple[State, Verb, ReplyClass], State]] = {
    (State.GREETING, Verb.CONNECT, _P): State.START,
    (State.GREETING, Verb.CONNECT, _T): State.CLOSED,
    (State.GREETING, Verb.CONNECT, _N): State.CLOSED,
    # EHLO is welcome at any time between transactions, and ends one under way (RFC 5321 §4.1.4).
    **{
        (state, verb, answer): State.READY if answer is _P else state
        for state in (State.START, State.READY, State.MAIL, State.RCPT, State.BDAT)
        for verb in (Verb.EHLO, Verb.HELO)
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

LEGAL: Final = frozenset((state, verb) for state, verb, _ in TRANSITIONS)
