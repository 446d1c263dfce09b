"""The server side of an SMTP session as a pure machine (RFC 5321, 6409, 3207, 4954, 2920, 3030).

`receive_data` buffers. `next_event` gives what happened, `NEED_DATA`, or `PAUSED` while an event awaits its `reply`. `data_to_send` is
what the peer must be sent. The machine answers by itself what needs no decision: bad syntax, bad order, NOOP, limits, malformed content.
Any bytes at all give events; none can raise anything but `RemoteProtocolError`. The states, and every change of one, stand in `states.py`;
what a kind of port offers stands in `profile.py`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sendryd.smtp import server_replies as replies
from sendryd.smtp.command import CommandRefused, excerpt, parse_auth, parse_bdat, parse_hello, parse_mail, parse_rcpt
from sendryd.smtp.content import ContentIntake
from sendryd.smtp.errors import LocalProtocolError
from sendryd.smtp.events import (
    NEED_DATA,
    PAUSED,
    Closed,
    Connected,
    ContentRefused,
    CredentialsOffered,
    DataRequested,
    Fault,
    Hello,
    MailFrom,
    ServerEvent,
    StartTLSRequested,
)
from sendryd.smtp.linebuffer import LineBuffer, LineFault
from sendryd.smtp.profile import SUBMISSION, Profile
from sendryd.smtp.reply import Reply, ReplyClass
from sendryd.smtp.sasl import MECHANISMS, Credentials, Exchange, UndecodableResponse
from sendryd.smtp.states import ServerDialogue, State, Verb
from sendryd.smtp.timeouts import Step

FOREIGN_VERBS: Final = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"})
TLS_RECORD: Final = b"\x16\x03"  # the first octets of a ClientHello

AUTH_OVERHEAD: Final = 64  # octets of the verb and the mechanism, which stand on the line of an initial response


_TRANSACTION: Final = frozenset({State.MAIL, State.RCPT, State.DATA, State.BDAT})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one session may ask for."""

    max_message_size: int = 40 * 1024 * 1024  # octets
    max_recipients: int = 1000  # of one transaction; RFC 5321 §4.5.3.1.8 asks for 100 at the least
    max_faults: int = 20  # before 421; what Postfix allows (smtpd_hard_error_limit)
    max_idle_commands: int = 1000  # NOOP, RSET, EHLO and the like without a message in between; pools of clients keep alive with them
    command_line: int = 2048  # octets: RFC 5321 §4.5.3.1.4 has 512 and our extensions add to it
    auth_line: int = 12_288  # octets: RFC 4954 §4


class ServerConnection:
    """The machine of one session."""

    __slots__ = (
        "_content",
        "_dialogue",
        "_events",
        "_exchange",
        "_faults",
        "_hostname",
        "_idle_commands",
        "_input",
        "_is_eof",
        "_is_smtputf8",
        "_limits",
        "_output",
        "_profile",
        "_recipient",
        "_recipients",
    )

    def __init__(self, *, hostname: str, limits: ServerLimits, profile: Profile = SUBMISSION, encrypted: bool = False) -> None:
        self._hostname = hostname
        self._limits = limits
        self._profile = profile
        self._dialogue = ServerDialogue(is_encrypted=encrypted)
        self._input = LineBuffer()
        self._output: list[bytes] = []
        self._events: deque[ServerEvent] = deque((Connected(),))
        self._is_eof = False
        self._exchange: Exchange | None = None
        self._content = ContentIntake(limits.max_message_size)
        self._is_smtputf8 = False
        self._recipient = ""  # that awaits a decision
        self._recipients: set[str] = set()  # accepted
        self._faults = 0
        self._idle_commands = 0

    def __repr__(self) -> str:
        return f"<ServerConnection {self._dialogue.state.name} pending={self._dialogue.pending}>"

    # What the shell asks.

    @property
    def awaiting(self) -> Step:
        """What the shell waits for when it reads."""
        if self._dialogue.state is State.TLS:
            return Step.HANDSHAKE
        return Step.DATA_BLOCK if self.is_receiving_content else Step.COMMAND

    @property
    def is_closed(self) -> bool:
        """Nothing more is read; the shell closes once everything is sent."""
        return self._dialogue.state is State.CLOSED

    @property
    def is_in_transaction(self) -> bool:
        """MAIL was accepted, and neither its content nor RSET has ended it."""
        return self._dialogue.state in _TRANSACTION

    @property
    def is_receiving_content(self) -> bool:
        """What is read next is content, not commands."""
        return self._dialogue.state is State.DATA or self._content.chunk_left > 0

    @property
    def has_content(self) -> bool:
        """A content has begun to come, and neither its end nor RSET has been reached."""
        return self._content.reader is not None

    @property
    def content_size(self) -> int:
        """Octets of content held now."""
        return self._content.held

    @property
    def content_given(self) -> int:
        """Octets that `give_content` gave of the content that is being received; 0 once it has been dropped."""
        return self._content.given

    def give_content(self) -> list[bytes]:
        """The content so far, in pieces and in its final form, but for its end. `DataEnded` has only the rest then."""
        return self._content.give_away()

    # Receiving and sending.

    def receive_data(self, data: bytes) -> None:
        """Takes what was read; `b""` is the end of the stream."""
        if not data:
            self._is_eof = True
        elif self._dialogue.state is not State.CLOSED:
            self._input.append(data)

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
        self._dialogue.shake_hands()
        self._input.clear()
        self._end_transaction()

    def deauthenticate(self) -> None:
        """The key is no longer good: AUTH is due again."""
        self._dialogue.deauthenticate()

    def shut_down(self, reply: Reply) -> None:
        """Says a last word, in any state, and closes."""
        if self._dialogue.state is State.TLS:  # nothing can be said in the middle of a handshake
            self._close(str(reply))
        else:
            self._hang_up(reply, str(reply))

    def refuse_content(self, reply: Reply) -> None:
        """The content is not wanted: drops what is held, reads on to its end, then answers with this reply."""
        if not self._content.refuse(reply):
            raise LocalProtocolError("no content is being received")

    # Deciding.

    def reply(self, reply: Reply) -> None:
        """Answers the event that awaits a decision."""
        verb = self._dialogue.decide(reply)
        self._output.append(reply.encoded)
        if self._dialogue.state is State.CLOSED:
            self._close(f"the session was refused: {reply}")
        else:
            self._follow(verb, reply)

    def accept_hello(self) -> None:
        """Answers `Hello` with our name and, to EHLO, what we offer."""
        if self._dialogue.pending is Verb.EHLO:
            keywords = self._profile.keywords(max_message_size=self._limits.max_message_size, is_encrypted=self._dialogue.is_encrypted)
            self.reply(Reply(250, (self._hostname, *keywords)))
        else:
            self.reply(Reply(250, self._hostname))

    def _follow(self, verb: Verb, reply: Reply) -> None:
        """What a reply changes besides the state."""
        if verb is Verb.RCPT:
            if reply.is_positive:
                self._recipients.add(self._recipient)
        elif verb is Verb.CONTENT:
            self._end_transaction()
            if reply.is_positive:
                self._faults = self._idle_commands = 0
        elif verb is Verb.DATA:
            if reply.is_more:
                self._content.begin_data()
            elif self._input:
                self._close("content followed a refused DATA")
        elif verb is Verb.AUTH and not reply.is_positive:
            self._count_fault()
        elif verb is Verb.STARTTLS:
            if reply.is_positive:
                self._input.clear()
        elif verb in {Verb.EHLO, Verb.HELO} and reply.is_positive:
            self._end_transaction()

    # Getting events.

    def next_event(self) -> ServerEvent | type[NEED_DATA] | type[PAUSED]:
        """What happened next."""
        while True:
            if self._events:
                return self._events.popleft()
            if self._dialogue.pending is not None:
                return PAUSED
            if not self._input and not self._is_eof:  # most calls, so they are answered here
                return NEED_DATA
            event = self._advance()
            if event is not None:
                return event

    def _advance(self) -> ServerEvent | type[NEED_DATA] | None:
        """One step; None: go on."""
        if self._dialogue.state is State.CLOSED or self._dialogue.state is State.TLS:
            return self._end_of_stream("in the handshake") if self._dialogue.state is State.TLS and self._is_eof else NEED_DATA
        if self._dialogue.state is State.DATA:
            return self._read_data() if self._input else self._end_of_stream("in the middle of a message")
        if self._content.chunk_left:
            return self._read_chunk() if self._input else self._end_of_stream("in the middle of a chunk")
        return self._read_line()

    def _end_of_stream(self, where: str) -> ServerEvent:
        self._close(f"the client closed {where}")
        return self._events.pop()

    def _read_line(self) -> ServerEvent | type[NEED_DATA] | None:
        if not self._dialogue.is_encrypted and self._input.peek(2) == TLS_RECORD:
            self._hang_up(replies.WRONG_PROTOCOL, "the client spoke TLS at once: it must use STARTTLS")
            return None
        limit = self._limits.command_line
        if len(self._input) > limit:
            limit = self._line_limit()
        line = self._input.next_line(limit)
        if line is None:
            return self._end_of_stream("in the middle of a command" if self._input else "between commands") if self._is_eof else NEED_DATA
        if isinstance(line, LineFault):
            self._refuse_line(line)
            return None
        try:
            if self._dialogue.state is State.AUTH:
                return self._read_auth_response(line)
            return self._read_command(line)
        except CommandRefused as refused:
            self._send(refused.reply)
            self._events.append(Fault(refused.reply, excerpt(line)))
            if refused.is_fault:
                self._count_fault()
            return None

    def _line_limit(self) -> int:
        if self._dialogue.state is State.AUTH:
            return self._limits.auth_line
        if self._dialogue.is_encrypted and self._input.peek(5).upper() == b"AUTH ":
            return self._limits.auth_line + AUTH_OVERHEAD
        return self._limits.command_line

    def _refuse_line(self, fault: LineFault) -> None:
        if fault is LineFault.BARE_LINE_END:
            self._hang_up(replies.BAD_LINE_END, "a command had a bare CR or LF in it")
            return
        reply = replies.LINE_TOO_LONG
        if self._dialogue.state is State.AUTH:
            self._end_exchange()
            reply = replies.AUTH_TOO_LONG
        self._send(reply)
        self._events.append(Fault(reply, ""))
        self._count_fault()

    # Commands.

    def _read_command(self, line: bytes) -> ServerEvent | None:
        verb = line[:4].upper()
        if verb == b"MAIL":
            return self._on_mail(line)
        if verb == b"RCPT":
            return self._on_rcpt(line)
        word, _, argument = line.partition(b" ")
        word = word.upper()
        match word:
            case b"DATA":
                return self._on_data(argument)
            case b"BDAT":
                return self._on_bdat(line)
            case b"EHLO" | b"HELO":
                return self._on_hello(Verb.EHLO if word == b"EHLO" else Verb.HELO, argument)
            case b"STARTTLS":
                return self._on_starttls(argument)
            case b"AUTH":
                return self._on_auth(argument)
            case _:
                self._on_plain_command(word)
                return None

    def _on_plain_command(self, word: bytes) -> None:
        """Commands that the machine answers by itself."""
        match word:
            case b"RSET":
                self._dialogue.move(Verb.RSET, ReplyClass.POSITIVE)
                self._end_transaction()
                self._send(replies.OK)
            case b"NOOP":
                self._send(replies.OK)
            case b"QUIT":
                self._hang_up(replies.BYE, "the client said QUIT")
                return
            case b"HELP":
                self._send(self._profile.help)
            case b"VRFY":
                self._send(replies.CANNOT_VERIFY)
            case b"EXPN":
                raise CommandRefused(replies.NOT_IMPLEMENTED)
            case _ if word in FOREIGN_VERBS:
                self._hang_up(replies.WRONG_PROTOCOL, f"the client spoke HTTP: {word.decode()}")
                return
            case _:
                raise CommandRefused(replies.UNKNOWN_COMMAND)
        self._count_idle_command()

    @property
    def _is_stranger(self) -> bool:
        return self._profile.has_auth and not self._dialogue.is_authenticated

    @property
    def _who_are_you(self) -> Reply:
        return replies.AUTH_REQUIRED if self._dialogue.is_encrypted else replies.TLS_REQUIRED

    def _out_of_order(self) -> CommandRefused:
        return CommandRefused(replies.HELLO_FIRST if self._dialogue.state is State.START else replies.BAD_SEQUENCE)

    def _on_hello(self, verb: Verb, argument: bytes) -> ServerEvent | None:
        name = parse_hello(argument)
        self._count_idle_command()
        if self._dialogue.state is State.CLOSED:
            return None
        self._dialogue.ask(verb)
        return Hello(name, verb is Verb.EHLO)

    def _on_starttls(self, argument: bytes) -> ServerEvent | None:
        if argument:
            raise CommandRefused(replies.NO_ARGUMENTS)
        if self._dialogue.is_encrypted:
            raise CommandRefused(replies.ALREADY_ENCRYPTED)
        if not self._dialogue.is_in_order(Verb.STARTTLS):
            raise self._out_of_order()
        if not self._dialogue.is_extended:
            raise CommandRefused(replies.HELLO_FIRST)
        if self._input:  # commands slipped in before the handshake would else seem to come from inside it (CVE-2011-0411)
            self._hang_up(replies.INJECTED, "something followed STARTTLS before the handshake")
            return None
        self._dialogue.ask(Verb.STARTTLS)
        return StartTLSRequested()

    def _on_auth(self, argument: bytes) -> ServerEvent | None:
        if not self._profile.has_auth:
            raise CommandRefused(replies.NOT_IMPLEMENTED)
        if not self._dialogue.is_encrypted:
            raise CommandRefused(replies.TLS_REQUIRED)
        if self._dialogue.is_authenticated:
            raise CommandRefused(replies.ALREADY_AUTHENTICATED)
        if not self._dialogue.is_in_order(Verb.AUTH):
            raise self._out_of_order()
        if not self._dialogue.is_extended:  # RFC 4954 §3: an extension needs EHLO
            raise CommandRefused(replies.HELLO_FIRST)
        auth = parse_auth(argument)
        if auth.mechanism not in MECHANISMS:
            raise CommandRefused(replies.UNKNOWN_MECHANISM)
        self._exchange = exchange = Exchange(auth.mechanism)
        self._dialogue.move(Verb.AUTH, ReplyClass.MORE)
        return self._step_auth(exchange, lambda: exchange.start(auth.initial))

    def _read_auth_response(self, line: bytes) -> ServerEvent | None:
        exchange = self._exchange
        assert exchange is not None  # the state is AUTH
        if line == b"*":  # RFC 4954 §4
            self._end_exchange()
            raise CommandRefused(replies.AUTH_CANCELLED)
        return self._step_auth(exchange, lambda: exchange.step(line))

    def _step_auth(self, exchange: Exchange, step: Callable[[], bytes | Credentials]) -> ServerEvent | None:
        try:
            result = step()
        except UndecodableResponse:
            self._end_exchange()
            raise CommandRefused(replies.UNDECODABLE) from None
        if isinstance(result, Credentials):
            self._exchange = None
            self._dialogue.ask(Verb.AUTH)
            return CredentialsOffered(exchange.mechanism, result.username, result.password)
        self._output.append(result)
        return None

    def _end_exchange(self) -> None:
        self._exchange = None
        self._dialogue.move(Verb.AUTH, ReplyClass.PERMANENT)

    def _on_mail(self, line: bytes) -> ServerEvent:
        if self._is_stranger and self._dialogue.state is not State.START:
            raise CommandRefused(self._who_are_you)
        if not self._dialogue.is_in_order(Verb.MAIL):
            raise self._out_of_order()
        mail: MailFrom = parse_mail(line)
        if mail.size is not None and mail.size > self._limits.max_message_size:  # RFC 1870 §6.1
            raise CommandRefused(replies.TOO_BIG, is_fault=False)
        self._is_smtputf8 = mail.is_smtputf8
        self._dialogue.ask(Verb.MAIL)
        return mail

    def _on_rcpt(self, line: bytes) -> ServerEvent:
        if not self._dialogue.is_in_order(Verb.RCPT):
            raise self._out_of_order()
        rcpt = parse_rcpt(line, is_smtputf8=self._is_smtputf8)
        self._recipient = rcpt.path.text
        if len(self._recipients) >= self._limits.max_recipients and self._recipient not in self._recipients:
            raise CommandRefused(replies.TOO_MANY_RECIPIENTS, is_fault=False)
        self._dialogue.ask(Verb.RCPT)
        return rcpt

    # Content.

    def _on_data(self, argument: bytes) -> ServerEvent | None:
        if argument.strip():
            raise CommandRefused(replies.NO_ARGUMENTS)
        if self._dialogue.state is State.MAIL:
            self._dialogue.detour()
            self._send(replies.NO_RECIPIENTS_YET)
            self._content.begin_data()
            self._content.refuse(replies.NO_RECIPIENTS)
            return None
        if not self._dialogue.is_in_order(Verb.DATA):
            if self._input:
                self._hang_up(self._out_of_order().reply, "content followed a refused DATA")
                return None
            raise self._out_of_order()
        self._dialogue.ask(Verb.DATA)
        return DataRequested()

    def _read_data(self) -> ServerEvent | None:
        content = self._content
        has_ended = content.read_data(self._input)
        if content.is_endless:
            self._hang_up(replies.FAR_TOO_BIG, "a content went on and on")
            return None
        return self._content_ended() if has_ended else None

    def _content_ended(self) -> ServerEvent:
        refusal = self._content.refusal
        if refusal is not None:
            self._send(refusal)
            self._dialogue.move(Verb.CONTENT, refusal.reply_class)
            self._end_transaction()
            return ContentRefused(refusal)
        self._dialogue.ask(Verb.CONTENT)
        return self._content.take()

    def _on_bdat(self, line: bytes) -> ServerEvent | None:
        if self._is_stranger:  # whose chunk is not waited for
            self._hang_up(self._who_are_you, "a chunk came before authentication")
            return None
        bdat = parse_bdat(line)
        if bdat is None:
            self._hang_up(replies.BAD_BDAT, "a BDAT command without a usable size")
            return None
        if self._dialogue.is_in_order(Verb.BDAT):
            self._dialogue.move(Verb.BDAT, ReplyClass.POSITIVE)
            is_bearable = self._content.begin_chunk(bdat.size, is_last=bdat.is_last)
        else:
            reply = replies.NO_RECIPIENTS if self._dialogue.state is State.MAIL else self._out_of_order().reply
            is_bearable = self._content.begin_stray_chunk(bdat.size, reply)
        if not is_bearable:
            self._hang_up(replies.TOO_BIG, "a chunk of far too many octets was announced")
            return None
        return None if bdat.size else self._chunk_ended()

    def _read_chunk(self) -> ServerEvent | None:
        return self._chunk_ended() if self._content.read_chunk(self._input) else None

    def _chunk_ended(self) -> ServerEvent | None:
        content = self._content
        if content.is_last_chunk and not content.is_stray_chunk:
            content.finish()
            return self._content_ended()
        refusal = content.chunk_refusal
        if refusal is None:
            self._send(replies.OK)
            return None
        self._send(refusal)
        self._events.append(Fault(refusal, "BDAT"))
        self._count_fault()
        return None

    def _end_transaction(self) -> None:
        self._content.forget()
        self._recipients.clear()
        self._is_smtputf8 = False

    # Ending.

    def _send(self, reply: Reply) -> None:
        self._output.append(reply.encoded)

    def _count_fault(self) -> None:
        self._faults += 1
        if self._faults >= self._limits.max_faults:
            self._hang_up(replies.TOO_MANY_FAULTS, "too many errors")

    def _count_idle_command(self) -> None:
        self._idle_commands += 1
        if self._idle_commands > self._limits.max_idle_commands:
            self._hang_up(replies.TOO_MANY_IDLE_COMMANDS, "too many commands without mail")

    def _hang_up(self, reply: Reply, reason: str) -> None:
        if self._dialogue.state is not State.CLOSED:
            self._send(reply)
            self._close(reason)

    def _close(self, reason: str) -> None:
        self._dialogue.close()
        self._events.append(Closed(reason))
        self._input.clear()
        self._end_transaction()
