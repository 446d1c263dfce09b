"""The client side of an SMTP session as a pure machine. RFC 5321, RFC 2920 (PIPELINING), RFC 3207 (STARTTLS), RFC 4954 (AUTH).

Replies are paired with a queue of unanswered commands, which starts with the greeting. The shell queues a command with `send`, passes received bytes
to `receive_data`, takes events from `next_event` and writes the bytes of `data_to_send`.

A reply of odd form still counts: the code of its last line decides, as in Postfix. A code that changes inside a reply, lines
inside it without a code, further digits after the code, missing text, long text, 8-bit text and empty lines between replies are accepted;
text over the limits is cut.

A peer with which the dialogue is out of step (a reply to nothing, a reply that begins without a code, a code that cannot answer the command,
a reply without end, bytes in clear text where TLS begins) breaks the connection: `RemoteProtocolError` now and ever after, and nothing more
is sent. Sending what the rules of `states` forbid is our bug: `LocalProtocolError`.

Cutting what arrives anywhere changes nothing, and any bytes at all give only events or `RemoteProtocolError`. Linear in what arrives.
"""

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sendryd.smtp.client_commands import CONTENT, GREETING, Command
from sendryd.smtp.errors import LocalProtocolError, RemoteProtocolError
from sendryd.smtp.events import NEED_DATA
from sendryd.smtp.extensions import NO_EXTENSIONS, Extensions, parse_extensions
from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.states import ClientDialogue, Phase, Verb
from sendryd.smtp.timeouts import Step
from sendryd.valuetype import valuetype

MAX_LINE: Final = 2048  # octets kept of a reply line: what Postfix keeps (line_length_limit); RFC 5321 §4.5.3.1.5 has 512
MAX_KEPT: Final = 16 * 1024  # octets kept of a reply until it ends: `MAX_TEXT` many times over, and the longest EHLO reply seen has 1 KiB
MAX_LINES: Final = 1000  # of one reply, empty lines before it included; the longest seen (advice of a large provider) has about 20
MAX_REPLY: Final = 256 * 1024  # octets of one reply; no server means more as an answer, and reading on costs time
MAX_TEXT: Final = 1000  # characters kept of a reply, enough for every sentence a person will read

# RFC 5321 §4.2. The text may be missing; further digits ("2500 ok") and a missing separator ("250ok") are tolerated.
_LINE: Final = re.compile(rb"([2-5][0-9][0-9])[0-9]*([- \t]?)(.*)", re.DOTALL)
_EMPTY_LINE: Final = re.compile(rb"[ \t]*\r?\n")
_ENHANCED: Final = re.compile(r"([245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2}))(?: +|$)")  # RFC 2034 §4

_STEPS: Final = {
    Verb.GREETING: Step.GREETING,
    Verb.EHLO: Step.EHLO,
    Verb.HELO: Step.EHLO,
    Verb.STARTTLS: Step.STARTTLS,
    Verb.AUTH: Step.AUTH,
    Verb.MAIL: Step.MAIL,
    Verb.RCPT: Step.RCPT,
    Verb.DATA: Step.DATA,
    Verb.RSET: Step.RSET,
    Verb.NOOP: Step.RSET,
    Verb.QUIT: Step.QUIT,
}


@valuetype(frozen=True, slots=True)
class ReplyReceived:
    """A complete reply and the command that it answers."""

    command: Command
    reply: Reply


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer has ended the stream. Unanswered commands stay unanswered."""


class ClientConnection:
    """One dialogue, from the greeting on."""

    __slots__ = (
        "_buffer",
        "_cut_line",
        "_dialogue",
        "_is_eof",
        "_kept",
        "_line_count",
        "_lines",
        "_outstanding",
        "_reply_size",
        "_start",
        "_tail",
        "_to_send",
        "extensions",
    )

    def __init__(self, *, encrypted: bool = False) -> None:
        self._dialogue = ClientDialogue(is_encrypted=encrypted)
        self.extensions: Extensions = NO_EXTENSIONS  # offered by the last EHLO reply
        self._outstanding: deque[Command] = deque((GREETING,))
        self._to_send: list[bytes] = []
        self._buffer = b""
        self._start = 0  # of the first unparsed octet
        self._is_eof = False
        self._cut_line: bytes | None = None  # the beginning of a long line whose end has not come
        self._lines: list[bytes] = []  # the texts of the incomplete reply
        self._kept = 0  # octets in `_lines`
        self._line_count = 0  # of the incomplete reply, empty lines before it included
        self._reply_size = 0  # octets
        self._tail = b""  # the last octets of the text so far

    def __repr__(self) -> str:
        waiting = ",".join(command.verb for command in self._outstanding)
        return f"<ClientConnection {self.phase}{' tls' if self.is_encrypted else ''} awaiting={waiting or 'nothing'}>"

    @property
    def phase(self) -> Phase:
        """The state of the dialogue."""
        return self._dialogue.phase

    @property
    def is_encrypted(self) -> bool:
        """Whether the session is inside TLS."""
        return self._dialogue.is_encrypted

    @property
    def awaiting(self) -> Step:
        """The step that the peer must answer next, for the time-out. DATA_BLOCK while content is being sent."""
        if not self._outstanding:
            return Step.STARTTLS if self._dialogue.phase is Phase.TLS else Step.RSET
        verb = self._outstanding[0].verb
        if verb is Verb.CONTENT:
            return Step.FINAL_DOT if Phase.SENT in (self._dialogue.phase, self._dialogue.broken_in) else Step.DATA_BLOCK
        return _STEPS[verb]

    @property
    def is_idle(self) -> bool:
        """Whether a new transaction may begin: open, no unanswered command, no partial reply."""
        return (
            self._dialogue.phase is Phase.OPEN
            and not self._outstanding
            and not self._lines
            and self._cut_line is None
            and not self._is_eof
            and self._start == len(self._buffer)
        )

    # Sending.

    def send(self, command: Command) -> None:
        """Queues a command. Raises `LocalProtocolError` if it is not allowed now, `RemoteProtocolError` if an answer to it has already arrived."""
        behind = self._outstanding[-1].verb if self._outstanding else None
        self._dialogue.check_order(command.verb, behind=behind, may_pipeline=self.extensions.pipelining)
        if behind is None and self._start < len(self._buffer):
            raise self._break("a reply came to nothing")
        if not command.line:
            raise LocalProtocolError(f"{command.verb} is not a command")
        self._outstanding.append(command)
        self._to_send.append(command.line)

    def send_content(self, stuffed: bytes) -> None:
        """Sends a piece of the content, with dots stuffed and CRLF line ends, as `datastream.dot_stuff` returns it."""
        if self._dialogue.phase is not Phase.CONTENT:
            raise LocalProtocolError("content can be sent only after 354 and before its end")
        if stuffed:
            self._to_send.append(stuffed)
            self._tail = stuffed[-2:] if len(stuffed) > 1 else self._tail[-1:] + stuffed

    def end_content(self) -> None:
        """Ends the content with the lone dot. Without a piece before it, the content is empty."""
        self._dialogue.end_content()
        # RFC 5321 §4.1.1.4: the CR LF before the dot is the one that ends the last line.
        self._to_send.append(b".\r\n" if self._tail in (b"", b"\r\n") else b"\r\n.\r\n")

    def data_to_send(self) -> bytes:
        """The octets to write now, each once. A single piece is returned without a copy."""
        pieces = self._to_send
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def tls_established(self) -> None:
        """Notes that the handshake is done and drops all knowledge from before it (RFC 3207 §4.2).

        Raises `RemoteProtocolError` if clear text followed the reply to STARTTLS: an attacker could have injected it.
        """
        if self._dialogue.phase is Phase.TLS and self._start < len(self._buffer):
            raise self._break("clear text came behind the go-ahead to STARTTLS")
        self._dialogue.shake_hands()
        self.extensions = NO_EXTENSIONS

    # Receiving.

    def receive_data(self, data: bytes) -> None:
        """Stores received octets; `b""` is the end of the stream."""
        if not data:
            self._is_eof = True
        elif self._start == len(self._buffer):
            self._buffer = data
            self._start = 0
        else:
            self._buffer = self._buffer[self._start :] + data
            self._start = 0

    def next_event(self) -> ReplyReceived | Closed | type[NEED_DATA]:
        """The next reply, `Closed`, or `NEED_DATA`. Raises `RemoteProtocolError` once the peer has broken the rules."""
        if self._dialogue.phase is Phase.BROKEN:
            raise RemoteProtocolError(self._dialogue.fault)
        while True:
            start = self._start
            if start == len(self._buffer):  # most calls, so they are answered here
                return Closed() if self._is_eof else NEED_DATA
            end = self._buffer.find(b"\n", start)
            if end < 0:
                self._bound_line()
                return Closed() if self._is_eof else NEED_DATA
            self._start = end + 1
            # A bare LF is taken for a line end: it can harm only the peer, and old servers send it.
            line = self._buffer[start : end - 1] if self._buffer[end - 1 : end] == b"\r" else self._buffer[start:end]
            if self._cut_line is not None or len(line) > MAX_LINE:
                line = self._end_cut_line(line)
            if not self._outstanding and (line.strip() or self._dialogue.phase is Phase.TLS):
                raise self._break("a reply came to nothing")
            reply = self._take_line(line)
            if reply is not None:
                event = self._pair(reply)
                if self._start < len(self._buffer):
                    self._skip_empty_lines()
                return event

    def _bound_line(self) -> None:
        """Keeps only the beginning of a long line whose end has not arrived."""
        size = len(self._buffer) - self._start - self._buffer.endswith(b"\r")  # the CR may belong to the line end
        if self._cut_line is None:
            if size <= MAX_LINE:
                return
            self._cut_line = self._buffer[self._start : self._start + MAX_LINE]
        self._start += size
        self._count(0, size)

    def _end_cut_line(self, rest: bytes) -> bytes:
        """The kept beginning of a long line whose end has arrived."""
        line = rest[:MAX_LINE] if self._cut_line is None else self._cut_line
        self._cut_line = None
        self._count(0, len(rest))
        return line

    def _skip_empty_lines(self) -> None:
        """Drops the empty lines that some servers send after a reply, so that the dialogue stays in step."""
        while self._dialogue.phase is not Phase.TLS and (empty := _EMPTY_LINE.match(self._buffer, self._start)) is not None:
            self._start = empty.end()
            self._count(1, 0)

    def _count(self, lines: int, octets: int) -> None:
        """Counts towards the limits of the incomplete reply."""
        self._line_count += lines
        self._reply_size += octets
        if self._line_count > MAX_LINES:
            raise self._break("a reply has too many lines")
        if self._reply_size > MAX_REPLY:
            raise self._break("a reply is too long")

    def _take_line(self, line: bytes) -> Reply | None:
        """Takes one line of a reply; returns the reply after its last line."""
        if not self._lines and line[3:4] == b" " and self._outstanding and self._outstanding[0].verb is not Verb.EHLO:
            reply = parse_single_line(line)
            if reply is not None:
                self._line_count = self._reply_size = 0
                return reply
        self._count(1, len(line))
        if not line.strip():
            return None
        match = _LINE.match(line)
        if match is None and not self._lines:
            raise self._break("a reply line has no valid code")
        code, separator, text = match.groups() if match is not None else (b"", b"-", line)
        if self._kept <= MAX_KEPT:
            self._lines.append(text)
            self._kept += len(text)
        if separator == b"-":
            return None
        lines, self._lines = self._lines, []
        self._line_count = self._kept = self._reply_size = 0
        if code[0] == ord("2") and self._outstanding[0].verb is Verb.EHLO:
            self.extensions = parse_extensions([printable(each) for each in lines])
        return make_reply(int(code), lines)

    def _pair(self, reply: Reply) -> ReplyReceived:
        """Pairs the reply with the oldest unanswered command."""
        command = self._outstanding[0]
        try:
            self._dialogue.hear(command.verb, reply.code)
        except RemoteProtocolError:
            self._to_send.clear()
            raise
        self._outstanding.popleft()
        if self._dialogue.phase is Phase.CONTENT:
            self._tail = b""
            self._outstanding.append(CONTENT)
        return ReplyReceived(command, reply)

    def _break(self, fault: str) -> RemoteProtocolError:
        self._to_send.clear()
        return self._dialogue.break_off(fault)


@lru_cache(maxsize=256)  # most replies are one of a few: "250 2.1.0 Ok"
def parse_single_line(line: bytes) -> Reply | None:
    """A reply of one line without its line end; None if it is not one."""
    match = _LINE.fullmatch(line)
    return None if match is None or match[2] == b"-" else make_reply(int(match[1]), [match[3]])


def make_reply(code: int, lines: list[bytes]) -> Reply:
    """A reply in stored form: safe to display, at most `MAX_TEXT` characters, without the enhanced code in its lines."""
    texts = [printable(line) for line in lines]
    first = str(code)[0]  # RFC 3463 §3: a class that contradicts the code tells nothing
    prefix = next((found[1] for text in texts if (found := _ENHANCED.match(text)) is not None and text[0] == first), None)
    enhanced = None
    if prefix is not None:
        enhanced = EnhancedStatusCode.parse(prefix)
        texts = [text[len(prefix) :].lstrip(" ") if text.partition(" ")[0] == prefix else text for text in texts]
    kept: list[str] = []
    room = MAX_TEXT
    for text in texts:
        if room <= 0:
            break
        kept.append(text[:room])
        room -= len(text)
    return Reply(code, kept[0] if len(kept) == 1 else tuple(kept), enhanced)


def printable(line: bytes) -> str:
    """A peer's text, safe to display: 8-bit octets are replaced, control characters escaped."""
    text = line.decode("ascii", "replace").replace("\ufffd", "?")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
