"""From the bytes at the door to the bytes that are stored: checks of the header block, and the few fields that are added or removed. Pure.

The content is never parsed and put together again: lines are put in front of it, named fields are cut out, and all else stays byte for
byte as it came (RFC 6409 §8 allows what is added here: Received, and Date and Message-ID if missing).
"""

import re
from datetime import datetime
from typing import Final

from sendryd.message.author import Author, address_list, decode_text, parse_author
from sendryd.message.authordomain import author_domain
from sendryd.message.control import NO_ORDERS, BadControlHeader, Orders, read_orders
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock, HeaderField
from sendryd.message.mailbox import Mailbox
from sendryd.message.parameters import without_comments
from sendryd.message.rewrite import format_date, prepare_submission
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.valuetype import valuetype

MAX_HOPS: Final = 50  # Received fields; what other servers allow (Postfix: 50), and more than any honest path has
MAX_OWN_HOPS: Final = 3  # Received fields of our own: a message that this server accepts for the fourth time goes round in a loop
# Who readers may be told that the message is from.
RESPONSIBLE_FIELDS: Final = {b"sender": "Sender", b"resent-from": "Resent-From", b"resent-sender": "Resent-Sender"}
MAX_RESPONSIBLE: Final = 20  # of those: each is looked up, and nobody resends a message more often
# Bcc must not reach anybody (RFC 5322 §3.6.3), Return-Path is the last server's to write (RFC 5321 §4.4), and X-Sendry-* are orders to us.
DROPPED_FIELDS: Final = frozenset({b"bcc", b"resent-bcc", b"return-path"})
CONTROL_PREFIX: Final = b"x-sendry-"
_SINGLE_FIELDS: Final = (b"message-id", b"date")  # RFC 5322 §3.6: at most one; some large receivers refuse a second one
_RESULTS_FIELD: Final = b"authentication-results"
_SOMETIMES_DROPPED: Final = DROPPED_FIELDS | RESPONSIBLE_FIELDS.keys() | {_RESULTS_FIELD}
_RESULTS_ID: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;"]*))')  # RFC 8601 §2.2: authserv-id, a token or in quotes
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_MBOX_LINE: Final = re.compile(rb">?From (?![ \t:])[^\r\n]*\r\n")  # not a field: its name is followed by a word, not by a colon


@valuetype(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message whose header block has passed, with what the store and the API want to know of it."""

    headers: HeaderBlock
    author: Author
    responsible_domains: tuple[str, ...]  # of Sender and the like: must be the account's own too
    author_text: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    internet_message_id: str  # empty: to be made
    has_date: bool
    has_dropped: bool  # whether `finish` has fields to cut out
    orders: Orders


def without_mbox_line(content: bytes) -> bytes:
    """The content without the line that an mbox file has before each message, which some programs send along."""
    if content[:5] != b"From " and content[:6] != b">From ":
        return content
    match = _MBOX_LINE.match(content)
    return content[match.end() :] if match else content


def read_draft(content: bytes, first_bare_lf: int | None, *, hostname: str = "") -> Draft | Refusal:
    """Checks the header block and reads what is needed of it. `hostname` is this server's own name in trace fields."""
    try:
        headers = HeaderBlock.parse(content)
        if first_bare_lf is not None and first_bare_lf < headers.body_offset:
            return Refusal(RefusalKey.MALFORMED_MESSAGE, "a header line ends with a bare LF; end each line with CR LF")
        authors = headers.all(b"from")
        if len(authors) != 1:
            reason = "it has several From fields; send exactly one" if authors else "it has no From field; add one"
            return Refusal(RefusalKey.MALFORMED_MESSAGE, reason)
        author = parse_author(authors[0])
        responsible = () if RESPONSIBLE_FIELDS.keys().isdisjoint(headers.by_name) else _read_responsible(headers)
    except MalformedMessage as error:
        return Refusal(RefusalKey.MALFORMED_MESSAGE, error.reason)
    hops = headers.count(b"received")
    if hops > MAX_HOPS or (hops >= MAX_OWN_HOPS and _count_own_hops(headers, hostname) >= MAX_OWN_HOPS):
        return Refusal(RefusalKey.TOO_MANY_HOPS)
    has_orders = CONTROL_PREFIX in b" ".join(headers.by_name)  # perhaps; it costs less than a look at each name
    try:
        orders = read_orders(headers) if has_orders else NO_ORDERS
    except BadControlHeader as error:
        return Refusal(RefusalKey.CONTROL_HEADER, str(error))
    message_id = next(filter(_has_value, headers.all(b"message-id")), b"").decode("utf-8", "replace")
    has_date = any(map(_has_value, headers.all(b"date")))
    return Draft(
        headers=headers,
        author=author,
        responsible_domains=responsible,
        author_text=_author_text(authors[0], author),
        to=_addresses(headers, b"to"),
        cc=_addresses(headers, b"cc"),
        subject=decode_text(headers.get(b"subject") or b""),
        internet_message_id=message_id,
        has_date=has_date,
        has_dropped=(
            has_orders
            or not _SOMETIMES_DROPPED.isdisjoint(headers.by_name)
            or headers.count(b"message-id") > bool(message_id)
            or headers.count(b"date") > has_date
        ),
        orders=orders,
    )


def _author_text(value: bytes, author: Author) -> str:
    """The From field as people read it. Where comments or blanks keep its end from being read as the author's domain, name and address."""
    text = decode_text(value)
    if author_domain(text) == author.domain:
        return text
    address = Mailbox(author.display, author.local_part, author.domain).address
    return f"{author.display} <{address}>" if author.display else address


def _read_responsible(headers: HeaderBlock) -> tuple[str, ...]:
    """The domains of Sender and the like. Raises `MalformedMessage`."""
    if sum(headers.count(name) for name in RESPONSIBLE_FIELDS) > MAX_RESPONSIBLE:
        raise MalformedMessage(f"it has more than {MAX_RESPONSIBLE} Sender and Resent fields")
    return tuple(
        parse_author(value, shown).domain
        for name, shown in RESPONSIBLE_FIELDS.items()
        for value in headers.all(name)
        if value  # an empty one is dropped
    )


def _addresses(headers: HeaderBlock, name: bytes) -> tuple[str, ...]:
    value = headers.get(name)
    return tuple(address_list(value)) if value else ()


def _has_value(value: bytes) -> bool:
    return bool(value.strip(b"<> \t"))


def _count_own_hops(headers: HeaderBlock, hostname: str) -> int:
    """How often this server has accepted the message before."""
    if not hostname:
        return 0
    own = re.compile(rb"by " + re.escape(hostname.encode()) + rb" with \S+ id em_", re.IGNORECASE)  # as `message.trace` writes it
    return sum(own.search(b" ".join(value.split())) is not None for value in headers.all(b"received"))


def find_dropped(headers: HeaderBlock, hostname: str) -> list[HeaderField]:
    """The fields that are not passed on, in order."""
    own = hostname.rstrip(".").lower()
    dropped = [field for field in headers.fields if _is_dropped(headers, field, own)]
    for name in _SINGLE_FIELDS:
        fields = headers.by_name.get(name, ())
        kept = next((field for field in fields if _has_value(headers.value(field))), None)
        dropped += (field for field in fields if field is not kept)
    return sorted(dropped, key=lambda field: field.start)


def _is_dropped(headers: HeaderBlock, field: HeaderField, own: str) -> bool:
    if field.name in DROPPED_FIELDS or field.name.startswith(CONTROL_PREFIX):
        return True
    if field.name in RESPONSIBLE_FIELDS:
        return not headers.value(field)
    if field.name == _RESULTS_FIELD:  # RFC 8601 §5: results under our name that are not ours
        match = _RESULTS_ID.match(without_comments(headers.value(field).decode("utf-8", "replace")))
        quoted, token = match.groups() if match else (None, None)
        name = _QUOTED_PAIR.sub(r"\1", quoted).strip() if quoted else token or ""
        return bool(own) and name.rstrip(".").lower() == own
    return False


def finish(draft: Draft, content: bytes, *, received: bytes, message_id: str, now: datetime, hostname: str = "") -> bytes:
    """The stored bytes. `message_id` is the Message-ID to add when the draft has none."""
    return prepare_submission(
        content,
        draft.headers,
        received=received,
        message_id=None if draft.internet_message_id else message_id.encode(),
        date=None if draft.has_date else format_date(now).encode(),
        drop=find_dropped(draft.headers, hostname) if draft.has_dropped else (),
    )
