"""Events of the server machine for its shell."""

from dataclasses import dataclass, field
from typing import Literal

from sendryd.smtp.address import ForwardPath, ReversePath
from sendryd.smtp.reply import Reply
from sendryd.valuetype import valuetype


class NEED_DATA:  # noqa: N801  a sentinel, used as the class itself
    """No further event without more bytes."""


class PAUSED:
    """No further event until the pending event has its reply."""


BodyType = Literal["7BIT", "8BITMIME"]


@dataclass(frozen=True, slots=True)
class Connected:
    """The greeting is due. Awaits a reply."""


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO or HELO. Awaits a reply: `accept_hello()`, or a refusal."""

    name: str  # printable ASCII; the client's claim, not verified
    is_extended: bool


@dataclass(frozen=True, slots=True)
class StartTLSRequested:
    """Awaits a reply; after a positive one the shell shakes hands and calls `tls_established()`."""


@dataclass(frozen=True, slots=True)
class CredentialsOffered:
    """Awaits a reply: 235, or a refusal."""

    mechanism: str
    username: str
    password: str = field(repr=False)


@valuetype(frozen=True, slots=True)
class MailFrom:
    """A transaction begins. Awaits a reply."""

    path: ReversePath
    size: int | None = None  # octets, as the client declares: RFC 1870
    body: BodyType = "7BIT"  # RFC 6152
    is_smtputf8: bool = False  # the client permits RFC 6531; the message may not need it
    ret: str | None = None  # RFC 3461 §4.3: FULL or HDRS
    envid: str | None = None  # RFC 3461 §4.4, as given (xtext)
    requires_tls: bool = False  # RFC 8689


@valuetype(frozen=True, slots=True)
class RcptTo:
    """One more recipient. Awaits a reply. The client may repeat an accepted recipient."""

    path: ForwardPath
    notify: frozenset[str] | None = None  # RFC 3461 §4.1
    orcpt: str | None = None  # RFC 3461 §4.2, as given: type;xtext


@valuetype(frozen=True, slots=True)
class DataRequested:
    """DATA. Awaits a reply: 354, or a refusal."""


@valuetype(frozen=True, slots=True)
class DataEnded:
    """The content is complete, with CRLF line ends only. Awaits a reply."""

    content: bytes = field(repr=False)
    first_bare_lf: int | None = None  # offset in the content of the first line end that came as a bare LF
    is_8bit: bool = False
    longest_line_over_998: bool = False


@dataclass(frozen=True, slots=True)
class ContentRefused:
    """The machine has refused a content at its true end: it was malformed, too large, or had no recipient."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Fault:
    """The machine has refused a command."""

    reply: Reply
    line_excerpt: str  # printable ASCII, short, never part of AUTH


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over."""

    reason: str


ServerEvent = (
    Connected
    | Hello
    | StartTLSRequested
    | CredentialsOffered
    | MailFrom
    | RcptTo
    | DataRequested
    | DataEnded
    | ContentRefused
    | Fault
    | Closed
)
