"""The state of one SMTP session at the server, its limits, and how it answers and ends: shared by all commands."""

from collections import deque
from dataclasses import dataclass

from sendryd.smtp import server_replies as replies
from sendryd.smtp.command import CommandRefused
from sendryd.smtp.content import ContentIntake
from sendryd.smtp.datastream import PIECE
from sendryd.smtp.events import Closed, Connected, ServerEvent
from sendryd.smtp.linebuffer import LineBuffer
from sendryd.smtp.profile import SUBMISSION, Profile
from sendryd.smtp.reply import Reply
from sendryd.smtp.sasl import Exchange
from sendryd.smtp.states import ServerDialogue, State


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of one session."""

    max_message_size: int = 40 * 1024 * 1024  # octets
    max_recipients: int = 1000  # of one transaction; RFC 5321 §4.5.3.1.8 asks for 100 at the least
    max_faults: int = 20  # before 421; what Postfix allows (smtpd_hard_error_limit)
    max_idle_commands: int = 1000  # consecutive NOOP, RSET, EHLO and the like; client pools use them to keep connections open
    command_line: int = 2048  # octets: RFC 5321 §4.5.3.1.4 has 512 and our extensions add to it
    auth_line: int = 12_288  # octets: RFC 4954 §4
    content_piece: int = PIECE  # octets of content processed together


class ServerSession:
    """The base of `ServerConnection`. Its commands come from classes without attributes of their own, so that a session is one object."""

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
        self._content = ContentIntake(limits.max_message_size, limits.content_piece)
        self._is_smtputf8 = False
        self._recipient = ""  # that awaits a decision
        self._recipients: set[str] = set()  # accepted
        self._faults = 0
        self._idle_commands = 0

    def __repr__(self) -> str:
        return f"<ServerConnection {self._dialogue.state.name} pending={self._dialogue.pending}>"

    # Order of commands.

    @property
    def _is_stranger(self) -> bool:
        return self._profile.has_auth and not self._dialogue.is_authenticated

    @property
    def _who_are_you(self) -> Reply:
        return replies.AUTH_REQUIRED if self._dialogue.is_encrypted else replies.TLS_REQUIRED

    def _out_of_order(self) -> CommandRefused:
        return CommandRefused(replies.HELLO_FIRST if self._dialogue.state is State.START else replies.BAD_SEQUENCE)

    # Answering and ending.

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

    def _end_transaction(self) -> None:
        self._content.forget()
        self._recipients.clear()
        self._is_smtputf8 = False
