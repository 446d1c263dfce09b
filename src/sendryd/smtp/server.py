"""The server side of an SMTP session as a pure machine (RFC 5321, 6409, 3207, 4954, 2920, 3030).

`receive_data` buffers. `next_event` gives what happened, `NEED_DATA`, or `PAUSED` while an event awaits its `reply`. `data_to_send` is
what the peer must be sent. The machine answers by itself what needs no decision: bad syntax, bad order, NOOP, limits, malformed content.
Any bytes at all give events; none can raise anything but `RemoteProtocolError`. What the states are stands in `states.py`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sendryd.smtp.command import Auth, CommandRefused, make_reply, parse_auth, parse_bdat, parse_hello, parse_mail, parse_rcpt, printable
from sendryd.smtp.datastream import ContentReader, Flaw
from sendryd.smtp.errors import LocalProtocolError
from sendryd.smtp.events import (
    NEED_DATA,
    PAUSED,
    Closed,
    Connected,
    ContentRefused,
    CredentialsOffered,
    DataEnded,
    DataRequested,
    Fault,
    Hello,
    MailFrom,
    ServerEvent,
    StartTLSRequested,
)
from sendryd.smtp.extensions import submission_keywords
from sendryd.smtp.reply import Reply
from sendryd.smtp.sasl import MECHANISMS, Credentials, Exchange, UndecodableResponse
from sendryd.smtp.states import LEGAL, TRANSITIONS, State, Verb
from sendryd.smtp.timeouts import Step

DRAIN_FACTOR: Final = 4  # a content over the limit is read to its end, but not beyond this many times the limit

OK: Final = make_reply(250, "2.0.0", "Ok")
BYE: Final = make_reply(221, "2.0.0", "Bye")
HELP: Final = make_reply(214, "2.0.0", "See RFC 5321; log in with an API key as the password")
CANNOT_VERIFY: Final = make_reply(252, "2.5.0", "Send some mail, I will try my best")
NOT_IMPLEMENTED: Final = make_reply(502, "5.5.1", "Command not implemented")
UNKNOWN_COMMAND: Final = make_reply(500, "5.5.2", "Command not recognized")
BAD_LINE_END: Final = make_reply(500, "5.5.2", "End each command with CR LF")
WRONG_PROTOCOL: Final = make_reply(500, "5.5.1", "This is an SMTP server; for encryption use STARTTLS")
LINE_TOO_LONG: Final = make_reply(500, "5.5.2", "Line too long")
AUTH_TOO_LONG: Final = make_reply(500, "5.5.6", "Authentication exchange line too long")
BAD_SEQUENCE: Final = make_reply(503, "5.5.1", "Bad sequence of commands")
HELLO_FIRST: Final = make_reply(503, "5.5.1", "Send EHLO first")
NO_RECIPIENTS: Final = make_reply(554, "5.5.1", "No valid recipients")
NO_ARGUMENTS: Final = make_reply(501, "5.5.4", "This command takes no arguments")
TLS_REQUIRED: Final = make_reply(530, "5.7.0", "Must issue a STARTTLS command first")
AUTH_REQUIRED: Final = make_reply(530, "5.7.0", "Authentication required: log in with an API key as the password")
ALREADY_ENCRYPTED: Final = make_reply(503, "5.5.1", "TLS is already in use")
ALREADY_AUTHENTICATED: Final = make_reply(503, "5.5.1", "Already authenticated")
UNKNOWN_MECHANISM: Final = make_reply(504, "5.5.4", "Unrecognized authentication type; use PLAIN or LOGIN")
UNDECODABLE: Final = make_reply(501, "5.5.2", "Cannot decode the response")
AUTH_CANCELLED: Final = make_reply(501, "5.7.0", "Authentication cancelled")
INJECTED: Final = make_reply(501, "5.5.1", "Nothing may follow STARTTLS before the handshake")
TOO_BIG: Final = make_reply(552, "5.3.4", "The message is larger than this server takes")
TOO_MANY_RECIPIENTS: Final = make_reply(452, "4.5.3", "Too many recipients: send to the others in another message")
TOO_MANY_FAULTS: Final = make_reply(421, "4.7.0", "Too many errors; closing")
TOO_MANY_IDLE_COMMANDS: Final = make_reply(421, "4.7.0", "Too many commands without mail; closing")
BAD_BDAT: Final = make_reply(501, "5.5.4", "Syntax: BDAT size [LAST]; closing")

FLAWS: Final[dict[Flaw, Reply]] = {
    Flaw.BARE_CR: make_reply(554, "5.6.0", "Message refused: it has a bare CR; end each line with CR LF"),
    Flaw.NUL: make_reply(554, "5.6.0", "Message refused: it has a NUL character; encode binary content"),
    Flaw.FALSE_END: make_reply(550, "5.6.0", "Message refused: it has a lone dot beside a bare CR or LF"),
    Flaw.TOO_BIG: TOO_BIG,
}
FOREIGN_VERBS: Final = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"})
TLS_RECORD: Final = b"\x16\x03"  # the first octets of a ClientHello

AuthStep = Callable[[Exchange], bytes | Credentials]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one session may ask for."""

    max_message_size: int = 40 * 1024 * 1024  # octets
    max_recipients: int = 1000  # of one transaction; RFC 5321 §4.5.3.1.8 asks for 100 at the least
    max_faults: int = 20  # before 421; what Postfix allows (smtpd_hard_error_limit)
    max_idle_commands: int = 1000  # NOOP, RSET and the like without a message in between; pools of clients keep alive with them
    command_line: int = 2048  # octets: RFC 5321 §4.5.3.1.4 has 512 and our extensions add to it
    auth_line: int = 12_288  # octets: RFC 4954 §4


class ServerConnection:
    """The machine of one session."""

    __slots__ = (
        "_buffer",
        "_chunk_is_last",
        "_chunk_left",
        "_encrypted",
        "_events",
        "_exchange",
        "_faults",
        "_hostname",
        "_idle_commands",
        "_is_authenticated",
        "_is_eof",
        "_is_skipping",
        "_is_smtputf8",
        "_limits",
        "_output",
        "_pending",
        "_reader",
        "_recipients",
        "_refused_content",
        "_started",
        "_state",
    )

    def __init__(self, *, hostname: str, limits: ServerLimits, encrypted: bool = False) -> None:
        self._hostname = hostname
        self._limits = limits
        self._encrypted = encrypted
        self._is_authenticated = False
        self._state = State.GREETING
        self._pending: Verb | None = None  # what awaits a decision
        self._buffer = b""
        self._output: list[bytes] = []
        self._events: deque[ServerEvent] = deque()
        self._is_eof = False
        self._is_skipping = False  # the rest of an over-long line
        self._exchange: Exchange | None = None
        self._is_smtputf8 = False
        self._recipients: set[str] = set()
        self._reader: ContentReader | None = None
        self._refused_content: Reply | None = None
        self._chunk_left = 0
        self._chunk_is_last = False
        self._faults = 0
        self._idle_commands = 0
        self._started = False

    def __repr__(self) -> str:
        return f"<ServerConnection {self._state.name} pending={self._pending}>"

    # What the shell asks.

    @property
    def awaiting(self) -> Step:
        """What the shell waits for when it reads."""
        if self._state is State.TLS:
            return Step.HANDSHAKE
        return Step.DATA_BLOCK if self._state is State.DATA or self._chunk_left else Step.COMMAND

    @property
    def is_closed(self) -> bool:
        """Nothing more is read; the shell closes once everything is sent."""
        return self._state is State.CLOSED

    @property
    def is_receiving_content(self) -> bool:
        """What is read next is content, not commands."""
        return self._state is State.DATA or self._chunk_left > 0

    @property
    def content_size(self) -> int:
        """Octets of content held now."""
        return self._reader.held if self._reader else 0

    # Receiving and sending.

    def receive_data(self, data: bytes) -> None:
        """Takes what was read; `b""` is the end of the stream."""
        if not data:
            self._is_eof = True
        elif self._state is not State.CLOSED:
            self._buffer = self._buffer + data if self._buffer else data

    def data_to_send(self) -> bytes:
        """What must be sent now; each octet is given once."""
        output = self._output
        if not output:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return data

    def tls_established(self) -> None:
        """The handshake is done: everything said before it is forgotten (RFC 3207 §4.2)."""
        if self._state is not State.TLS:
            raise LocalProtocolError("no handshake was due")
        self._state = State.START
        self._encrypted = True
        self._is_authenticated = False
        self._buffer = b""
        self._end_transaction()

    def deauthenticate(self) -> None:
        """The key is no longer good: AUTH is due again."""
        self._is_authenticated = False

    def shut_down(self, reply: Reply) -> None:
        """Says a last word, in any state, and closes."""
        if self._state is State.CLOSED:
            return
        if self._state is not State.TLS:  # nothing can be said in the middle of a handshake
            self._send(reply)
        self._close(str(reply))

    def refuse_content(self, reply: Reply) -> None:
        """The content is not wanted: drops what is held, reads on to its end, then answers with this reply."""
        if self._reader is None:
            raise LocalProtocolError("no content is being received")
        self._refused_content = reply
        self._reader.discard()

    # Deciding.

    def reply(self, reply: Reply) -> None:
        """Answers the event that awaits a decision."""
        verb = self._pending
        if verb is None:
            raise LocalProtocolError(f"nothing awaits the reply {reply}")
        after = TRANSITIONS.get((self._state, verb, reply.reply_class))
        if after is None:
            raise LocalProtocolError(f"{reply} is no answer to {verb.name} in {self._state.name}")
        self._pending = None
        self._output.append(reply.encoded)
        self._follow(verb, reply, after)

    def accept_hello(self) -> None:
        """Answers `Hello` with our name and, to EHLO, what we offer."""
        if self._pending is Verb.EHLO:
            keywords = submission_keywords(max_message_size=self._limits.max_message_size, is_encrypted=self._encrypted)
            self.reply(Reply(250, (self._hostname, *keywords)))
        else:
            self.reply(Reply(250, self._hostname))

    def _follow(self, verb: Verb, reply: Reply, after: State) -> None:
        self._state = after
        if verb is Verb.RCPT or verb is Verb.BDAT:
            return
        if verb is Verb.CONTENT:
            self._end_transaction()
            self._faults = 0 if reply.is_positive else self._faults
            self._idle_commands = 0
        elif verb is Verb.DATA:
            if after is State.DATA:
                self._reader = ContentReader(self._limits.max_message_size, is_dot_stuffed=True)
        elif verb is Verb.AUTH:
            self._is_authenticated = reply.is_positive
            if not reply.is_positive:
                self._count_fault()
        elif verb is Verb.STARTTLS and after is State.TLS:
            self._buffer = b""
        elif (verb is Verb.EHLO or verb is Verb.HELO) and reply.is_positive:
            self._end_transaction()
        elif after is State.CLOSED:
            self._close(f"the session was refused: {reply}")

    # Getting events.

    def next_event(self) -> ServerEvent | type[NEED_DATA] | type[PAUSED]:
        """What happened next."""
        while True:
            if self._events:
                return self._events.popleft()
            if self._pending is not None:
                return PAUSED
            if not self._buffer and self._started and not self._is_eof:  # most calls, so they are answered here
                return NEED_DATA
            if not self._started:
                self._started = True
                self._pending = Verb.CONNECT
                return Connected()
            event = self._advance()
            if event is not None:
                return event

    def _advance(self) -> ServerEvent | type[NEED_DATA] | None:
        """One step; None: go on."""
        if self._state is State.CLOSED or self._state is State.TLS:
            if self._is_eof and self._state is State.TLS:
                self._close("the client closed in the handshake")
                return None
            return NEED_DATA
        if self._state is State.DATA:
            return self._read_data()
        if self._chunk_left:
            return self._read_chunk()
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return self._read_partial_line()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        if self._is_skipping:
            self._is_skipping = False
            self._refuse_long_line()
            return None
        return self._read_line(line)

    def _read_partial_line(self) -> type[NEED_DATA] | None:
        buffer = self._buffer
        if not buffer and not self._is_eof:
            return NEED_DATA
        if self._is_eof:
            self._close("the client closed" if not buffer else "the client closed in the middle of a command")
            return None
        if self._state is State.START and not self._encrypted and buffer.startswith(TLS_RECORD):
            self._hang_up(WRONG_PROTOCOL, "the client spoke TLS at once: it must use STARTTLS")
            return None
        if self._is_skipping:
            self._buffer = buffer[-1:] if buffer.endswith(b"\r") else b""
            return NEED_DATA
        if b"\n" in buffer:
            self._hang_up(BAD_LINE_END, "a command ended with a bare LF")
            return None
        if len(buffer) > self._line_limit(buffer):
            self._is_skipping = True
            return None
        return NEED_DATA

    def _line_limit(self, line: bytes) -> int:
        if self._state is State.AUTH or line[:5].upper() == b"AUTH ":
            return self._limits.auth_line + 64  # the verb and the mechanism stand on the same line
        return self._limits.command_line

    def _read_line(self, line: bytes) -> ServerEvent | None:
        if len(line) > self._limits.command_line and len(line) > self._line_limit(line):
            self._refuse_long_line()
            return None
        if b"\n" in line or b"\r" in line:
            self._hang_up(BAD_LINE_END, "a command had a bare CR or LF in it")
            return None
        try:
            if self._state is State.AUTH:
                return self._read_auth_response(line)
            return self._read_command(line)
        except CommandRefused as refused:
            self._send(refused.reply)
            excerpt = "AUTH" if line[:4].upper() == b"AUTH" else printable(line)
            self._events.append(Fault(refused.reply, excerpt))
            if refused.is_fault:
                self._count_fault()
            return None

    def _refuse_long_line(self) -> None:
        if self._state is State.AUTH:
            self._exchange = None
            self._state = State.READY
            self._send(AUTH_TOO_LONG)
        else:
            self._send(LINE_TOO_LONG)
        self._events.append(Fault(LINE_TOO_LONG, ""))
        self._count_fault()

    # Commands.

    def _read_command(self, line: bytes) -> ServerEvent | None:
        verb = line[:4].upper()
        if verb == b"MAIL":
            return self._on_mail(line)
        if verb == b"RCPT":
            return self._on_rcpt(line)
        if verb == b"BDAT":
            self._on_bdat(line)
            return None
        word, _, argument = line.partition(b" ")
        word = word.upper()
        if word == b"DATA":
            return self._on_data(argument)
        if word in (b"EHLO", b"HELO"):
            return self._on_hello(word, argument)
        if word == b"STARTTLS":
            return self._on_starttls(argument)
        if word == b"AUTH":
            return self._on_auth(argument)
        self._on_plain_command(word, line)
        return None

    def _on_plain_command(self, word: bytes, line: bytes) -> None:
        match word:
            case b"RSET":
                self._require(Verb.RSET)
                self._state = State.START if self._state is State.START else State.READY
                self._end_transaction()
                self._send(OK)
            case b"NOOP":
                self._send(OK)
            case b"QUIT":
                self._send(BYE)
                self._close("the client said QUIT")
                return
            case b"HELP":
                self._send(HELP)
            case b"VRFY":
                self._send(CANNOT_VERIFY)
            case b"EXPN":
                raise CommandRefused(NOT_IMPLEMENTED)
            case _:
                if word in FOREIGN_VERBS or line.startswith(TLS_RECORD):
                    self._hang_up(WRONG_PROTOCOL, f"the client spoke another protocol: {printable(line)}")
                    return
                raise CommandRefused(UNKNOWN_COMMAND)
        self._idle_commands += 1
        if self._idle_commands > self._limits.max_idle_commands:
            self._hang_up(TOO_MANY_IDLE_COMMANDS, "too many commands without mail")

    def _require(self, verb: Verb) -> None:
        if (self._state, verb) not in LEGAL:
            raise CommandRefused(HELLO_FIRST if self._state is State.START else BAD_SEQUENCE)

    def _on_hello(self, word: bytes, argument: bytes) -> ServerEvent:
        verb = Verb.EHLO if word == b"EHLO" else Verb.HELO
        self._require(verb)
        name = parse_hello(argument)
        self._pending = verb
        return Hello(name, verb is Verb.EHLO)

    def _on_starttls(self, argument: bytes) -> ServerEvent | None:
        if argument:
            raise CommandRefused(NO_ARGUMENTS)
        if self._encrypted:
            raise CommandRefused(ALREADY_ENCRYPTED)
        self._require(Verb.STARTTLS)
        if self._buffer:  # commands slipped in before the handshake would else seem to come from inside it (CVE-2011-0411)
            self._hang_up(INJECTED, "something followed STARTTLS before the handshake")
            return None
        self._pending = Verb.STARTTLS
        return StartTLSRequested()

    def _on_auth(self, argument: bytes) -> ServerEvent | None:
        if not self._encrypted:
            raise CommandRefused(TLS_REQUIRED)
        if self._is_authenticated:
            raise CommandRefused(ALREADY_AUTHENTICATED)
        self._require(Verb.AUTH)
        auth: Auth = parse_auth(argument)
        if auth.mechanism not in MECHANISMS:
            raise CommandRefused(UNKNOWN_MECHANISM)
        self._exchange = Exchange(auth.mechanism)
        return self._step_auth(lambda exchange: exchange.start(auth.initial))

    def _read_auth_response(self, line: bytes) -> ServerEvent | None:
        if line == b"*":  # RFC 4954 §4
            self._exchange = None
            self._state = State.READY
            raise CommandRefused(AUTH_CANCELLED)
        return self._step_auth(lambda exchange: exchange.step(line))

    def _step_auth(self, step: AuthStep) -> ServerEvent | None:
        exchange = self._exchange
        if exchange is None:
            raise LocalProtocolError("no AUTH dialogue is under way")
        try:
            result = step(exchange)
        except UndecodableResponse:
            self._exchange = None
            self._state = State.READY
            raise CommandRefused(UNDECODABLE) from None
        self._state = State.AUTH
        if isinstance(result, Credentials):
            self._exchange = None
            self._pending = Verb.AUTH
            return CredentialsOffered(exchange.mechanism, result.username, result.password)
        self._output.append(result)
        return None

    def _on_mail(self, line: bytes) -> ServerEvent:
        if not self._is_authenticated and self._state is not State.START:
            raise CommandRefused(AUTH_REQUIRED if self._encrypted else TLS_REQUIRED)
        self._require(Verb.MAIL)
        mail: MailFrom = parse_mail(line)
        if mail.size is not None and mail.size > self._limits.max_message_size:  # RFC 1870 §6.1
            raise CommandRefused(TOO_BIG, is_fault=False)
        self._is_smtputf8 = mail.is_smtputf8
        self._pending = Verb.MAIL
        return mail

    def _on_rcpt(self, line: bytes) -> ServerEvent:
        if (self._state, Verb.RCPT) not in LEGAL:
            raise CommandRefused(HELLO_FIRST if self._state is State.START else BAD_SEQUENCE)
        rcpt = parse_rcpt(line, is_smtputf8=self._is_smtputf8)
        address = rcpt.path.text
        if address not in self._recipients:
            if len(self._recipients) >= self._limits.max_recipients:
                raise CommandRefused(TOO_MANY_RECIPIENTS, is_fault=False)
            self._recipients.add(address)
        self._pending = Verb.RCPT
        return rcpt

    def _on_data(self, argument: bytes) -> ServerEvent | None:
        if argument.strip():
            raise CommandRefused(NO_ARGUMENTS)
        if self._state is State.MAIL:
            if not self._buffer:
                raise CommandRefused(NO_RECIPIENTS)
            # The client did not wait: its content must not be taken for commands. It is read to its end, and refused there.
            self._send(Reply(354, "No valid recipients; the message will be refused"))
            self._state = State.DATA
            self._reader = ContentReader(self._limits.max_message_size, is_dot_stuffed=True)
            self.refuse_content(NO_RECIPIENTS)
            return None
        self._require(Verb.DATA)
        self._pending = Verb.DATA
        return DataRequested()

    # Content.

    def _read_data(self) -> ServerEvent | type[NEED_DATA] | None:
        reader = self._reader
        if reader is None:
            raise LocalProtocolError("no content is due")
        if not self._buffer:
            if self._is_eof:
                self._close("the client closed in the middle of a message")
                return None
            return NEED_DATA
        data, self._buffer = self._buffer, b""
        rest = reader.feed(data)
        if rest is None:
            self._check_drain(reader)
            return None
        self._buffer = rest
        return self._content_ended(reader)

    def _check_drain(self, reader: ContentReader) -> None:
        if self._refused_content is not None:
            reader.discard()
        if reader.received > self._limits.max_message_size * DRAIN_FACTOR:
            self._hang_up(make_reply(421, "4.3.4", "The message is far too large; closing"), "a content went on and on")

    def _content_ended(self, reader: ContentReader) -> ServerEvent:
        self._reader = None
        refusal = self._refused_content or (FLAWS[reader.flaw] if reader.flaw else None)
        if refusal is not None:
            self._send(refusal)
            self._state = State.READY
            self._end_transaction()
            return ContentRefused(refusal)
        self._pending = Verb.CONTENT
        return DataEnded(reader.content(), reader.first_bare_lf, reader.is_8bit, reader.has_long_line)

    def _on_bdat(self, line: bytes) -> None:
        bdat = parse_bdat(line)
        if bdat is None:
            self._hang_up(BAD_BDAT, "a BDAT command without a usable size")
            return
        if (self._state, Verb.BDAT) in LEGAL:
            self._state = State.BDAT
            if self._reader is None:
                self._reader = ContentReader(self._limits.max_message_size, is_dot_stuffed=False)
        elif self._state is State.MAIL:
            self._refuse_chunk(NO_RECIPIENTS)
        else:
            self._refuse_chunk(AUTH_REQUIRED if not self._is_authenticated else BAD_SEQUENCE)
        self._chunk_left, self._chunk_is_last = bdat.size, bdat.is_last
        if not bdat.size:
            self._chunk_ended()

    def _refuse_chunk(self, reply: Reply) -> None:
        """The octets of a chunk follow its command whatever we think of it (RFC 3030 §2): they are read and dropped."""
        self._refused_content = reply
        self._count_fault()

    def _read_chunk(self) -> type[NEED_DATA] | None:
        if not self._buffer:
            if self._is_eof:
                self._close("the client closed in the middle of a chunk")
                return None
            return NEED_DATA
        chunk, self._buffer = self._buffer[: self._chunk_left], self._buffer[self._chunk_left :]
        self._chunk_left -= len(chunk)
        if self._reader is not None:
            self._reader.append(chunk)
            self._check_drain(self._reader)
        if not self._chunk_left and self._state is not State.CLOSED:
            self._chunk_ended()
        return None

    def _chunk_ended(self) -> None:
        reader = self._reader
        if reader is None or self._state is not State.BDAT:
            if self._refused_content is not None:
                self._send(self._refused_content)
                self._refused_content = None
            return
        if not self._chunk_is_last:
            self._send(OK)
            return
        reader.finish()
        self._events.append(self._content_ended(reader))

    def _end_transaction(self) -> None:
        self._reader = None
        self._refused_content = None
        self._recipients = set()
        self._is_smtputf8 = False
        self._chunk_left = 0

    # Ending.

    def _send(self, reply: Reply) -> None:
        self._output.append(reply.encoded)

    def _count_fault(self) -> None:
        self._faults += 1
        if self._faults >= self._limits.max_faults:
            self._hang_up(TOO_MANY_FAULTS, "too many errors")

    def _hang_up(self, reply: Reply, reason: str) -> None:
        if self._state is not State.CLOSED:
            self._send(reply)
            self._close(reason)

    def _close(self, reason: str) -> None:
        if self._state is not State.CLOSED:
            self._state = State.CLOSED
            self._events.append(Closed(reason))
        self._pending = None
        self._buffer = b""
        self._end_transaction()
