"""Checks the header block, and turns the submitted bytes into the stored ones. Pure.

The content is never re-serialised: fields are added in front, named fields are cut out, and all else stays byte for byte (RFC 6409 §8 allows
the fields added here: Received, and Date and Message-ID if missing).
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
from sendryd.message.rewrite import format_date, prepare_submission
from sendryd.message.trace import results_name
from sendryd.model.message import TlsDemand
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.valuetype import valuetype

MAX_HOPS: Final = 50  # Received fields; the limit of other servers (Postfix: 50), and more than any honest path has
MAX_OWN_HOPS: Final = 3  # Received fields of this server: a message accepted for the fourth time is in a loop
# Fields that mail programs show as the sender.
RESPONSIBLE_FIELDS: Final = {b"sender": "Sender", b"resent-from": "Resent-From", b"resent-sender": "Resent-Sender"}
MAX_RESPONSIBLE: Final = 20  # of those fields: each is looked up; more resends do not occur
# Bcc must reach no recipient (RFC 5322 §3.6.3), only the last server writes Return-Path (RFC 5321 §4.4), X-Sendry-* are control headers.
DROPPED_FIELDS: Final = frozenset({b"bcc", b"resent-bcc", b"return-path"})
CONTROL_PREFIX: Final = b"x-sendry-"
_SINGLE_FIELDS: Final = (b"message-id", b"date")  # RFC 5322 §3.6: at most one; some large receivers refuse a second one
_RESULTS_FIELD: Final = b"authentication-results"
_SOMETIMES_DROPPED: Final = DROPPED_FIELDS | RESPONSIBLE_FIELDS.keys() | {_RESULTS_FIELD}
_MBOX_LINE: Final = re.compile(rb">?From (?![ \t:])[^\r\n]*\r\n")  # not a field: a word follows the name, not a colon


@valuetype(frozen=True, slots=True, kw_only=True)
class ParsedMessage:
    """A parsed message: its header block has passed the checks, and its fields for the store and the API are read."""

    headers: HeaderBlock
    author: Author
    responsible_domains: tuple[str, ...]  # of Sender and Resent fields: must belong to the account too
    author_text: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    internet_message_id: str  # empty: `finish` makes one
    has_date: bool
    tls_demand: TlsDemand
    has_dropped: bool  # whether `finish` must cut fields out
    orders: Orders


def without_mbox_line(content: bytes) -> bytes:
    """The content without a leading mbox `From ` line, which some programs send."""
    if content[:5] != b"From " and content[:6] != b">From ":
        return content
    match = _MBOX_LINE.match(content)
    return content[match.end() :] if match else content


def parse_message(content: bytes, first_bare_lf: int | None, *, hostname: str = "") -> ParsedMessage | Refusal:
    """Checks the header block and reads its fields. `hostname` is this server's name in trace fields. Raises `MalformedMessage`."""
    try:
        headers = HeaderBlock.parse_new(content)
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
    has_orders = CONTROL_PREFIX in b" ".join(headers.by_name)  # a cheap first test, before each name is compared
    try:
        orders = read_orders(headers) if has_orders else NO_ORDERS
    except BadControlHeader as error:
        return Refusal(RefusalKey.CONTROL_HEADER, str(error))
    message_id = next(filter(_has_value, headers.all(b"message-id")), b"").decode("utf-8", "replace")
    has_date = any(map(_has_value, headers.all(b"date")))
    return ParsedMessage(
        headers=headers,
        author=author,
        responsible_domains=responsible,
        author_text=_author_text(authors[0], author),
        to=_addresses(headers, b"to"),
        cc=_addresses(headers, b"cc"),
        subject=decode_text(headers.get(b"subject") or b""),
        internet_message_id=message_id,
        has_date=has_date,
        tls_demand=_tls_demand(headers),
        has_dropped=(
            has_orders
            or not _SOMETIMES_DROPPED.isdisjoint(headers.by_name)
            or headers.count(b"message-id") > bool(message_id)
            or headers.count(b"date") > has_date
        ),
        orders=orders,
    )


def _tls_demand(headers: HeaderBlock) -> TlsDemand:
    """What the TLS-Required field asks (RFC 8689 §5): it knows one value."""
    value = headers.get(b"tls-required")
    return TlsDemand.OPTIONAL if value is not None and value.strip().lower() == b"no" else TlsDemand.USUAL


def _author_text(value: bytes, author: Author) -> str:
    """The From field for display; name and address where comments or blanks would hide the author's domain."""
    text = decode_text(value)
    if author_domain(text) == author.domain:
        return text
    address = Mailbox(author.display, author.local_part, author.domain).address
    return f"{author.display} <{address}>" if author.display else address


def _read_responsible(headers: HeaderBlock) -> tuple[str, ...]:
    """The domains of Sender and Resent fields. Raises `MalformedMessage`."""
    if sum(headers.count(name) for name in RESPONSIBLE_FIELDS) > MAX_RESPONSIBLE:
        raise MalformedMessage(f"it has more than {MAX_RESPONSIBLE} Sender and Resent fields")
    return tuple(
        parse_author(value, shown).domain
        for name, shown in RESPONSIBLE_FIELDS.items()
        for value in headers.all(name)
        if value  # empty fields are dropped
    )


def _addresses(headers: HeaderBlock, name: bytes) -> tuple[str, ...]:
    value = headers.get(name)
    return tuple(address_list(value)) if value else ()


def _has_value(value: bytes) -> bool:
    return bool(value.strip(b"<> \t"))


def _count_own_hops(headers: HeaderBlock, hostname: str) -> int:
    """How many Received fields of this server the message has."""
    if not hostname:
        return 0
    own = re.compile(rb"by " + re.escape(hostname.encode()) + rb" with \S+ id em_", re.IGNORECASE)  # the form of `message.trace`
    return sum(own.search(b" ".join(value.split())) is not None for value in headers.all(b"received"))


def find_dropped(headers: HeaderBlock, hostname: str) -> list[HeaderField]:
    """The fields to cut out, in order."""
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
    if field.name == _RESULTS_FIELD:  # RFC 8601 §5: forged results under our name
        return bool(own) and results_name(headers.value(field).decode("utf-8", "replace")) == own
    return False


def finish(
    parsed: ParsedMessage, content: bytes, *, received: bytes, message_id: str, now: datetime, hostname: str = "", added: bytes = b""
) -> bytes:
    """The stored bytes. `message_id` is the Message-ID to add if the message has none; `added` are further fields."""
    return prepare_submission(
        content,
        parsed.headers,
        received=received,
        message_id=None if parsed.internet_message_id else message_id.encode(),
        date=None if parsed.has_date else format_date(now).encode(),
        drop=find_dropped(parsed.headers, hostname) if parsed.has_dropped else (),
        added=added,
    )
