"""The server side of an SMTP session as a pure machine (RFC 5321, 6409, 3207, 4954, 2920, 3030).

`receive_data` buffers. `next_event` returns the next event, `NEED_DATA`, or `PAUSED` while an event awaits its `reply`. `data_to_send` has the
octets to send. The machine answers by itself where no decision is needed: bad syntax, bad order, NOOP, limits, malformed content.
Any input gives events or `RemoteProtocolError`, never another exception. This file reads lines
and finds the command; `server_auth.py` has STARTTLS and AUTH, `server_transaction.py` MAIL to the end of the content, `server_session.py` what
all of them share. `states.py` has the states and every change of state; `profile.py` has what each kind of port offers.
"""

from typing import Final

from sendryd.smtp import server_replies as replies
from sendryd.smtp.command import CommandRefused, excerpt, parse_hello
from sendryd.smtp.errors import LocalProtocolError
from sendryd.smtp.events import NEED_DATA, PAUSED, Fault, Hello, ServerEvent
from sendryd.smtp.linebuffer import LineFault
from sendryd.smtp.reply import Reply, ReplyClass
from sendryd.smtp.server_auth import AuthCommands
from sendryd.smtp.server_session import ServerLimits
from sendryd.smtp.server_transaction import TransactionCommands
from sendryd.smtp.states import State, Verb
from sendryd.smtp.timeouts import Step

__all__ = ["ServerConnection", "ServerLimits"]

FOREIGN_VERBS: Final = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"})
TLS_RECORD: Final = b"\x16\x03"  # the first octets of a ClientHello
AUTH_OVERHEAD: Final = 64  # octets of the verb and the mechanism, which stand on the line of an initial response

_TRANSACTION: Final = frozenset({State.MAIL, State.RCPT, State.DATA, State.BDAT})


class ServerConnection(AuthCommands, TransactionCommands):
    """The machine of one session."""

    __slots__ = ()

    # Queries of the shell.

    @property
    def awaiting(self) -> Step:
        """The step that the shell waits for when it reads."""
        if self._dialogue.state is State.TLS:
            return Step.HANDSHAKE
        return Step.DATA_BLOCK if self.is_receiving_content else Step.COMMAND

    @property
    def is_closed(self) -> bool:
        """Whether the session has ended: the shell closes once everything is sent."""
        return self._dialogue.state is State.CLOSED

    @property
    def is_in_transaction(self) -> bool:
        """MAIL was accepted, and neither its content nor RSET has ended it."""
        return self._dialogue.state in _TRANSACTION

    @property
    def is_receiving_content(self) -> bool:
        """Whether the next octets are content, not commands."""
        return self._dialogue.state is State.DATA or self._content.chunk_left > 0

    @property
    def has_content(self) -> bool:
        """Whether a content has begun, and neither its end nor RSET has been reached."""
        return self._content.reader is not None

    @property
    def content_size(self) -> int:
        """Octets of content held now."""
        return self._content.held

    @property
    def content_given(self) -> int:
        """Octets of the content being received that `give_content` returned; 0 once it has been dropped."""
        return self._content.given

    def give_content(self) -> list[bytes]:
        """The content received so far, in pieces and in its final form, without its end. `DataEnded` then has only the rest."""
        return self._content.give_away()

    # Receiving and sending.

    def receive_data(self, data: bytes) -> None:
        """Stores received octets; `b""` is the end of the stream."""
        if not data:
            self._is_eof = True
        elif self._dialogue.state is not State.CLOSED:
            self._input.append(data)

    def data_to_send(self) -> bytes:
        """The octets to send now, each once."""
        output = self._output
        if not output:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return data

    def tls_established(self) -> None:
        """Notes that the handshake is done and drops all knowledge from before it (RFC 3207 §4.2)."""
        self._dialogue.shake_hands()
        self._input.clear()
        self._end_transaction()

    def deauthenticate(self) -> None:
        """Ends the login, because the key is no longer valid: AUTH is required again."""
        self._dialogue.deauthenticate()

    def shut_down(self, reply: Reply) -> None:
        """Sends a last reply, in any state, and closes."""
        if self._dialogue.state is State.TLS:  # no reply can be sent during a handshake
            self._close(str(reply))
        else:
            self._hang_up(reply, str(reply))

    def refuse_content(self, reply: Reply) -> None:
        """Refuses the content: drops what is held, reads on to its end, then sends this reply."""
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
        """Answers `Hello` with our name and, to EHLO, our extensions."""
        if self._dialogue.pending is Verb.EHLO:
            keywords = self._profile.keywords(max_message_size=self._limits.max_message_size, is_encrypted=self._dialogue.is_encrypted)
            self.reply(Reply(250, (self._hostname, *keywords)))
        else:
            self.reply(Reply(250, self._hostname))

    def _follow(self, verb: Verb, reply: Reply) -> None:
        """Applies the effects of a reply other than the change of state."""
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
            elif self._input.left:
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
        """The next event."""
        while True:
            if self._events:
                return self._events.popleft()
            if self._dialogue.pending is not None:
                return PAUSED
            if not self._input.left and not self._is_eof:  # most calls, so they are answered here
                return NEED_DATA
            event = self._advance()
            if event is not None:
                return event

    def _advance(self) -> ServerEvent | type[NEED_DATA] | None:
        """One step; None: continue."""
        if self._dialogue.state is State.CLOSED or self._dialogue.state is State.TLS:
            return self._end_of_stream("in the handshake") if self._dialogue.state is State.TLS and self._is_eof else NEED_DATA
        if self._dialogue.state is State.DATA:
            return self._read_data() if self._input.left else self._end_of_stream("in the middle of a message")
        if self._content.chunk_left:
            return self._read_chunk() if self._input.left else self._end_of_stream("in the middle of a chunk")
        return self._read_line()

    def _end_of_stream(self, where: str) -> ServerEvent:
        self._close(f"the client closed {where}")
        return self._events.pop()

    def _read_line(self) -> ServerEvent | type[NEED_DATA] | None:
        if not self._dialogue.is_encrypted and self._input.peek(2) == TLS_RECORD:
            self._hang_up(replies.WRONG_PROTOCOL, "the client spoke TLS at once: it must use STARTTLS")
            return None
        limit = self._limits.command_line
        if self._input.left > limit:
            limit = self._line_limit()
        line = self._input.next_line(limit)
        if line is None:
            return (
                self._end_of_stream("in the middle of a command" if self._input.left else "between commands") if self._is_eof else NEED_DATA
            )
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

    def _on_hello(self, verb: Verb, argument: bytes) -> ServerEvent | None:
        name = parse_hello(argument)
        self._count_idle_command()
        if self._dialogue.state is State.CLOSED:
            return None
        self._dialogue.ask(verb)
        return Hello(name, verb is Verb.EHLO)
