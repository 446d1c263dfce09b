"""Sentences about what a receiving server said or failed to say, one function for each kind of cause."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from sendryd.policy.explain.facts import Attempt, Facts
from sendryd.policy.explain.words import Action, Explanation, Tone, clock, count, listing, receiver, span
from sendryd.policy.replies.verdict import Category

# What servers call the missing or wrong name of a client's address.
_NO_NAME: Final = re.compile(
    r"\bptr\b|\brdns\b|reverse[- ](?:dns|lookup|hostname|map)|cannot find your (?:reverse )?hostname|does not resolve", re.IGNORECASE
)
# A block list is a host name beside the words that introduce one, or below a domain of a well-known list.
_LIST: Final = re.compile(
    r"\b(?:www\.)?((?:(?!www\.)[a-z0-9-]{1,40}\.){0,4}(?:spamhaus\.(?:org|net)|spamcop\.net|barracudacentral\.org|sorbs\.net|surriel\.com|abuseat\.org|uceprotect\.net))"
    r"|(?:blocked (?:using|by)|listed (?:on|in|at|by)) ((?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,20})\b",
    re.IGNORECASE,
)
# What a filter found, by the words of its reply; the first that is found counts.
_CONTENT: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        (r"spam(?!cop)|\bjunk\b|\bbulk\b|unsolicited|phish", "took it for spam"),
        (r"virus|malware|infected|anti-?vir", "found a virus in it"),
        (r"attachment|file type", "does not take one of its attachments"),
    )
)
_SAID: Final = re.compile(r"[45][0-9]{2}\b")  # a reply of the server, and no sentence of ours
# What the recipient's policies ask for, by their names.
_ASKED: Final = {
    "mta-sts": "a server that it names, with a valid certificate (MTA-STS)",
    "dane": "a server with the key that its DNS names (DANE)",
}
BLOCKED: Final = "No server can be reached: outgoing port 25 seems blocked here."
UNBLOCK: Final = "Ask your hosting provider to open port 25, or set a smart host (SENDRYD_SMARTHOST)."
_MEGABYTE: Final = 1_000_000
_PRIVATE: Final = re.compile("at private or reserved addresses", re.IGNORECASE)  # our own words
_NOT_LOOKED_AT: Final = 2_000  # characters of a reply that are searched


def explain_attempt(facts: Facts, last: Attempt) -> Explanation:
    """The cause that the last attempt gave, for a delivery that waits, or that ended with it."""
    explaining = _EXPLAINING.get(last.category)
    if explaining is not None:
        return explaining(facts, last)
    verb = "put the mail off" if facts.retries_left else "refused the mail"
    return _explanation(facts, last, f"{receiver(facts.domain)} {verb} and gave no known reason.", "Read its words in the timeline.")


def explain_expired(facts: Facts, last: Attempt | None) -> Explanation:
    """The queue's lifetime ended before a server took the mail."""
    after = f" after {span(facts.ended_at - facts.accepted_at)}" if facts.ended_at and facts.accepted_at else ""
    tries = f" and {count(facts.attempts, 'try', 'tries')}" if after else f" after {count(facts.attempts, 'try', 'tries')}"
    cause = "" if last is None or last.category is Category.EXPIRED else explain_attempt(facts, last).sentence
    sentence = f"Given up{after}{tries}" + (f": {cause}" if cause else ".")
    detail = last.reply if last else ""
    return Explanation(Tone.BAD, sentence, "Send it again once the cause is gone.", (Action.SEND_AGAIN,), detail)


def _explanation(facts: Facts, last: Attempt, sentence: str, advice: str, *actions: Action) -> Explanation:
    """The cause with its next try, or as the end of the delivery."""
    if not facts.retries_left:
        return Explanation(Tone.BAD, sentence, advice, actions, last.reply)
    following = f"Next try at {clock(facts.due_at, facts.now)}."
    return Explanation(Tone.SLOW, sentence, f"{advice} {following}".lstrip(), (*actions, Action.TRY_NOW, Action.CANCEL), last.reply)


def _greylisted(facts: Facts, last: Attempt) -> Explanation:
    sentence = f"{receiver(facts.domain)} asks new senders to come back. It usually says yes at the next try."
    return _explanation(facts, last, sentence, "Nothing to do.")


def _rate_limited(facts: Facts, last: Attempt) -> Explanation:
    sentence = f"{receiver(facts.domain)} asked us to slow down. Your setup is right"
    sentence += "; the mail will go out." if facts.retries_left else ", but the mail was refused."
    advice = "If this happens often, spread large batches over the day."
    return _explanation(facts, last, sentence, advice, Action.OPEN_QUEUE)


def _unreachable(facts: Facts, last: Attempt) -> Explanation:
    if facts.nothing_reachable:
        return _explanation(facts, last, BLOCKED, UNBLOCK, Action.CHECK)
    if last.by_smarthost:
        return _explanation(facts, last, f"The smart host {last.host} does not answer.", "Check SENDRYD_SMARTHOST.", Action.HEALTH)
    tried = last.tried or ((last.host,) if last.host else ())
    servers = f": {listing(tried)} {'was' if len(tried) == 1 else 'were'} tried" if tried else ""
    doubt = " The connection broke after the whole mail had been sent, so it may arrive twice." if last.is_in_doubt else ""
    return _explanation(facts, last, f"{receiver(facts.domain)} does not answer{servers}.{doubt}", "Nothing to do on your side.")


def _no_dns(facts: Facts, last: Attempt) -> Explanation:
    sentence = f"The DNS of {facts.domain} gives no answer."
    return _explanation(facts, last, sentence, "If this is said of many domains, check this machine's resolver.")


def _bad_domain(facts: Facts, last: Attempt) -> Explanation:
    if last.enhanced == "5.1.10" or "null mx" in last.reply.lower():  # RFC 7505 §4.2
        sentence = f"{facts.domain} says that it takes no mail."
        return _explanation(facts, last, sentence, "Ask the recipient for another address.")
    sentence = f"{facts.domain} does not exist."
    if facts.did_you_mean:
        return _explanation(facts, last, f"{sentence} Did you mean {facts.did_you_mean}?", "Correct it in your app.", Action.SEND_TO_OTHER)
    return _explanation(facts, last, sentence, "Correct the address in your app.")


def _no_tls(facts: Facts, last: Attempt) -> Explanation:
    if last.policy in _ASKED:
        sentence = f"The policy of {facts.domain} asks for {_ASKED[last.policy]}, and we found none, so no server got the mail."
        return _explanation(facts, last, sentence, f"This is a fault at {facts.domain} or an attack: tell its owner.")
    if _SAID.match(last.reply):  # it asked for encryption; ours is never refused to be used
        sentence = f"{receiver(facts.domain)} takes mail over encrypted connections only."
        return _explanation(facts, last, sentence, "Nothing to do: the next try encrypts if its server can.")
    host = last.host or f"The server of {facts.domain}"
    sentence = f"{host} offers no encryption that fits, and {facts.sender_domain} insists on it."
    return _explanation(facts, last, sentence, "Wait, or lower the rule for this domain.", Action.SHOW_RULE)


def _mailbox_full(facts: Facts, last: Attempt) -> Explanation:
    sentence = f"The mailbox of {facts.recipient} is full."
    if facts.retries_left and facts.expires_at:
        return _explanation(facts, last, sentence, f"We try until {clock(facts.expires_at, facts.now)}. Write to the recipient elsewhere.")
    return _explanation(facts, last, sentence, "Write to the recipient elsewhere.")


def _lost_address(facts: Facts, last: Attempt, sentence: str) -> Explanation:
    suppressed = " The address is suppressed now." if facts.suppressed else ""
    actions = (Action.LIFT,) if facts.suppressed else ()
    return _explanation(facts, last, f"{sentence}{suppressed}", "Ask for the right address.", *actions)


def _no_such_user(facts: Facts, last: Attempt) -> Explanation:
    return _lost_address(facts, last, f"There is no {facts.recipient}: {_its_server(facts, last)} says so.")


def _switched_off(facts: Facts, last: Attempt) -> Explanation:
    return _lost_address(facts, last, f"{facts.recipient} has been switched off: {_its_server(facts, last)} says so.")


def _spam(facts: Facts, last: Attempt) -> Explanation:
    notes = f"What it may mind: {'; '.join(facts.content_notes)}." if facts.content_notes else "Look at what filters may mind in this mail."
    words = last.reply[:_NOT_LOOKED_AT]
    what = next((each for pattern, each in _CONTENT if pattern.search(words)), "refused this mail by a rule of its own")
    return _explanation(facts, last, f"{receiver(facts.domain)} {what}.", notes, Action.CONTENT_CHECKS)


def _domain_distrusted(facts: Facts, last: Attempt) -> Explanation:
    sentence = f"{receiver(facts.domain)} does not trust {facts.sender_domain} yet."
    return _explanation(facts, last, sentence, "Send less, and to people who expect it; look at the complaints.")


def _too_large(facts: Facts, last: Attempt) -> Explanation:
    what = f"{_megabytes(facts.size)} is more" if facts.size else "The message is larger"
    return _explanation(facts, last, f"{what} than {receiver(facts.domain)} takes.", "Send a link instead of the file.")


def _not_in_charge(facts: Facts, last: Attempt) -> Explanation:
    if last.by_smarthost:
        return _smarthost_refuses(facts, last)
    sentence = f"{last.host or 'Its server'} says that it does not take mail for {facts.domain}."
    return _explanation(facts, last, sentence, f"The MX records of {facts.domain} are wrong: tell its owner.")


def _misrouted(facts: Facts, last: Attempt) -> Explanation:
    if _PRIVATE.search(last.reply[:_NOT_LOOKED_AT]):
        sentence = f"The mail servers of {facts.domain} are at private or reserved addresses, where this server sends no mail."
        return _explanation(
            facts, last, sentence, f"Set SENDRYD_ALLOW_PRIVATE_NETWORKS=true if {facts.domain} is in your own network; else tell its owner."
        )
    sentence = f"{receiver(facts.domain)} could not route the mail: its servers pass it in a circle or know no way to the mailbox."
    return _explanation(facts, last, sentence, f"The fault is at {facts.domain}: tell its owner if it stays.")


def _broke_off(facts: Facts, last: Attempt) -> Explanation:
    sentence = f"{last.host or receiver(facts.domain)} broke off the dialogue, or gave an answer that SMTP does not allow."
    return _explanation(facts, last, sentence, "Read the dialogue in the timeline.")


def _address_distrusted(facts: Facts, last: Attempt) -> Explanation:
    words, ours = last.reply[:_NOT_LOOKED_AT], facts.our_address
    found = _LIST.search(words)
    if found is None and _NO_NAME.search(words):
        sentence = f"{receiver(facts.domain)} refuses servers without a name" + (f": {ours} has none." if ours else ".")
        name = facts.our_name or "this server's host name"
        return _explanation(
            facts, last, sentence, f"Have your hosting provider set the PTR record of the address to {name}.", Action.HEALTH
        )
    sentence = f"{receiver(facts.domain)} refuses this server's address"
    if found is not None:
        sentence += f": {ours or 'it'} is on {(found[1] or found[2]).lower()}"
    return _explanation(facts, last, f"{sentence}.", "Ask to be taken off the list; until then use a smart host.", Action.HEALTH)


def _not_authenticated(facts: Facts, last: Attempt) -> Explanation:
    if last.at_login or last.by_smarthost:
        return _smarthost_refuses(facts, last)
    why = f": {facts.dns_edit}" if facts.dns_edit else f": SPF, DKIM or DMARC of {facts.sender_domain} did not pass"
    sentence = f"{receiver(facts.domain)} could not tell that this mail is yours{why}."
    return _explanation(facts, last, sentence, "Edit your DNS.", Action.SHOW_EDIT)


def _smarthost_refuses(facts: Facts, last: Attempt) -> Explanation:
    what = "our login" if last.at_login or last.category is Category.AUTH_FAILED else "to relay our mail"
    sentence = f"The smart host {last.host} refuses {what}."
    return _explanation(facts, last, sentence, "Correct SENDRYD_SMARTHOST.", Action.HEALTH)


def _its_server(facts: Facts, last: Attempt) -> str:
    return last.host or f"the server of {facts.domain}"


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.0f} MB" if size >= _MEGABYTE else f"{max(1, size // 1000)} KB"


_EXPLAINING: Final[Mapping[Category, Callable[[Facts, Attempt], Explanation]]] = {
    Category.GREYLISTED: _greylisted,
    Category.RATE_LIMITED: _rate_limited,
    Category.CONNECT_FAILURE: _unreachable,
    Category.DNS_FAILURE: _no_dns,
    Category.BAD_DOMAIN: _bad_domain,
    Category.TLS_FAILURE: _no_tls,
    Category.MAILBOX_FULL: _mailbox_full,
    Category.INVALID_RECIPIENT: _no_such_user,
    Category.INACTIVE_MAILBOX: _switched_off,
    Category.CONTENT_REJECTED: _spam,
    Category.IP_REPUTATION: _address_distrusted,
    Category.DOMAIN_REPUTATION: _domain_distrusted,
    Category.AUTH_FAILED: _not_authenticated,
    Category.TOO_LARGE: _too_large,
    Category.RELAY_DENIED: _not_in_charge,
    Category.ROUTING_ERROR: _misrouted,
    Category.PROTOCOL_ERROR: _broke_off,
    Category.EXPIRED: explain_expired,
}
UNEXPLAINED: Final = frozenset({Category.DELIVERED, Category.SUPPRESSED, Category.OTHER})  # no cause of its own
