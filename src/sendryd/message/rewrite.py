"""Edits of a message: fields prepended or removed, all other bytes unchanged."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from sendryd.message.headers import HeaderBlock, HeaderField

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date(moment: datetime) -> str:
    """A date in the form of RFC 5322 §3.3. The moment is aware, UTC; the names are English whatever the locale."""
    return _format_second(moment.replace(microsecond=0))


@lru_cache(4)  # a busy server writes the same second thousands of times
def _format_second(moment: datetime) -> str:
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} {moment.year:04} "
        f"{moment.hour:02}:{moment.minute:02}:{moment.second:02} +0000"
    )


def prepare_submission(
    content: bytes,
    headers: HeaderBlock,
    *,
    received: bytes,
    message_id: bytes | None,
    date: bytes | None,
    drop: Sequence[HeaderField],
    added: bytes = b"",
) -> bytes:
    """The content with a Received field prepended, Message-ID and Date added when given, and the fields in `drop`, which are in order, removed.

    `added` are whole fields, which follow the Received field.

    A missing final CRLF is added, and so is the empty line after a header without a body.
    """
    parts = [received, added] if added else [received]
    if message_id is not None:
        parts.append(b"Message-ID: " + message_id + b"\r\n")
    if date is not None:
        parts.append(b"Date: " + date + b"\r\n")
    position = 0
    for field in drop:
        parts.append(content[position : field.start])
        position = field.end
    parts.append(content[position:] if position else content)
    if headers.body_offset == headers.end or not content.endswith(b"\r\n"):  # no empty line ends the block
        parts.append(b"\r\n")
    return b"".join(parts)
