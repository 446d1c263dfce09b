"""Bounce classification: what a reply of a receiving server, or its silence, means for a delivery. Pure.

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
whatever the code. The words are in `patterns`. A new surprise from the field becomes a line in `tests/data/replies.toml` first.
"""

from typing import Final

from sendryd.policy.replies.patterns import (
    ABOUT_RECIPIENT,
    ABOUT_SENDER,
    ABOUT_SIZE,
    ABOUT_US,
    KNOWN_LINKS,
    NAMES,
    NOT_OF_RECIPIENT,
    RELAY,
    TOO_MANY_RECIPIENTS,
    TRAILERS,
)
from sendryd.policy.replies.verdict import Category, Kind, NetworkFailure, Relay, Scope, Verdict
from sendryd.smtp.reply import SERVICE_CLOSING, EnhancedStatusCode, Reply
from sendryd.smtp.timeouts import Step

_SESSION_STEPS: Final = frozenset({Step.CONNECT, Step.GREETING, Step.EHLO, Step.STARTTLS, Step.HANDSHAKE, Step.AUTH, Step.RSET, Step.QUIT})
_CONTENT_STEPS: Final = frozenset({Step.DATA, Step.FINAL_DOT})
_OF_CONTENT: Final = frozenset({6, 7})  # RFC 3463 §3.7, §3.8: media and policy
_SUPPRESSING: Final = frozenset({Category.INVALID_RECIPIENT, Category.INACTIVE_MAILBOX})
_OF_RECIPIENT: Final = _SUPPRESSING | {Category.MAILBOX_FULL}
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
    NetworkFailure.NOT_BOUND: (
        Scope.HOST,
        Category.OTHER,
        "4.3.5",
        "The address that mail leaves from cannot be used on this machine",
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


def classify(failure: Reply | NetworkFailure, *, step: Step, relay: Relay | None = None, is_alone: bool = True) -> Verdict:
    """The verdict on a reply, or on a failure without one. `step` is where it came: RCPT for a reply to RCPT. `relay` is the server that it
    came from. `is_alone`: what was said of the message was said of one recipient.

    A positive reply counts as delivered only at the final dot; elsewhere it is the caller's mistake: `ValueError`.
    """
    if isinstance(failure, NetworkFailure):
        return _classify_failure(failure, step, relay)
    if failure.is_positive and step is Step.FINAL_DOT:
        return Verdict(
            kind=Kind.DELIVERED,
            scope=Scope.MESSAGE,
            category=Category.DELIVERED,
            enhanced=str(failure.enhanced or "2.0.0"),
            sentence=f"The receiving server accepted the message: {failure}",
            reply=failure,
            relay=relay,
        )
    if failure.is_positive or failure.is_more:
        raise ValueError(f"{failure.code} at {step.value} is no failure")
    return _classify_reply(failure, step, relay, is_alone=is_alone)


def _classify_failure(failure: NetworkFailure, step: Step, relay: Relay | None) -> Verdict:
    scope, category, enhanced, sentence = _FAILURES[failure]
    is_in_doubt = step is Step.FINAL_DOT
    if is_in_doubt:
        # It may have been accepted: another host would make a duplicate at once, so it waits.
        scope = Scope.MESSAGE
        sentence += " after the whole message had been sent; it may have been delivered"
    return Verdict(
        kind=Kind.DEFERRED,
        scope=scope,
        category=category,
        enhanced=enhanced,
        sentence=sentence,
        relay=relay,
        is_in_doubt=is_in_doubt,
    )


def _classify_reply(reply: Reply, step: Step, relay: Relay | None, *, is_alone: bool) -> Verdict:
    text = " ".join(reply.lines).lower()
    category = _categorize(reply, text, step)
    scope = _scope_of(reply, category, step)
    must_split = step is Step.RCPT and reply.code != SERVICE_CLOSING and _asks_for_fewer_recipients(reply, text)
    is_of_content = step in _CONTENT_STEPS and reply.code != SERVICE_CLOSING
    must_ask_alone = is_of_content and not is_alone and category in _OF_RECIPIENT
    is_put_off = must_split or must_ask_alone or step in _SESSION_STEPS
    is_bounced = reply.is_permanent and not is_put_off and not _is_doubtful(reply, category)
    enhanced = reply.enhanced
    if enhanced is None or (enhanced.status_class == 5) is not is_bounced:
        enhanced = _own_code(category, is_bounced=is_bounced)
    return Verdict(
        kind=Kind.BOUNCED if is_bounced else Kind.DEFERRED,
        scope=Scope.MESSAGE if must_split else scope,
        category=category,
        enhanced=str(enhanced),
        sentence=f"The receiving server {'refused' if is_bounced else 'put off'} {_SUBJECTS[step]}: {reply}",
        reply=reply,
        relay=relay,
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
    if reply.code == SERVICE_CLOSING:
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
    return reply.code in {451, 452, 550, 552, 554} and TOO_MANY_RECIPIENTS.search(text) is not None


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
    (7, 30): Category.TLS_FAILURE,  # RFC 8689 §4.2.1
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
    named = NAMES.sub(" ", text)
    text = TRAILERS.sub(" ", named)
    for category, pattern in ABOUT_US:
        if pattern.search(text):
            return category
    if KNOWN_LINKS.search(named):
        return Category.IP_REPUTATION
    category = _categorize_mail(reply, text, step)
    enhanced = reply.enhanced
    if step in _CONTENT_STEPS and category in _OF_RECIPIENT and enhanced is not None and enhanced.subject in _OF_CONTENT:
        return _categorize_codes(reply)
    if category in _SUPPRESSING and reply.is_permanent:
        return next((other for other, pattern in NOT_OF_RECIPIENT if pattern.search(text)), category)
    return category


def _categorize_mail(reply: Reply, text: str, step: Step) -> Category:
    """For a reply whose words are not about us."""
    is_of_sender = step is Step.MAIL or ABOUT_SENDER.search(text) is not None
    if step not in _SESSION_STEPS:
        for category, pattern in ABOUT_RECIPIENT if not is_of_sender else ():
            if pattern.search(text):
                return category
        if ABOUT_SIZE.search(text):
            return Category.TOO_LARGE
    category = _categorize_codes(reply)
    if category is Category.OTHER and RELAY.search(text):
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
    """For a peer that gave none, or one whose class says the opposite of the verdict."""
    subject, detail = _OWN_DETAILS.get(category, (7, 1))
    return EnhancedStatusCode(5 if is_bounced else 4, subject, detail)
