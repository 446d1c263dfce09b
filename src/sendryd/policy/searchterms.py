"""The terms under which the search index finds a message, and those that a search asks for. Pure.

A term is a folded text without blanks. Words of the subject, names of recipients, and their addresses (whole, the local part, `@domain`) stand as
they are; a sender's have `from:` in front, a tag's `tag:`, a Message-ID `msgid:`; keys and templates are their public ids.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from sendryd.model.ids import API_KEY_PREFIX, TEMPLATE_PREFIX, format_id
from sendryd.model.message import Message

MAX_TERM: Final = 320  # characters, those of the longest address: the rest of a longer text is not searched
MIN_PREFIX: Final = 3  # characters: shorter beginnings have no index of their own, and match half of the mail
KNOWN_SENDERS: Final = 256  # whose terms are remembered: most mail is from a few
FROM: Final = "from:"
TAG: Final = "tag:"
MESSAGE_ID: Final = "msgid:"
# Scripts without blanks between words: each letter and each pair of letters is a term. Thai to Khmer, kana, Han, Hangul.
_DENSE: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD: Final = re.compile(rf"[{_DENSE}]+|[^\W_{_DENSE}]+|[\u2600-\u27bf\U0001f000-\U0001faff]")  # at last single pictures
_IS_DENSE: Final = re.compile(rf"[{_DENSE}]")
_BLANK: Final = re.compile(r"[\x00-\x20\x7f-\xa0]+")
_PARTS: Final = re.compile(r"[^\s<>]+@[^\s<>@]+")


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """A term that a message must have, or one that begins with it."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for: all of these terms, and of each group of excluded ones not all."""

    all_of: tuple[SearchTerm, ...] = ()
    none_of: tuple[tuple[SearchTerm, ...], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every message fits."""
        return not self.all_of and not self.none_of

    def fits(self, terms: AbstractSet[str]) -> bool:
        """Whether a message with these terms is asked for."""
        return has_all(terms, self.all_of) and not any(has_all(terms, group) for group in self.none_of)


ANYTHING: Final = Wanted()


def has_all(terms: AbstractSet[str], wanted: Iterable[SearchTerm]) -> bool:
    """Whether all wanted terms are among these."""
    return all(any(each.startswith(want.text) for each in terms) if want.is_prefix else want.text in terms for want in wanted)


def fold(text: str) -> str:
    """The text in the form in which it is compared: compatible letters, without accents and case.

    >>> fold("Straße ÉTÉ ﬁn")
    'strasse ete fin'
    """
    if text.isascii():
        return text.lower()
    letters = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(letter for letter in letters if not unicodedata.combining(letter))).casefold()


def whole_term(text: str) -> str:
    """A text as one term."""
    folded = fold(text)
    return (_BLANK.sub("", folded) if _BLANK.search(folded) else folded)[:MAX_TERM]


def words(text: str) -> Iterator[str]:
    """The words of a text as terms, in their order.

    >>> list(words("Re: Order #48-121 東京都"))
    ['re', 'order', '48', '121', '東', '京', '都', '東京', '京都']
    """
    for word in _WORD.findall(fold(text)):
        if _IS_DENSE.match(word):
            yield from word
            yield from map("".join, pairwise(word))
        else:
            yield word[:MAX_TERM]


def address_terms(address: str) -> Iterator[str]:
    """The terms of an address: whole, the local part and its words, `@domain` and the names in it.

    >>> sorted(address_terms("Ann.Lee@mail.acme.example"))
    ['@mail.acme.example', 'acme', 'ann', 'ann.lee', 'ann.lee@mail.acme.example', 'lee', 'mail']
    """
    whole = whole_term(address)
    local, at, domain = whole.rpartition("@")
    if not at:
        yield whole
        return
    yield whole
    yield local
    yield f"@{domain}"
    yield from words(local)
    yield from words(domain.rpartition(".")[0])


def mailbox_terms(texts: Iterable[str]) -> Iterator[str]:
    """The terms of the mailboxes of a header field: names and addresses.

    >>> sorted(set(mailbox_terms(["Ann Lee <al@x.example>"])))
    ['@x.example', 'al', 'al@x.example', 'ann', 'lee', 'x']
    """
    for text in texts:
        name, bracket, rest = text.rpartition("<")
        if bracket:
            yield from words(name)
        yield from address_terms(rest.partition(">")[0].strip())


def recipient_terms(message: Message) -> set[str]:
    """The terms of the recipients in the header."""
    return {*mailbox_terms(message.to), *mailbox_terms(message.cc)}


def subject_terms(message: Message) -> set[str]:
    """The terms of the subject."""
    return set(words(message.subject))


def search_terms(message: Message, recipients: Iterable[str]) -> set[str]:
    """All terms of a message. `recipients` are the forward-paths of its deliveries: some may be in no header field."""
    terms = recipient_terms(message) | subject_terms(message)
    for path in recipients:
        if path not in message.to:
            terms.update(address_terms(path))
    terms |= _sender_terms(message.author, message.reverse_path)
    for name, value in message.tags:
        terms.update(TAG + whole_term(each) for each in (name, value, f"{name}={value}"))
    terms.add(MESSAGE_ID + whole_term(message.internet_message_id.strip("<>")))
    if message.api_key_id is not None:
        terms.add(format_id(API_KEY_PREFIX, message.api_key_id))
    if message.template_id is not None:
        terms.add(format_id(TEMPLATE_PREFIX, message.template_id))
    terms.discard("")
    return terms


@lru_cache(KNOWN_SENDERS)
def _sender_terms(author: str, reverse_path: str) -> frozenset[str]:
    """The terms of a sender, with the domains above its own."""
    found = {*mailbox_terms((author,)), *address_terms(reverse_path)}
    above = {f"@{domain}" for each in found if each.startswith("@") for domain in _parents(each[1:])}
    return frozenset(FROM + each for each in found | above)


def _parents(domain: str) -> Iterator[str]:
    while "." in domain:
        yield domain
        domain = domain.partition(".")[2]


def wanted_words(text: str) -> tuple[SearchTerm, ...]:
    """The terms of words that somebody typed: the last one may be the beginning of a word.

    >>> wanted_words("Order 481")
    (SearchTerm(text='order', is_prefix=False), SearchTerm(text='481', is_prefix=True))
    """
    found = _WORD.findall(fold(text))
    return tuple(term for at, word in enumerate(found) for term in _wanted_word(word[:MAX_TERM], is_last=at == len(found) - 1))


def wanted_text(text: str) -> tuple[SearchTerm, ...]:
    """The terms of a text that somebody typed without naming a place: what has an at sign is the beginning of an address or a domain.

    >>> [term.text for term in wanted_text("Order for ann@x.example")]
    ['order', 'for', 'ann@x.example']
    """
    found: list[SearchTerm] = []
    for part in text.split():
        found += (wanted_whole(part.strip("<>,;"), is_prefix=True),) if "@" in part else wanted_words(part)
    return tuple(found)


def _wanted_word(word: str, *, is_last: bool) -> Iterator[SearchTerm]:
    if not _IS_DENSE.match(word):
        yield SearchTerm(word, is_prefix=is_last and len(word) >= MIN_PREFIX)
    elif len(word) == 1:
        yield SearchTerm(word)
    else:
        yield from (SearchTerm("".join(pair)) for pair in pairwise(word))


def wanted_whole(text: str, before: str = "", *, is_prefix: bool = False) -> SearchTerm:
    """One term that somebody typed as a whole; `before` says whose it is."""
    term = whole_term(text)
    return SearchTerm(before + term, is_prefix=is_prefix and len(term) >= MIN_PREFIX)
