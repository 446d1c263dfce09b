"""A submission: envelope, content, origin and options, from SMTP or REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.intake.prepare import ParsedMessage
from sendryd.model.actor import Actor
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import SendingDomain
from sendryd.model.ids import TemplateId
from sendryd.model.message import MessageClass, MessageType
from sendryd.policy.wayout import STRAIGHT, WayOut
from sendryd.runtime.stream import TlsInfo
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True)
class Recipient:
    """One forward-path of the envelope."""

    forward_path: str  # in the form sent on the wire
    domain: str  # A-label form
    is_ascii: bool  # False: the local part needs SMTPUTF8
    notify: str | None = None  # RFC 3461 §4.1
    orcpt: str | None = None  # RFC 3461 §4.2


@valuetype(frozen=True, slots=True, kw_only=True)
class Origin:
    """The client of a message, for its Received field."""

    hello: str  # the name that the client gave itself; hostile
    address: str  # its IP address
    tls: TlsInfo | None
    is_smtputf8: bool
    is_http: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a message. Control headers in its content override them."""

    type: MessageType = MessageType.TRANSACTIONAL
    priority: MessageClass | None = None  # None: that of messages of this type
    tags: tuple[tuple[str, str], ...] = ()
    scheduled_at: datetime | None = None
    track_opens: bool | None = None  # None: by the domain's settings
    track_clicks: bool | None = None
    template_id: TemplateId | None = None
    list_id: str | None = None
    unsubscribe_url: str | None = None
    source_request: bytes | None = None  # of a scheduled message: the JSON of its request
    is_rest: bool = False  # whether it comes by REST, where the domain's setting tracks links
    is_straight: bool = False  # mail of the program itself, and what a person releases: the domain's way out does not apply


NO_OPTIONS: Final = Options()


@valuetype(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submitted message. Its actor may send, an API key is active, and the reverse-path is admitted."""

    actor: Actor  # who sends
    reverse_path: str  # empty: the null reverse-path
    recipients: tuple[Recipient, ...]  # at least one, each forward-path once
    content: bytes  # CRLF line ends only, no NUL, no bare CR
    first_bare_lf: int | None = None  # offset in the content of the first line end that was a bare LF
    has_long_lines: bool = False  # a line of more than 998 octets
    is_8bit: bool = False  # has an octet above 127
    origin: Origin
    ret: str | None = None  # RFC 3461 §4.3
    envid: str | None = None  # RFC 3461 §4.4
    requires_tls: bool = False  # REQUIRETLS of RFC 8689
    options: Options = NO_OPTIONS


@valuetype(frozen=True, slots=True)
class Read:
    """A submission with its parsed message."""

    submission: Submission
    parsed: ParsedMessage


@valuetype(frozen=True, slots=True)
class Admitted:
    """A parsed message that its actor may send."""

    submission: Submission
    parsed: ParsedMessage
    domain: SendingDomain | None  # whose key signs; None for mail that does not leave
    mode: KeyMode  # TEST: it is captured
    way: WayOut = STRAIGHT  # REDIRECT and COPY are still to be obeyed


@valuetype(frozen=True, slots=True)
class Receipt:
    """Confirms that the message is stored durably under this id."""

    message_id: str  # public text: em_…
