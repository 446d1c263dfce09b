"""A verdict: what a receiver's reply, or its silence, means for one delivery, and which server it came from.

The one value between the wire and the record: `classify` makes it of a reply, `delivery.outcome` makes the stored outcome and its events of it.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from sendryd.policy.tls import TlsSecurity
from sendryd.smtp.reply import Reply
from sendryd.valuetype import valuetype


class NetworkFailure(StrEnum):
    """What went wrong without a reply."""

    CONNECT_REFUSED = "connect_refused"  # refused, or no way there
    CONNECT_TIMEOUT = "connect_timeout"
    NOT_BOUND = "not_bound"  # our own address cannot be used
    DNS_FAILURE = "dns_failure"
    TLS_FAILURE = "tls_failure"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    PROTOCOL_ERROR = "protocol_error"


class Kind(StrEnum):
    """What becomes of the delivery now."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"


class Scope(StrEnum):
    """What the answer speaks of: whether to drop the connection, try the next host, or only put this recipient off."""

    SESSION = "session"  # this connection is over; the next host may do better
    HOST = "host"  # this host will not talk to us now; the next may
    MESSAGE = "message"  # another host of the same domain would say the same
    RECIPIENT = "recipient"


class Category(StrEnum):
    """Why, in words that events and statistics use."""

    DELIVERED = "delivered"
    INVALID_RECIPIENT = "invalid_recipient"
    INACTIVE_MAILBOX = "inactive_mailbox"
    MAILBOX_FULL = "mailbox_full"
    BAD_DOMAIN = "bad_domain"
    ROUTING_ERROR = "routing_error"
    DNS_FAILURE = "dns_failure"
    CONNECT_FAILURE = "connect_failure"
    TLS_FAILURE = "tls_failure"
    GREYLISTED = "greylisted"
    RATE_LIMITED = "rate_limited"
    IP_REPUTATION = "ip_reputation"
    DOMAIN_REPUTATION = "domain_reputation"
    CONTENT_REJECTED = "content_rejected"
    AUTH_FAILED = "auth_failed"  # SPF, DKIM, DMARC, or our own login at a smart host
    TOO_LARGE = "too_large"
    PROTOCOL_ERROR = "protocol_error"
    RELAY_DENIED = "relay_denied"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    OTHER = "other"


HARD: Final = "hard"
SOFT: Final = "soft"
_HARD_CATEGORIES: Final = frozenset({Category.INVALID_RECIPIENT, Category.INACTIVE_MAILBOX, Category.BAD_DOMAIN})


def bounce_type(category: Category) -> str:
    """`hard` if the address will refuse every mail, else `soft`."""
    return HARD if category in _HARD_CATEGORIES else SOFT


@valuetype(frozen=True, slots=True, kw_only=True)
class Relay:
    """The server that an attempt spoke to, and how long that took. All recipients of a transaction share one."""

    host: str
    address: str  # an IP address
    port: int
    tls: str = ""  # version, empty in clear text
    duration_ms: int = 0  # of the attempt at this server so far
    connect: float = 0.0  # seconds until TCP was connected, if the connection was opened for this attempt
    will_report: bool = False  # it got the NOTIFY of the client, and sends the reports itself (RFC 3461 §5.2.2)
    handshake: float = 0.0  # seconds for greeting, EHLO, TLS and AUTH, likewise
    security: TlsSecurity = TlsSecurity.NONE  # what secured the session, or what was to secure it
    source: str = ""  # our address, if one was chosen

    def __str__(self) -> str:
        return f"{self.host}[{self.address}]:{self.port}"


@valuetype(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an attempt means for one recipient."""

    kind: Kind
    scope: Scope
    category: Category
    enhanced: str  # RFC 3463, always present: the peer's, or ours for what it did not say
    sentence: str  # for people: what happened, in one line that is safe to show
    reply: Reply | None = None  # None: no reply came
    relay: Relay | None = None  # None: no server was asked
    suppresses: bool = False  # the address is the fault: send nothing more to it
    demands_tls: bool = False  # said in clear text, encryption would have changed the answer
    is_in_doubt: bool = False  # the whole message was sent and no reply came: the server may have it
    # The server takes fewer recipients at once: send the others in another transaction at once, without counting an attempt. Said of the only
    # recipient of a transaction it is an ordinary deferral.
    must_split: bool = False
    # One of the recipients is refused, and the reply does not say which: send to each in a transaction of its own at once.
    must_ask_alone: bool = False
    unmet: TlsSecurity | None = None  # the policy that was not met: the server got nothing of the mail
    retry_in: timedelta | None = None  # when to try again after a deferral, if not as the retry plan says
    waits: bool = False  # for something of ours, while no server was asked: no attempt is counted

    @property
    def is_final(self) -> bool:
        """The delivery needs no other attempt."""
        return self.kind is not Kind.DEFERRED

    @property
    def is_open(self) -> bool:
        """It speaks of the session or the host alone: another host may say otherwise."""
        return self.kind is Kind.DEFERRED and (self.scope is Scope.SESSION or self.scope is Scope.HOST)


def local_verdict(kind: Kind, category: Category, enhanced: str, sentence: str, *, unmet: TlsSecurity | None = None) -> Verdict:
    """A verdict without a receiving server's say."""
    return Verdict(kind=kind, scope=Scope.MESSAGE, category=category, enhanced=enhanced, sentence=sentence, unmet=unmet)
