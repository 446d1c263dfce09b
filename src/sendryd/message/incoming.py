"""What a person sees of a mail that came in: addresses, texts, fields, attachments. Never raises; the work grows with the size."""

from dataclasses import dataclass
from typing import Final

from sendryd.message.author import address_list, parse_author
from sendryd.message.errors import MalformedMessage
from sendryd.message.parse import summarise

MAX_BODY: Final = 256 * 1024  # characters kept of a text: a hundred pages; a list of fifty mails is one answer
MAX_VALUE: Final = 8 * 1024  # characters kept of a header field
MAX_FIELDS: Final = 200  # header fields that are kept; real mails have some dozens
MAX_ADDRESSES: Final = 200
MAX_ATTACHMENTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """The parts, in JSON types."""

    author: str
    to: list[str]
    cc: list[str]
    subject: str | None
    text: str | None
    html: str | None
    headers: list[tuple[str, str]]
    attachments: list[tuple[str, str, int, str]]  # name, type, octets, content id


def read_incoming(content: bytes) -> Incoming:
    """Reads a mail. A malformed one has no parts."""
    summary = summarise(content)
    fields: dict[str, str] = {}
    for name, value in summary.headers:
        fields.setdefault(name.lower(), value)
    return Incoming(
        author=_author(fields.get("from", "")),
        to=_addresses(fields.get("to", "")),
        cc=_addresses(fields.get("cc", "")),
        subject=_cut(fields.get("subject"), MAX_VALUE),
        text=_cut(summary.text, MAX_BODY),
        html=_cut(summary.html, MAX_BODY),
        headers=[(name, value[:MAX_VALUE]) for name, value in summary.headers[:MAX_FIELDS]],
        attachments=[
            (each.filename[:MAX_VALUE], each.content_type[:MAX_VALUE], each.size, each.content_id[:MAX_VALUE])
            for each in summary.attachments[:MAX_ATTACHMENTS]
        ],
    )


def _author(value: str) -> str:
    return next(iter(_addresses(value)), "")


def _addresses(value: str) -> list[str]:
    """The addresses of a field, without names where they can be told from them."""
    listed = address_list(value.encode("utf-8", "replace"))[:MAX_ADDRESSES] if value else []
    return [_bare(each) for each in listed]


def _bare(text: str) -> str:
    try:
        return parse_author(text.encode("utf-8", "replace")).address
    except MalformedMessage:
        return text


def _cut(text: str | None, size: int) -> str | None:
    return None if text is None else text[:size]
