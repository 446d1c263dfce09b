"""Tells apart what comes back: delivery status, complaint, automatic reply, everything else. Never raises; the work grows with the size.

The order matters: a status notification and a complaint have parts of their own and are believed first; a bounce in a text is marked as an
automatic reply too, and an automatic reply may quote a bounce.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sendryd.message.author import decode_text
from sendryd.message.charset import decode, decode_undeclared
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import MAX_BLOCK
from sendryd.message.parse import MESSAGES, Part, decode_body, walk
from sendryd.message.plaintext import html_to_text
from sendryd.message.reports.autoreply import is_auto_reply
from sendryd.message.reports.bouncetext import MAX_LOOKED_AT, is_of_daemon, read_bounce_text
from sendryd.message.reports.deliverystatus import read_status
from sendryd.message.reports.feedback import ABUSE, is_forwarded_complaint, read_feedback
from sendryd.message.reports.fields import MAX_BLOCK as MAX_FIELDS
from sendryd.message.reports.fields import Group, read_groups
from sendryd.message.reports.report import Report, ReportKind

_STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_FEEDBACK_TYPES: Final = frozenset({"message/feedback-report"})
_HEADER_TYPES: Final = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers", "text/rfc822-header"})
_OTHER: Final = Report(kind=ReportKind.OTHER)


def read_report(content: bytes, *, is_null_sender: bool) -> Report:
    """What a message is, and what it says. `is_null_sender`: its reverse-path is empty, as that of every notification should be."""
    block = content[: content.find(b"\r\n\r\n", 0, MAX_BLOCK) + 1 or MAX_FIELDS]
    header: Group = next(iter(read_groups(block)), {})
    subject = decode_text(header.get("subject", "").encode("utf-8", "replace"))
    try:
        parts = walk(content)
    except MalformedMessage:
        parts = []
    returned = _returned(content, parts)
    report = _read_parts(content, parts, returned)
    if report is not None:
        return report
    if is_forwarded_complaint(subject, returned):
        return Report(kind=ReportKind.COMPLAINT, feedback_type=ABUSE, returned=returned)
    if is_of_daemon(header, subject, is_null_sender=is_null_sender):
        bounce = read_bounce_text(header, subject, _text(content, parts, len(block)), returned)
        if bounce is not None:
            return bounce
    is_receipt = bool(parts) and parts[0].parameters.get("report-type", "").lower() == "disposition-notification"  # RFC 8098
    return Report(kind=ReportKind.AUTO_REPLY) if is_receipt or is_auto_reply(header, subject) else _OTHER


def _read_parts(content: bytes, parts: Sequence[Part], returned: str) -> Report | None:
    for part in parts:
        if part.content_type in _FEEDBACK_TYPES:
            return read_feedback(read_groups(_begin(content, part)), returned)
        if part.content_type in _STATUS_TYPES:
            report = read_status(read_groups(_begin(content, part)), returned)
            if report is not None:
                return report
    return None


def _begin(content: bytes, part: Part, size: int = MAX_FIELDS) -> bytes:
    """The beginning of a leaf's body, without its transfer encoding."""
    return decode_body(content, replace(part, body_end=min(part.body_end, part.body_start + 2 * size)))[:size]


def _returned(content: bytes, parts: Sequence[Part]) -> str:
    """The header of the message that is sent back; empty if there is none."""
    for part in parts[1:]:
        if part.content_type in MESSAGES or part.content_type in _HEADER_TYPES:
            octets = _begin(content, part)
            return decode_undeclared(octets.partition(b"\r\n\r\n")[0])
    return ""


def _text(content: bytes, parts: Sequence[Part], header_size: int) -> str:
    """The first text for people."""
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.content_type == kind and not part.is_multipart:
                text = decode(_begin(content, part, 4 * MAX_LOOKED_AT), part.charset)
                if text.strip():
                    return html_to_text(text) if kind == "text/html" else text
    return decode_undeclared(content[header_size : header_size + MAX_LOOKED_AT]) if not parts else ""
