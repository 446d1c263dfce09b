"""What an answer of a receiving server, or its silence, means for a delivery. Pure.

Three questions, in this order:

1. *Whose matter is it?* (`Scope`) Before MAIL nothing can be the message's fault: even a 5yz there concerns us and the host, so the next MX is
   tried and then later. 421 ends the session, wherever it comes. MAIL, DATA and the final dot speak of the message, RCPT of one recipient.
2. *Why?* (`Category`) Words come first, because servers give 550 5.7.1 for everything: what speaks of block lists, reputation, spam, rates or
   authentication is about us or the content, whatever the code says. Then the enhanced code (RFC 3463), then the code. Addresses, links,
   `key=value` and text in angle brackets are no words, and what is said of the sender is never held against the recipient.
3. *For good?* By the first digit; 4yz always comes back later. A 5yz that only says that the dialogue is out of step (500, 502, 503, …) is
   tried again, and so is everything else that leaves a doubt.

A refusal that is the recipient's fault suppresses the address: at RCPT, or at the end of the content if the recipient was alone in the
transaction. With several recipients there, each is asked alone first. Words of policy, filters, attacks, quotas and limits never suppress,
whatever the code. A new surprise from the field becomes a line in `tests/data/replies.toml` first.
"""

import re
from enum import StrEnum
from typing import Final

from sendryd.smtp.reply import EnhancedStatusCode, Reply
from sendryd.smtp.timeouts import Step
from sendryd.valuetype import valuetype


class NetworkFailure(StrEnum):
    """What went wrong without a reply."""

    CONNECT_REFUSED = "connect_refused"  # refused, or no way there
    CONNECT_TIMEOUT = "connect_timeout"
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


@valuetype(frozen=True, slots=True, kw_only=True)
class Disposition:
    """What an answer comes to."""

    kind: Kind
    scope: Scope
    category: Category
    enhanced: str  # RFC 3463, always present: the peer's, or ours for what it did not say
    sentence: str  # for people: what happened, in one line that is safe to show
    suppresses: bool = False  # the address is the fault: send nothing more to it
    demands_tls: bool = False  # said in clear text, encryption would have changed the answer
    is_in_doubt: bool = False  # the whole message was sent and no reply came: the server may have it
    # The server takes fewer recipients at once: send the others in another transaction at once, without counting an attempt. Said of the only
    # recipient of a transaction it is an ordinary deferral.
    must_split: bool = False
    # One of the recipients is refused, and the reply does not say which: send to each in a transaction of its own at once.
    must_ask_alone: bool = False


_SESSION_STEPS: Final = frozenset({Step.CONNECT, Step.GREETING, Step.EHLO, Step.STARTTLS, Step.HANDSHAKE, Step.AUTH, Step.RSET, Step.QUIT})
_CONTENT_STEPS: Final = frozenset({Step.DATA, Step.FINAL_DOT})
_OF_CONTENT: Final = frozenset({6, 7})  # RFC 3463 §3.7, §3.8: media and policy
_SUPPRESSING: Final = frozenset({Category.INVALID_RECIPIENT, Category.INACTIVE_MAILBOX})
_OF_RECIPIENT: Final = _SUPPRESSING | {Category.MAILBOX_FULL}
_SERVICE_CLOSING: Final = 421  # RFC 5321 §3.8
# RFC 5321 §4.2.2: these speak of the dialogue, not of the mail. The next try makes a new one.
_OUT_OF_STEP: Final = frozenset({500, 502, 503, 504, 555})
_UNKNOWN_TO_SERVER: Final = frozenset({Category.GREYLISTED, Category.RATE_LIMITED, Category.IP_REPUTATION})

_FAILURES: Final[dict[NetworkFailure, tuple[Scope, Category, str, str]]] = {
    NetworkFailure.CONNECT_REFUSED: (
        Scope.HOST,
        Category.CONNECT_FAILURE,
        "4.4.1",
        "The receiving server cannot be reached",
    ),
    NetworkFailure.CONNECT_TIMEOUT: (
        Scope.HOST,
        Category.CONNECT_FAILURE,
        "4.4.1",
        "The receiving server does not answer connections",
    ),
    NetworkFailure.DNS_FAILURE: (
        Scope.HOST,
        Category.DNS_FAILURE,
        "4.4.3",
        "The DNS gave no answer for the receiving domain",
    ),
    NetworkFailure.TLS_FAILURE: (
        Scope.HOST,
        Category.TLS_FAILURE,
        "4.7.5",
        "No TLS connection to the receiving server came about",
    ),
    NetworkFailure.TIMEOUT: (
        Scope.SESSION,
        Category.CONNECT_FAILURE,
        "4.4.2",
        "The receiving server did not answer in time",
    ),
    NetworkFailure.CLOSED: (
        Scope.SESSION,
        Category.CONNECT_FAILURE,
        "4.4.2",
        "The receiving server closed the connection",
    ),
    NetworkFailure.PROTOCOL_ERROR: (
        Scope.SESSION,
        Category.PROTOCOL_ERROR,
        "4.5.0",
        "The receiving server broke the protocol",
    ),
}


def classify(failure: Reply | NetworkFailure, *, step: Step, is_alone: bool = True) -> Disposition:
    """What a reply, or a failure without one, at this step means. `step` is where it came: RCPT for a reply to RCPT. `is_alone`: what was
    said of the message was said of one recipient.

    A positive reply counts as delivered only at the final dot; elsewhere it is the caller's mistake: `ValueError`.
    """
    if isinstance(failure, NetworkFailure):
        return _classify_failure(failure, step)
    if failure.is_positive and step is Step.FINAL_DOT:
        return Disposition(
            kind=Kind.DELIVERED,
            scope=Scope.MESSAGE,
            category=Category.DELIVERED,
            enhanced=str(failure.enhanced or "2.0.0"),
            sentence=f"The receiving server accepted the message: {failure}",
        )
    if failure.is_positive or failure.is_more:
        raise ValueError(f"{failure.code} at {step.value} is no failure")
    return _classify_reply(failure, step, is_alone=is_alone)


def _classify_failure(failure: NetworkFailure, step: Step) -> Disposition:
    scope, category, enhanced, sentence = _FAILURES[failure]
    is_in_doubt = step is Step.FINAL_DOT
    if is_in_doubt:
        # It may have been accepted: another host would make a duplicate at once, so it waits.
        scope = Scope.MESSAGE
        sentence += " after the whole message had been sent; it may have been delivered"
    return Disposition(kind=Kind.DEFERRED, scope=scope, category=category, enhanced=enhanced, sentence=sentence, is_in_doubt=is_in_doubt)


def _classify_reply(reply: Reply, step: Step, *, is_alone: bool) -> Disposition:
    text = " ".join(reply.lines).lower()
    category = _categorize(reply, text, step)
    scope = _scope_of(reply, category, step)
    must_split = step is Step.RCPT and reply.code != _SERVICE_CLOSING and _asks_for_fewer_recipients(reply, text)
    is_of_content = step in _CONTENT_STEPS and reply.code != _SERVICE_CLOSING
    must_ask_alone = is_of_content and not is_alone and category in _OF_RECIPIENT
    is_put_off = must_split or must_ask_alone or step in _SESSION_STEPS
    is_bounced = reply.is_permanent and not is_put_off and not _is_doubtful(reply, category)
    enhanced = reply.enhanced
    if enhanced is None or (enhanced.status_class == 5) is not is_bounced:
        enhanced = _own_code(category, is_bounced=is_bounced)
    return Disposition(
        kind=Kind.BOUNCED if is_bounced else Kind.DEFERRED,
        scope=Scope.MESSAGE if must_split else scope,
        category=category,
        enhanced=str(enhanced),
        sentence=f"The receiving server {'refused' if is_bounced else 'put off'} {_SUBJECTS[step]}: {reply}",
        suppresses=is_bounced and (step is Step.RCPT or is_of_content) and category in _SUPPRESSING,
        must_split=must_split,
        must_ask_alone=must_ask_alone,
        demands_tls=step not in _SESSION_STEPS and (category is Category.TLS_FAILURE or reply.code == 530),
    )


_SUBJECTS: Final[dict[Step, str]] = {
    **dict.fromkeys(Step, "the connection"),
    Step.AUTH: "the login",
    Step.MAIL: "the sender",
    Step.RCPT: "the recipient",
    **dict.fromkeys((Step.DATA, Step.DATA_BLOCK, Step.FINAL_DOT), "the message"),
}


def _scope_of(reply: Reply, category: Category, step: Step) -> Scope:
    if reply.code == _SERVICE_CLOSING:
        return Scope.SESSION
    if step in _SESSION_STEPS:
        return Scope.HOST
    if _is_doubtful(reply, category):
        return Scope.SESSION
    if step is Step.RCPT:
        return Scope.RECIPIENT
    if step is Step.MAIL and reply.is_transient and category in _UNKNOWN_TO_SERVER:
        return Scope.HOST  # said of our address: another host may know better
    return Scope.MESSAGE


def _is_doubtful(reply: Reply, category: Category) -> bool:
    """A permanent reply that tells nothing about the mail, or asks for what the next connection may bring (530: TLS first)."""
    return reply.code == 530 or (reply.code in _OUT_OF_STEP and category is Category.PROTOCOL_ERROR)


def _asks_for_fewer_recipients(reply: Reply, text: str) -> bool:
    enhanced = reply.enhanced  # RFC 5321 §4.5.3.1.10: 452, and 552 from old servers
    if enhanced is not None and (enhanced.subject, enhanced.detail) == (5, 3):
        return True
    return reply.code in {451, 452, 550, 552, 554} and _TOO_MANY_RECIPIENTS.search(text) is not None


_TOO_MANY_RECIPIENTS: Final = re.compile(
    r"too many (?:recipients|rcpts?)\b(?! received)|(?:recipient|rcpt) limit|maximum (?:number of )?recipients"
)

# About us or the content: these words decide, whatever the code. The first that is found counts, so the narrow ones stand before the wide.
_ABOUT_US: Final[tuple[tuple[Category, re.Pattern[str]], ...]] = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (
            Category.GREYLISTED,
            r"gr[ea]y-?list|try again in \d+ (?:sec|min)|temporarily deferred due to unfamiliar|postgrey",
        ),
        (
            Category.RATE_LIMITED,
            r"too (?:many|much) (?:messages|mail|connections|concurrent|sessions|e-?mails|requests|recipients received)"
            r"|too many (?:invalid|unknown|bad|wrong|non-?existent) (?:recipients|rcpts?|users|addresses)"
            r"|limit (?:on|of|for) .{0,60}\b(?:messages|e-?mails?|mails?|connections)\b|(?:number|amount) of .{0,30}\b(?:messages|e-?mails|mails|connections)\b"
            r"|(?:sending|sent|daily|hourly|outgoing|outbound|message|messages|mail|e-?mail|smtp|submission) (?:rate |mail |e-?mail |message )?"
            r"(?:limit|quota)s? (?:\w+ ){0,3}(?:exceeded|reached|hit)|exceed(?:s|ed|ing)? .{0,30}\b(?:sending|daily|hourly|outgoing) .{0,20}(?:quota|limit)"
            r"|rate.?limit(?!ed because)|(?<!size )(?<!storage )(?<!mailbox )limit(?:ed)? exceeded"  # "because" of what: see below
            r"|exceeded (?:(?!size|storage|quota|mailbox).){0,40}(?:rate|limit|messages)"
            r"|(?:messages|e-?mails|mails|recipients|connections) per (?:second|minute|hour|day)"
            r"|limits for how many|unusual rate|throttl|sending rate|receiving mail (?:at a rate|too quickly)|server (?:is )?(?:too )?busy"
            r"|too (?:fast|frequently|quickly)|message frequency|frequency limit|tss04|volume of (?:e-?mail|messages)",
        ),
        (
            Category.AUTH_FAILED,
            r"\b(?:dmarc|dkim|spf)\b|unauthenticated (?:e-?mail|mail|sender)|not authenticated|sender (?:id|policy framework)"
            r"|authentication (?:information|results|checks?|level)|spoof",
        ),
        (Category.DOMAIN_REPUTATION, r"surbl|uribl|\bdbl\b|badmailfrom"),
        (
            Category.IP_REPUTATION,
            r"block.?list|black.?list|deny.?list|\b(?:dns|rbl|dnsbl|xbl|sbl|pbl|zen)\b.{0,20}(?:list|block)|\brbl\b|dnsbl|spamhaus|barracuda"
            r"|spamcop|sorbs|uceprotect|abusix|senderscore|invaluement|(?:ip|address|host|client|server|network)\b.{0,60}\b(?:block(?:ed)?|banned|reputation|listed)\b"
            r"|reputation of (?:the )?(?:sending )?ip|poor reputation|reverse (?:dns|hostname)|\bptr\b|banned sending ip"
            r"|from (?:your|this) (?:ip|network)|block for spam|\[ts0\d\]|\battacks?\b|harvest(?:ing)?\b",
        ),
        (
            Category.DOMAIN_REPUTATION,
            r"(?:domain|url|sender)\b.{0,40}\b(?:reputation|block(?:ed)?|listed|banned)\b|\breputation\b",
        ),
        (
            Category.CONTENT_REJECTED,
            r"\bspam\b|spam(?:my|assassin|score| content)|\bjunk\b|\bbulk\b|unsolicited|virus|anti-?vir|malware|phish|content (?:rejected|denied|filter|policy)"
            r"|(?:message|mail) content|suspicious|blocked (?:for|due to) content|prohibited (?:attachment|file)|attachment type|administrative prohibition"
            r"|filter(?:ed|s|ing)\b|by (?:the |a |our )?filter|content presents|security polic|message rejected due to local policy|local policy violation",
        ),
        (
            Category.TLS_FAILURE,
            r"(?:issue|use|need|requires?|start|try|only over|without) (?:an? )?(?:starttls|tls|ssl|encryption|encrypted (?:session|connection|channel))\b"
            r"|(?:starttls|tls|ssl|encryption|encrypted (?:session|connection|channel)|secure (?:session|connection|channel))"
            r" (?:session |connection |support )?(?:is |was )?(?:required|needed|mandatory|enforced|first|expected)"
            r"|sent over a tls|unencrypted (?:mail|smtp|session|connection|channel)|(?:session|connection|channel) (?:is |was )?not encrypted"
            r"|(?:clear|plain) ?text (?:sessions?|connections?|smtp)\b",
        ),
        (
            Category.RELAY_DENIED,
            r"(?<![\w.-])relay(?:ing|ed)?\b(?![.-]\w).{0,40}\b(?:denied|refused|rejected|prohibited|disallowed|forbidden"
            r"|not (?:allowed|permitted|authori[sz]ed|supported|accepted))"
            r"|\b(?:not|cannot|can't|don't|won't|unable|refuse[sd]?|deny|no)\b.{0,30}(?<![\w.-])relay(?:ing)?\b(?![.-]\w)|rcpthosts",
        ),
        (Category.ROUTING_ERROR, r"too many hops|hop count|mail loop"),
    )
)

_RELAY: Final = re.compile(r"(?<![\w.-])relay(?:ing)?\b(?![.-]\w)")  # and no host of that name

# What is quoted in angle brackets, and addresses without them: their words are names.
# A word is looked at from its first letter only: from each of them on it would take the square of its length.
_NAMES: Final = re.compile(r"<[^<>]*>|(?<![^\s<>()\"':;,\[\]])[^\s<>()\"':;,\[\]]+@[^\s<>()\"':;,\[\]]+")
# Links, and what software adds as a trailer (relay=[192.0.2.9], p=NoSuchUser): their words are names too.
_TRAILERS: Final = re.compile(r"https?://\S+|www\.\S+|\b[\w-]{1,40}=\S*")
_KNOWN_LINKS: Final = re.compile(r"ipcheck\.proofpoint")

# Servers that look at the sender only when they know the recipient say it at RCPT.
_ABOUT_SENDER: Final = re.compile(
    r"\bsender (?:address|verif|domain)|(?:envelope|of|verify) sender|from (?:address|header|field|domain)|address in (?:the )?from"
    r"|(?:mail|header) from\b|(?:return|reverse)[ -]path|reply-to"
)
_ABOUT_SIZE: Final = re.compile(
    r"too (?:large|big)|(?:message|mail|content|body|attachment)s? (?:is |are )?too long|\bsize\b.{0,40}\b(?:exceed|limit|over|larger)"
    r"|(?:exceed|limit|maximum|larger|bigger|over)\w{0,20}\b.{0,40}\bsize\b|(?:message|mail|length|body|content)s? exceeds?\b"
)

# Whatever the code: the next message to the same address may be taken, so none of these suppresses it.
_NOT_OF_RECIPIENT: Final[tuple[tuple[Category, re.Pattern[str]], ...]] = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (Category.MAILBOX_FULL, r"quota|out of storage|mailbox (?:is )?full"),
        (Category.RATE_LIMITED, r"\brates?\b|\blimit(?:s|ed|ation)?\b|throttl|too many"),
        (Category.CONTENT_REJECTED, r"polic(?:y|ies)\b|filter|attack|anti-?vir|virus|\bspam|security|suspicious"),
        (
            Category.OTHER,
            r"restrict|firewall|\bblocked\b|temporar|try (?:again )?later|not (?:allowed|permitted|authori[sz]ed) to (?:send|submit|use)"
            r"|(?:block|black|deny|grey|gray|white|allow).?list|reputation|\byour (?:ip|server|host|network|domain)\b",
        ),
    )
)

# About the recipient: believed at any 5yz, but behind the words above.
_ABOUT_RECIPIENT: Final[tuple[tuple[Category, re.Pattern[str]], ...]] = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (
            Category.MAILBOX_FULL,
            r"(?:mailbox|inbox|account|user|quota|storage|recipient)\b.{0,40}\b(?:full|over ?quota|exceed|out of storage)|over ?quota|quota exceeded"
            r"|out of storage|insufficient (?:disk|mailbox)|mailbox size",
        ),
        (
            Category.INACTIVE_MAILBOX,
            r"(?:mailbox|account|user|recipient|address)\b.{0,40}\b(?:disabled|inactive|suspended|deactivated|locked|expired|closed|blocked)"
            r"|(?:disabled|inactive|suspended|deactivated) (?:mailbox|account|user|recipient)|no longer (?:active|available|in use|valid)",
        ),
        (
            Category.BAD_DOMAIN,
            r"domain (?:name )?(?:not found|unknown|does ?n[o']t exist|does not exist)|(?:unknown|no such) domain",
        ),
        (
            Category.INVALID_RECIPIENT,
            r"(?:user|recipient|mailbox|address|addressee|account|alias)\b.{0,60}\b(?:unknown|not found|does ?n[o']t exist|not exist|invalid|unavailable"
            r"|undeliverable|not known|no such|not listed|not local|not recogni[sz]ed|not exists?)"
            r"|(?:no such|unknown|invalid|nonexistent|non-existent) (?:user|recipient|mailbox|address|addressee|local|account|person|virtual)"
            r"|not a (?:valid|known) (?:user|recipient|mailbox|address|account)|mailbox name (?:is )?(?:not allowed|incorrect)|no mailbox"
            r"|does ?n[o']t have an? .{0,40}account|user doesn't|recipientnotfound|not our customer|unrouteable address"
            r"|no (?:one|body) here|unknown to (?:us|this)|dd this user|recipient address rejected: access denied",
        ),
    )
)

_BY_ENHANCED: Final[dict[tuple[int, int], Category]] = {
    (1, 1): Category.INVALID_RECIPIENT,
    (1, 2): Category.BAD_DOMAIN,
    (1, 3): Category.INVALID_RECIPIENT,
    (1, 4): Category.INVALID_RECIPIENT,
    (1, 6): Category.INVALID_RECIPIENT,
    (1, 10): Category.BAD_DOMAIN,  # RFC 7505 §4
    (2, 1): Category.INACTIVE_MAILBOX,
    (2, 2): Category.MAILBOX_FULL,
    (2, 3): Category.TOO_LARGE,
    (3, 4): Category.TOO_LARGE,
    (4, 3): Category.DNS_FAILURE,
    (4, 4): Category.ROUTING_ERROR,
    (4, 6): Category.ROUTING_ERROR,
    (5, 3): Category.OTHER,  # too many recipients
    (7, 5): Category.TLS_FAILURE,
    (7, 8): Category.AUTH_FAILED,
    (7, 9): Category.AUTH_FAILED,
    (7, 10): Category.TLS_FAILURE,
    (7, 11): Category.TLS_FAILURE,
    **{(7, detail): Category.AUTH_FAILED for detail in range(20, 25)},  # RFC 7372: DKIM, SPF
    (7, 25): Category.IP_REPUTATION,  # RFC 7372: no reverse DNS
    (7, 26): Category.AUTH_FAILED,  # RFC 7372: several checks
    (7, 28): Category.RATE_LIMITED,
}
_BY_SUBJECT: Final[dict[int, Category]] = {5: Category.PROTOCOL_ERROR, 6: Category.CONTENT_REJECTED}
_BY_CODE: Final[dict[int, Category]] = {
    **dict.fromkeys(_OUT_OF_STEP, Category.PROTOCOL_ERROR),
    530: Category.TLS_FAILURE,
    535: Category.AUTH_FAILED,
    521: Category.BAD_DOMAIN,  # RFC 7504: a host that takes no mail
    556: Category.BAD_DOMAIN,  # RFC 7504
}


def _categorize(reply: Reply, text: str, step: Step) -> Category:
    named = _NAMES.sub(" ", text)
    text = _TRAILERS.sub(" ", named)
    for category, pattern in _ABOUT_US:
        if pattern.search(text):
            return category
    if _KNOWN_LINKS.search(named):
        return Category.IP_REPUTATION
    category = _categorize_mail(reply, text, step)
    enhanced = reply.enhanced
    if step in _CONTENT_STEPS and category in _OF_RECIPIENT and enhanced is not None and enhanced.subject in _OF_CONTENT:
        return _categorize_codes(reply)
    if category in _SUPPRESSING and reply.is_permanent:
        return next((other for other, pattern in _NOT_OF_RECIPIENT if pattern.search(text)), category)
    return category


def _categorize_mail(reply: Reply, text: str, step: Step) -> Category:
    """For a reply whose words are not about us."""
    is_of_sender = step is Step.MAIL or _ABOUT_SENDER.search(text) is not None
    if step not in _SESSION_STEPS:
        for category, pattern in _ABOUT_RECIPIENT if not is_of_sender else ():
            if pattern.search(text):
                return category
        if _ABOUT_SIZE.search(text):
            return Category.TOO_LARGE
    category = _categorize_codes(reply)
    if category is Category.OTHER and _RELAY.search(text):
        return Category.RELAY_DENIED
    return Category.OTHER if is_of_sender and category in _OF_RECIPIENT else category


def _categorize_codes(reply: Reply) -> Category:
    enhanced = reply.enhanced
    if enhanced is None:
        return _BY_CODE.get(reply.code, Category.OTHER)
    found = _BY_ENHANCED.get((enhanced.subject, enhanced.detail)) or _BY_SUBJECT.get(enhanced.subject)
    if found is not None:
        return found
    return Category.OTHER if reply.code not in _OUT_OF_STEP else Category.PROTOCOL_ERROR


_OWN_DETAILS: Final[dict[Category, tuple[int, int]]] = {
    Category.INVALID_RECIPIENT: (1, 1),
    Category.BAD_DOMAIN: (1, 2),
    Category.INACTIVE_MAILBOX: (2, 1),
    Category.MAILBOX_FULL: (2, 2),
    Category.TOO_LARGE: (3, 4),
    Category.ROUTING_ERROR: (4, 4),
    Category.DNS_FAILURE: (4, 3),
    Category.CONNECT_FAILURE: (4, 2),
    Category.PROTOCOL_ERROR: (5, 0),
    Category.CONTENT_REJECTED: (6, 0),
    Category.TLS_FAILURE: (7, 5),
    Category.OTHER: (0, 0),
}


def _own_code(category: Category, *, is_bounced: bool) -> EnhancedStatusCode:
    """For a peer that gave none, or one whose class says the opposite of what it comes to."""
    subject, detail = _OWN_DETAILS.get(category, (7, 1))
    return EnhancedStatusCode(5 if is_bounced else 4, subject, detail)
