"""What a door hands in: an envelope, a content, where they came from, and what is to be done with them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.model.actor import Actor
from sendryd.model.ids import TemplateId
from sendryd.model.message import MessageType
from sendryd.runtime.stream import TlsInfo
from sendryd.valuetype import valuetype


@valuetype(frozen=True, slots=True)
class Recipient:
    """One forward-path of the envelope."""

    forward_path: str  # as it goes on the wire
    domain: str  # A-label form
    is_ascii: bool  # False: the local part needs SMTPUTF8
    notify: str | None = None  # RFC 3461 §4.1
    orcpt: str | None = None  # RFC 3461 §4.2


@valuetype(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a message came from, for its Received field."""

    hello: str  # the name that the client gave itself; hostile
    address: str  # its IP address
    tls: TlsInfo | None
    is_smtputf8: bool
    is_http: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is to be done with a message beside sending it. Control headers in its content come on top."""

    type: MessageType = MessageType.TRANSACTIONAL
    tags: tuple[tuple[str, str], ...] = ()
    scheduled_at: datetime | None = None
    track_opens: bool | None = None  # None: as the domain is set
    track_clicks: bool | None = None
    template_id: TemplateId | None = None
    list_id: str | None = None
    unsubscribe_url: str | None = None
    draft: bytes | None = None  # of a scheduled message: what it was made from
    is_rest: bool = False  # by which door it comes: links are tracked by the domain's setting at this one alone


NO_OPTIONS: Final = Options()


@valuetype(frozen=True, slots=True, kw_only=True)
class Submission:
    """A message at the door. The actor may send, and its key, if it is one, is active; the reverse-path is admitted."""

    actor: Actor  # who sends
    reverse_path: str  # empty: the null reverse-path
    recipients: tuple[Recipient, ...]  # at least one, each forward-path once
    content: bytes  # CRLF line ends only, no NUL, no bare CR
    first_bare_lf: int | None = None  # where in the content the first line end came as a bare LF
    has_long_lines: bool = False  # a line of more than 998 octets
    is_8bit: bool = False  # an octet above 127 anywhere
    origin: Origin
    ret: str | None = None  # RFC 3461 §4.3
    envid: str | None = None  # RFC 3461 §4.4
    options: Options = NO_OPTIONS


@valuetype(frozen=True, slots=True)
class Receipt:
    """The message is stored, durably, under this identifier."""

    message_id: str  # public text: em_…
