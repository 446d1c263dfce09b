"""From the bytes at the door to the bytes that are stored: checks of the header block, and the few fields that are added or removed.

The content is never parsed and put together again: lines are put in front of it, named fields are cut out, and all else stays byte for
byte as it came (RFC 6409 §8 allows what is added here: Received, and Date and Message-ID if missing).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.message.author import Author, address_list, decode_text, parse_author
from sendryd.message.control import NO_ORDERS, BadControlHeader, Orders, read_orders
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.rewrite import format_date, prepare_submission
from sendryd.policy.refusal import Refusal, RefusalKey

MAX_HOPS: Final = 50  # Received fields; what other servers allow (Postfix: 50), and more than any honest path has
RESPONSIBLE_FIELDS: Final = (b"sender", b"resent-from", b"resent-sender")  # who readers may be told the message is from
MAX_RESPONSIBLE: Final = 20  # of those: each is looked up, and nobody resends a message more often
# Bcc must not reach anybody (RFC 5322 §3.6.3), Return-Path is the last server's to write (RFC 5321 §4.4), and X-Sendry-* are orders to us.
DROPPED_FIELDS: Final = frozenset({b"bcc", b"resent-bcc", b"return-path"})
CONTROL_PREFIX: Final = b"x-sendry-"


@dataclass(frozen=True, slots=True, kw_only=True)
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
    dropped: frozenset[bytes]
    orders: Orders


def read_draft(content: bytes, first_bare_lf: int | None) -> Draft | Refusal:
    """Checks the header block and reads what is needed of it."""
    try:
        headers = HeaderBlock.parse(content)
        if first_bare_lf is not None and first_bare_lf < headers.body_offset:
            return Refusal(RefusalKey.MALFORMED_MESSAGE, "a header line ends with a bare LF; end each line with CR LF")
        authors = headers.all(b"from")
        if len(authors) != 1:
            reason = "it has several From fields; send exactly one" if authors else "it has no From field; add one"
            return Refusal(RefusalKey.MALFORMED_MESSAGE, reason)
        if sum(headers.count(name) for name in RESPONSIBLE_FIELDS) > MAX_RESPONSIBLE:
            return Refusal(RefusalKey.MALFORMED_MESSAGE, f"it has more than {MAX_RESPONSIBLE} Sender and Resent fields")
        author = parse_author(authors[0])
        responsible = tuple(
            parse_author(value).domain for name in RESPONSIBLE_FIELDS if name in headers.by_name for value in headers.all(name)
        )
    except MalformedMessage as error:
        return Refusal(RefusalKey.MALFORMED_MESSAGE, error.reason)
    if headers.count(b"received") > MAX_HOPS:
        return Refusal(RefusalKey.TOO_MANY_HOPS)
    dropped = frozenset(name for name in headers.by_name if name in DROPPED_FIELDS or name.startswith(CONTROL_PREFIX))
    try:
        orders = read_orders(headers) if dropped else NO_ORDERS
    except BadControlHeader as error:
        return Refusal(RefusalKey.CONTROL_HEADER, str(error))
    return Draft(
        headers=headers,
        author=author,
        responsible_domains=responsible,
        author_text=decode_text(authors[0]),
        to=_addresses(headers, b"to"),
        cc=_addresses(headers, b"cc"),
        subject=decode_text(headers.get(b"subject") or b""),
        internet_message_id=(headers.get(b"message-id") or b"").decode("utf-8", "replace").strip(),
        has_date=headers.count(b"date") > 0,
        dropped=dropped,
        orders=orders,
    )


def _addresses(headers: HeaderBlock, name: bytes) -> tuple[str, ...]:
    value = headers.get(name)
    return tuple(address_list(value)) if value else ()


def finish(draft: Draft, content: bytes, *, received: bytes, message_id: str, now: datetime) -> bytes:
    """The stored bytes. `message_id` is the Message-ID to add when the draft has none."""
    return prepare_submission(
        content,
        draft.headers,
        received=received,
        message_id=None if draft.internet_message_id else message_id.encode(),
        date=None if draft.has_date else format_date(now).encode(),
        drop=draft.dropped,
    )
