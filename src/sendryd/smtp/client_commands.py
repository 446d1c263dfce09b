"""Constructors of client commands and their form on the wire (RFC 5321 §4.1.1). `states.py` decides when each is allowed."""

import base64
import re
from collections.abc import Iterable
from dataclasses import field
from typing import Final

from sendryd.smtp.errors import LocalProtocolError
from sendryd.smtp.states import Verb
from sendryd.valuetype import valuetype

MAX_COMMAND: Final = 2048  # octets: RFC 5321 §4.5.3.1.4 has 512 and every extension adds to it; what we know adds up to less than this
MAX_AUTH_LINE: Final = 12288  # RFC 4954 §4

_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


@valuetype(frozen=True, slots=True)
class Command:
    """One command line, made by the functions below. Its representation omits the line, which may have a password.

    Raises `LocalProtocolError` if it has a control character, so that no address can bring a command of its own, or is too long.
    """

    verb: Verb
    line: bytes = field(repr=False)  # with its CR LF; empty for an element that is not a line
    recipient: str = ""  # of RCPT: the recipient that the reply concerns

    def __post_init__(self) -> None:
        line = self.line
        if not line:
            return
        # One search over everything before the final CR LF; a line without one has its own last two octets searched never: they differ.
        if _CONTROL.search(line, 0, len(line) - 2) or line[-2:] != b"\r\n":
            raise LocalProtocolError(f"a control character in the {self.verb} command")
        if len(line) > (MAX_AUTH_LINE if self.verb is Verb.AUTH else MAX_COMMAND):
            raise LocalProtocolError(f"the {self.verb} command is too long")


GREETING: Final = Command(Verb.GREETING, b"")
CONTENT: Final = Command(Verb.CONTENT, b"")
STARTTLS: Final = Command(Verb.STARTTLS, b"STARTTLS\r\n")
DATA: Final = Command(Verb.DATA, b"DATA\r\n")
RSET: Final = Command(Verb.RSET, b"RSET\r\n")
NOOP: Final = Command(Verb.NOOP, b"NOOP\r\n")
QUIT: Final = Command(Verb.QUIT, b"QUIT\r\n")
AUTH_LOGIN: Final = Command(Verb.AUTH, b"AUTH LOGIN\r\n")


def ehlo(name: str) -> Command:
    """EHLO with our name: a host name or an address literal."""
    return Command(Verb.EHLO, b"EHLO %b\r\n" % _ascii(name))


def helo(name: str) -> Command:
    """HELO, for servers without EHLO."""
    return Command(Verb.HELO, b"HELO %b\r\n" % _ascii(name))


def mail(path: str, parameters: Iterable[str] = ()) -> Command:
    """MAIL with its parameters, each as `NAME=value`. An empty path is the null reverse-path."""
    return Command(Verb.MAIL, f"MAIL FROM:<{path}>{_joined(parameters)}\r\n".encode())


def rcpt(path: str, parameters: Iterable[str] = ()) -> Command:
    """RCPT with its parameters."""
    return Command(Verb.RCPT, f"RCPT TO:<{path}>{_joined(parameters)}\r\n".encode(), path)


def auth_plain(user: str, password: str) -> Command:
    """AUTH PLAIN with its initial response (RFC 4616). Raises `LocalProtocolError` for a NUL in either, which would shift the fields."""
    if "\0" in user or "\0" in password:
        raise LocalProtocolError("a NUL in the credentials")
    return Command(Verb.AUTH, b"AUTH PLAIN %b\r\n" % base64.b64encode(f"\0{user}\0{password}".encode()))


def auth_answer(text: str) -> Command:
    """The answer to a challenge of AUTH LOGIN."""
    return Command(Verb.AUTH, b"%b\r\n" % base64.b64encode(text.encode()))


def _ascii(name: str) -> bytes:
    try:
        return name.encode("ascii")
    except UnicodeEncodeError:
        raise LocalProtocolError("the name for EHLO is not ASCII: give its A-label form") from None


def _joined(parameters: Iterable[str]) -> str:
    return "".join([f" {parameter}" for parameter in parameters])
