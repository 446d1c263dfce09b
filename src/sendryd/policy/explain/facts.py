"""What is known of a delivery when it is explained."""

from dataclasses import dataclass
from datetime import datetime

from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.policy.replies.verdict import Category


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The last attempt."""

    category: Category
    at: datetime
    reply: str = ""  # the receiver's words, or our sentence where it said none
    enhanced: str = ""  # RFC 3463, `5.1.1`
    host: str = ""
    address: str = ""  # of the receiving server
    tried: tuple[str, ...] = ()  # every host tried in this attempt, in order
    by_smarthost: bool = False  # the next hop was the smart host, not the recipient's servers
    policy: str = ""  # the rule of encryption that was not met: `mta-sts`, `dane`, `enforced`
    at_login: bool = False  # the smart host refused our credentials
    waits: bool = False  # no server was asked: `reply` says what of ours the mail waits for
    was_returned: bool = False  # a person returned the mail: `reply` says who and why
    is_in_doubt: bool = False  # the connection broke after the whole message had been sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The destination's queue."""

    ahead: int = 0  # deliveries that go first
    per_minute: float = 0.0  # measured rate; 0 if unknown
    paused_by: str = ""  # the person who paused it; empty if it is not paused
    paused_until: datetime | None = None
    paused_site: str = ""  # the name of the site, if that is paused and not the domain alone
    paused_why: str = ""  # the person's words
    is_all_paused: bool = False  # the mail to all other destinations, too
    host: str = ""  # of the latest session; empty if none is known
    suspended_until: datetime | None = None  # it does not answer: when one mail is tried again
    smart_host: str = ""  # that its mail goes to, in place of the recipients' servers
    rule: str = ""  # the shaping rule that suspends or limits the site for what its servers said
    rule_until: datetime | None = None
    rule_reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why the delivery is held."""

    reason: HoldReason
    by: str = ""  # the person's name; empty for an operator at the command line
    since: datetime | None = None
    note: str = ""  # the person's words, or what is damaged
    crashes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """Why the address gets nothing."""

    since: datetime
    cause: str  # `a hard bounce`, `a complaint`, `an entry by hand`
    topic: str = ""  # the list that the recipient unsubscribed from; empty for a suppression


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A report of spam by the recipient."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A delivery and what surrounds it. What is not known keeps its default."""

    recipient: str  # the forward-path
    domain: str  # the recipient's
    sender_domain: str
    state: DeliveryState
    now: datetime
    due_at: datetime
    attempts: int = 0
    scheduled_at: datetime | None = None  # the sender asked for this time
    expires_at: datetime | None = None
    accepted_at: datetime | None = None
    leased_at: datetime | None = None
    delivered_at: datetime | None = None
    ended_at: datetime | None = None
    last: Attempt | None = None
    hold: Hold | None = None
    lane: Lane = Lane()
    suppressed: Suppressed | None = None
    complaint: Complaint | None = None
    nothing_reachable: bool = False  # no destination at all can be connected to
    did_you_mean: str = ""  # a domain that exists and differs by a letter or two
    our_address: str = ""  # the public address that we send from
    our_name: str = ""  # the host name that its PTR record should name
    dns_edit: str = ""  # what is wrong with the sending domain's records, as a clause
    size: int = 0  # octets of the message
    content_notes: tuple[str, ...] = ()  # traits of the message that filters mind
    is_captured: bool = False  # the Test Inbox has it
    failed_preparing: int = 0  # times our side could not prepare the message
    retries_left: bool = True  # another attempt is planned
