"""Redirects a message: all of it goes to the addresses that its domain's way out names, and says for whom it was. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sendryd.intake.prepare import ParsedMessage
from sendryd.intake.submission import Recipient, Submission
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import parse_mailbox
from sendryd.policy.address_key import normalise_address
from sendryd.policy.wayout import WayOut

FIELD: Final = "X-Sendry-Original-To"
MAX_NAMED: Final = 100  # recipients: at 256 octets each, the field stays well below the 64 KiB that receivers take of a header block
_FOLD: Final = ",\r\n "  # a line for each: RFC 5322 §2.1.1 allows 998 octets
HIDDEN: Final = "undisclosed-recipients:;"


def recipients_of(way: WayOut) -> tuple[Recipient, ...]:
    """The recipients that a way out names. No report of a delivery to them is made for the client (RFC 3461 §4.1)."""
    return tuple(Recipient(path.text, path.mailbox.domain, is_ascii=True, notify="NEVER") for path in way.addresses)


def redirect(submission: Submission, parsed: ParsedMessage, way: WayOut) -> tuple[Submission, bytes]:
    """The submission with the recipients that the way names, and the field that names the original ones."""
    originals = submission.recipients
    field = _field(_named([each.forward_path for each in originals], parsed))
    notify = _notify(originals)
    recipients = tuple(
        replace(each, notify=notify, orcpt=originals[0].orcpt if len(originals) == 1 else None) for each in recipients_of(way)
    )
    is_8bit = submission.is_8bit or not field.isascii()
    return replace(submission, recipients=recipients, is_8bit=is_8bit), field


def _named(originals: Sequence[str], parsed: ParsedMessage) -> list[str]:
    """The recipients that every reader of the message may know: those in To and Cc, and a recipient that was the only one."""
    if len(originals) == 1:
        return list(originals)
    visible = {address for text in (*parsed.to, *parsed.cc) for address in _addresses(text)}
    named = [each for each in originals if normalise_address(each) in visible]
    shown = named[:MAX_NAMED]
    if len(shown) < len(named):
        shown.append(f"and {len(named) - len(shown)} more")
    return shown if len(named) == len(originals) else [*shown, HIDDEN]


def _addresses(text: str) -> list[str]:
    try:
        return [normalise_address(parse_mailbox(text).address)]
    except MalformedMessage:  # a group or worse: its recipients count as hidden
        return []


def _field(values: Sequence[str]) -> bytes:
    return f"{FIELD}: {_FOLD.join(values)}\r\n".encode()


def _notify(originals: Sequence[Recipient]) -> str | None:
    """What the client wants to hear of one of its recipients, it wants to hear of the copy for all of them (RFC 3461 §4.1)."""
    if any(each.notify is None for each in originals):
        return None
    words = {word for each in originals for word in (each.notify or "").upper().split(",")} - {"NEVER"}
    return ",".join(sorted(words)) or "NEVER"
