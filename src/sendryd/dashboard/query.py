"""The text of the search box and what it asks for. Pure.

A query is words, addresses, `@domain` and `key:value`, all of which must hold; a minus in front excludes; quotes keep blanks together. A word also
finds longer words that begin with it. The store looks for words in the search index and filters by status; `Search.matches` checks the other
conditions on each message that the store lists.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.ids import (
    API_KEY_PREFIX,
    API_REQUEST_PREFIX,
    AUDIT_PREFIX,
    DELIVERY_PREFIX,
    DOMAIN_PREFIX,
    EVENT_PREFIX,
    MEMBERSHIP_PREFIX,
    MESSAGE_PREFIX,
    NOTIFICATION_PREFIX,
    PERSON_PREFIX,
    TEMPLATE_PREFIX,
    TEST_MESSAGE_PREFIX,
    WEBHOOK_PREFIX,
    ApiKeyId,
    format_id,
    parse_id,
)
from sendryd.model.message import MessageStatus, MessageSummary, derive_status
from sendryd.policy.searchterms import (
    FROM,
    MESSAGE_ID,
    TAG,
    SearchTerm,
    fold,
    has_all,
    recipient_terms,
    subject_terms,
    wanted_whole,
    wanted_words,
)
from sendryd.store.base import MessageFilter

KEYS: Final = ("to", "from", "subject", "status", "tag", "key", "domain", "id", "msgid", "template", "size", "before", "after")
NOT_YET: Final = {
    "has": "attachments",
    "reply": "replies of receiving servers",
    "category": "causes of failure",
}
ID_PREFIXES: Final = (
    MESSAGE_PREFIX,
    TEST_MESSAGE_PREFIX,
    DELIVERY_PREFIX,
    EVENT_PREFIX,
    API_KEY_PREFIX,
    DOMAIN_PREFIX,
    TEMPLATE_PREFIX,
    WEBHOOK_PREFIX,
    NOTIFICATION_PREFIX,
    API_REQUEST_PREFIX,
    PERSON_PREFIX,
    MEMBERSHIP_PREFIX,
    AUDIT_PREFIX,
)
MAX_TERMS: Final = 20  # more are no search that a person types
MAX_LENGTH: Final = 1000  # characters, likewise
_TOKEN: Final = re.compile(r'(-?)(?:([A-Za-z]+):)?(?:"([^"]*)"|(\S+))')
_AGE: Final = re.compile(r"(\d{1,5})([mhdw])")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_SIZE: Final = re.compile(r"([<>]?)(\d{1,9})(k|m|kb|mb)?", re.IGNORECASE)
_SIZES: Final = {"": 1, "k": 1024, "kb": 1024, "m": 1024 * 1024, "mb": 1024 * 1024}
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")
_MAILBOX: Final = re.compile(r"[^\s@]+@[^\s@]*|@[^\s@]+")  # an address, the beginning of one, or a domain
_DOMAIN: Final = re.compile(r"@[^\s@]+\.[^\s@.]+")
_Check = Callable[[MessageSummary], bool]


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `key` is empty for a word."""

    key: str
    value: str
    is_excluded: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """The conditions of a text, and what could not be read in it, as sentences."""

    terms: tuple[Term, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A query for the store, and the conditions that the store does not know."""

    filter: MessageFilter
    checks: tuple[_Check, ...] = ()
    before: datetime | None = None  # messages accepted before this time
    faults: tuple[str, ...] = ()

    def matches(self, summary: MessageSummary) -> bool:
        """Whether a message that the store listed fulfils the other conditions, too."""
        return all(check(summary) for check in self.checks)


def parse_query(text: str) -> Query:
    """Read the text of the search box. Never raises."""
    terms: list[Term] = []
    faults: list[str] = []
    tokens = list(_TOKEN.finditer(text[:MAX_LENGTH]))
    for found in tokens[:MAX_TERMS]:
        minus, key, quoted, bare = found.groups()
        value = quoted if quoted is not None else bare
        _read_term(key.lower() if key else "", value, bool(minus), whole=found[0].removeprefix("-"), terms=terms, faults=faults)
    if len(text) > MAX_LENGTH or len(tokens) > MAX_TERMS:
        faults.append(f"The search is longer than {MAX_TERMS} conditions or {MAX_LENGTH:,} characters: its end was left out.")
    return Query(tuple(terms), tuple(faults))


def _read_term(key: str, value: str, is_excluded: bool, *, whole: str, terms: list[Term], faults: list[str]) -> None:
    if not key:
        if value.endswith(":") and value[:-1].lower() in KEYS:
            faults.append(f"{value} needs a value after the colon.")
        elif value.strip("-"):
            terms.append(Term(*_word(value), is_excluded))
    elif key in NOT_YET:
        faults.append(f"{key}: is not searched yet, because lists do not know {NOT_YET[key]}. It was left out.")
    elif key in KEYS:
        if value:
            terms.append(Term(key, value, is_excluded))
        else:
            faults.append(f"{key}: needs a value.")
    elif value.startswith("//"):
        terms.append(Term("", whole, is_excluded))  # a URL
    else:
        near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.4)
        advice = f"did you mean {near[0]}:{value}?" if near else f"there are {', '.join(KEYS)}."
        faults.append(f"{key}: is no condition; {advice} It was left out.")


def _word(value: str) -> tuple[str, str]:
    """Key and value of a word: addresses and beginnings of them are recipients, a Message-ID has angle brackets."""
    if value.startswith("<") and value.endswith(">") and "@" in value:
        return "msgid", value
    return ("to" if _MAILBOX.fullmatch(value) else ""), value


def format_query(query: Query) -> str:
    """The text of a query; `parse_query` reads the same terms in it."""
    return " ".join(_format(term) for term in query.terms)


def _format(term: Term) -> str:
    value = term.value.replace('"', "")
    bare = f"{term.key}:{value}" if term.key else value
    is_plain = parse_query(bare).terms == (Term(term.key, value),)
    quoted = f'{term.key}:"{value}"' if term.key else f'"{value}"'
    return ("-" if term.is_excluded else "") + (bare if is_plain else quoted)


def named_id(query: Query) -> tuple[str, int] | None:
    """Prefix and number, if the query is one public id and nothing else."""
    if len(query.terms) != 1 or query.terms[0].key not in {"", "id"} or query.terms[0].is_excluded:
        return None
    text = query.terms[0].value.lower()
    prefix = text.partition("_")[0]
    number = parse_id(text, *ID_PREFIXES)
    return None if number is None else (prefix, number)


def make_search(query: Query, *, mode: KeyMode, keys: Mapping[str, ApiKeyId], now: datetime) -> Search:
    """The search of a query. `keys` has the API keys of the account by name, in lower case, and by public id."""
    made = _Maker(MessageFilter(mode=mode), keys, now)
    for term in query.terms:
        made.add(term)
    checks, faults = tuple(made.checks), (*query.faults, *made.faults)
    return Search(filter=made.filter, checks=checks, before=made.before, faults=faults)


class _Maker:
    """Puts the terms of a query together."""

    def __init__(self, which: MessageFilter, keys: Mapping[str, ApiKeyId], now: datetime) -> None:
        self.filter = which
        self.checks: list[_Check] = []
        self.before: datetime | None = None
        self.faults: list[str] = []
        self._keys = keys
        self._now = now

    def add(self, term: Term) -> None:
        """Adds a condition, or says why it cannot be one."""
        match term.key:
            case "" | "from" | "tag" | "msgid" | "template":
                self._want(term, _wanted(term))
            case "to" | "subject":
                self._add_place(term)
            case "domain":
                self._want(term, _wanted(term))
                self._check(term, _has_domain)
            case "status":
                self._add_status(term)
            case "key":
                self._add_key(term)
            case "before" | "after":
                self._add_moment(term)
            case "size":
                self._add_size(term)
            case _:
                self._check(term, _has_id)

    def _check(self, term: Term, check: Callable[[MessageSummary, str], bool]) -> None:
        value, wanted = term.value.lower(), not term.is_excluded
        self.checks.append(lambda summary: check(summary, value) is wanted)

    def _want(self, term: Term, terms: tuple[SearchTerm, ...]) -> None:
        """Looks for terms in the index. The words of a phrase must also follow one another."""
        wanted = self.filter.wanted
        if not terms:
            self.faults.append(f"{term.value} has no letter and no digit. It was left out.")
            return
        if term.is_excluded:
            wanted = replace(wanted, none_of=(*wanted.none_of, terms))
        else:
            wanted = replace(wanted, all_of=(*wanted.all_of, *terms))
            if " " in term.value.strip() and not term.key:
                self._check(term, _has_phrase)
        self.filter = replace(self.filter, wanted=wanted)

    def _add_place(self, term: Term) -> None:
        """Words of one place: the index does not tell subjects from names of recipients."""
        terms, is_address = _wanted(term), term.key == "to" and "@" in term.value
        if is_address or not term.is_excluded:
            self._want(term, terms)
        if not is_address and terms:
            self._check(term, _is_to if term.key == "to" else _is_in_subject)

    def _add_status(self, term: Term) -> None:
        word = term.value.lower()
        status = _STATUSES.get(word)
        if status is None:
            near = difflib.get_close_matches(word, _STATUSES, n=1)
            advice = f"did you mean status:{near[0]}?" if near else f"there are {', '.join(_STATUSES)}."
            self.faults.append(f"{term.value} is no status; {advice} It was left out.")
            return
        if isinstance(status, MessageStatus) and not term.is_excluded and self.filter.status is None:
            self.filter = replace(self.filter, status=status)
            return
        if not isinstance(status, MessageStatus) and not term.is_excluded and self.filter.states is None:
            self.filter = replace(self.filter, states=status)
        self._check(term, lambda summary, _: _has_status(summary, word, self._now))

    def _add_key(self, term: Term) -> None:
        key_id = self._keys.get(term.value.lower())
        if key_id is None:
            self.faults.append(f"No API key is called {term.value}. The condition was left out.")
        else:
            self._want(term, (SearchTerm(format_id(API_KEY_PREFIX, key_id)),))

    def _add_moment(self, term: Term) -> None:
        moment = read_moment(term.value, self._now)
        if moment is None:
            self.faults.append(f"{term.value} is no time: write {term.key}:2026-05-03, {term.key}:2026-05-03T14:00 or {term.key}:2h.")
        elif (term.key == "before") is not term.is_excluded:
            self.before = moment if self.before is None else min(self.before, moment)
        else:
            start = self.filter.created_from
            self.filter = replace(self.filter, created_from=moment if start is None else max(start, moment))

    def _add_size(self, term: Term) -> None:
        found = _SIZE.fullmatch(term.value)
        if found is None:
            self.faults.append(f"{term.value} is no size: write size:>1MB or size:<20kB.")
            return
        limit = int(found[2]) * _SIZES[(found[3] or "").lower()]
        is_less = found[1] == "<"
        self._check(term, lambda summary, _: summary.message.size < limit if is_less else summary.message.size >= limit)


def read_moment(text: str, now: datetime) -> datetime | None:
    """A time in UTC: a date, a date with a time, or an age (`30m`, `2h`, `3d`, `1w`)."""
    age = _AGE.fullmatch(text.lower())
    try:
        if age:
            return now - int(age[1]) * _UNITS[age[2]]
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# The API's words, and words for a part of one with the states that a delivery of such a message has.
_STATUSES: Final[Mapping[str, MessageStatus | frozenset[DeliveryState]]] = {
    **{status.value: status for status in MessageStatus},
    "sent": MessageStatus.DELIVERED,
    "waiting": WAITING_STATES,
    "deferred": frozenset({DeliveryState.QUEUED}),
    "scheduled": frozenset({DeliveryState.QUEUED}),
    "held": frozenset({DeliveryState.HELD}),
    "suppressed": frozenset({DeliveryState.SUPPRESSED}),
    "expired": frozenset({DeliveryState.EXPIRED}),
}


def _has_status(summary: MessageSummary, word: str, now: datetime) -> bool:
    """Whether a message has a status, or a word that pages use for a part of one."""
    states = summary.states
    is_waiting = any(states.get(state) for state in WAITING_STATES)
    match word:
        case "waiting":
            return is_waiting
        case "deferred":
            return summary.has_attempts and bool(states.get(DeliveryState.QUEUED))
        case "scheduled":
            scheduled_at = summary.message.scheduled_at
            return is_waiting and not summary.has_attempts and scheduled_at is not None and scheduled_at > now
        case "held" | "suppressed" | "expired":
            return bool(states.get(DeliveryState(word)))
    return derive_status(states, has_attempts=summary.has_attempts, is_complained=summary.is_complained) is _STATUSES[word]


def _wanted(term: Term) -> tuple[SearchTerm, ...]:
    """The terms of the index that a condition asks for."""
    value = term.value
    match term.key:
        case "to" | "from":
            before = FROM if term.key == "from" else ""
            if "@" in value:
                return (wanted_whole(value, before, is_prefix=not _ADDRESS.fullmatch(value) and not _DOMAIN.fullmatch(value)),)
            return tuple(replace(each, text=before + each.text) for each in wanted_words(value))
        case "domain":
            return (wanted_whole("@" + value.removeprefix("@"), FROM),)
        case "tag":
            return (wanted_whole(value, TAG),)
        case "msgid":
            return (wanted_whole(value.strip("<>"), MESSAGE_ID, is_prefix=True),)
        case "template":
            return (wanted_whole(value),)
    return wanted_words(value)


def _is_to(summary: MessageSummary, value: str) -> bool:
    """Whether words are of a recipient. Words of a recipient in no header field are those that the subject has not."""
    wanted = wanted_words(value)
    return has_all(recipient_terms(summary.message), wanted) or not has_all(subject_terms(summary.message), wanted)


def _is_in_subject(summary: MessageSummary, value: str) -> bool:
    return has_all(subject_terms(summary.message), wanted_words(value)) and (
        " " not in value or fold(value) in fold(summary.message.subject)
    )


def _has_phrase(summary: MessageSummary, value: str) -> bool:
    message = summary.message
    return any(fold(value) in fold(text) for text in (message.subject, *message.to, *message.cc))


def _has_id(summary: MessageSummary, value: str) -> bool:
    return parse_id(value, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX) == summary.message.id


def _has_domain(summary: MessageSummary, value: str) -> bool:
    domain = summary.message.author.rpartition("@")[2].rstrip("> ").lower()
    return domain == value.removeprefix("@") or domain.endswith(f".{value.removeprefix('@')}")
