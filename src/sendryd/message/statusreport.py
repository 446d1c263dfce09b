"""Composes a delivery status notification (RFC 3464 in a multipart/report of RFC 6522). Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sendryd.message.rewrite import format_date

MAX_RETURNED: Final = 64 * 1024  # octets of the returned message or its header block: a report is read by people and small mailboxes
MAX_DIAGNOSTIC: Final = 500  # characters: with its name the field stays within the 998 octets of a line
_HEX: Final = re.compile(r"\+([0-9A-F]{2})")  # RFC 3461 §4: xtext


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """One report of one recipient. Texts may come from strangers."""

    author: str  # the address in From
    to: str
    hostname: str  # of this server
    subject: str
    words: str  # for a person: lines
    action: str  # RFC 3464 §2.3.3
    status: str  # RFC 3463
    recipient: str
    orcpt: str | None  # RFC 3461 §4.2, as given
    envid: str | None  # RFC 3461 §4.4, as given
    arrived_at: datetime
    attempted_at: datetime | None
    host: str  # the mail server that answered; empty: none did
    reply: str  # its reply; empty: none
    retries_until: datetime | None  # only of a delay
    original: bytes  # the message, or the beginning of it that has its header block
    is_whole: bool  # return all of it, not only its header block


def compose_report(report: StatusReport, boundary: str) -> bytes:
    """The message, without Date and Message-ID. `boundary` occurs in no content."""
    kind, returned = _returned(report)
    head = [
        f"From: Mail Delivery System <{report.author}>",
        f"To: <{report.to}>",
        f"Subject: {_plain(report.subject)}",
        "Auto-Submitted: auto-replied",  # RFC 3834 §5: no program answers it
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
    ]
    words = "\r\n".join(_plain(line) for line in report.words.splitlines())
    status = "\r\n".join([*_of_message(report), "", *_of_recipient(report)])
    parts = [
        b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + words.encode("ascii"),
        b"Content-Type: message/delivery-status\r\n\r\n" + status.encode("ascii"),
    ]
    if returned:
        encoding = b"7bit" if returned.isascii() else b"8bit"
        parts.append(
            b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + returned.removesuffix(b"\r\n")
        )
    separator = f"--{boundary}\r\n".encode("ascii")
    body = b"".join(separator + part + b"\r\n\r\n" for part in parts)
    return "\r\n".join([*head, "", ""]).encode() + body + f"--{boundary}--\r\n".encode("ascii")


def _of_message(report: StatusReport) -> list[str]:
    lines = [f"Original-Envelope-Id: {_plain(_decode(report.envid))}"] if report.envid else []
    return [*lines, f"Reporting-MTA: dns; {_plain(report.hostname)}", f"Arrival-Date: {format_date(report.arrived_at)}"]


def _of_recipient(report: StatusReport) -> list[str]:
    lines = []
    if report.orcpt:
        kind, _, address = report.orcpt.partition(";")
        lines.append(f"Original-Recipient: {_plain(kind)};{_plain(_decode(address))}")
    lines += [f"Final-Recipient: {_address(report.recipient)}", f"Action: {report.action}", f"Status: {report.status}"]
    if report.host:
        lines.append(f"Remote-MTA: dns; {_plain(report.host)}")
    if report.reply:
        lines.append(f"Diagnostic-Code: smtp; {_plain(report.reply)[:MAX_DIAGNOSTIC]}")
    if report.attempted_at is not None:
        lines.append(f"Last-Attempt-Date: {format_date(report.attempted_at)}")
    if report.retries_until is not None:
        lines.append(f"Will-Retry-Until: {format_date(report.retries_until)}")
    return lines


def _address(address: str) -> str:
    """RFC 6533 §3: an address outside ASCII in a form that every reader of reports can store."""
    if address.isascii():
        return f"rfc822; {_plain(address)}"
    return "utf-8; " + "".join(letter if letter.isascii() else f"\\x{{{ord(letter):X}}}" for letter in address)


def _returned(report: StatusReport) -> tuple[bytes, bytes]:
    """The third part: type and content."""
    original = report.original
    if report.is_whole and original.isascii() and len(original) <= MAX_RETURNED:
        return b"message/rfc822", original
    end = original.find(b"\r\n\r\n")
    block = original[: end + 2] if end >= 0 else original
    if len(block) > MAX_RETURNED:
        block = block[: block.rfind(b"\r\n", 0, MAX_RETURNED) + 2]
    return b"text/rfc822-headers", block


def _decode(xtext: str) -> str:
    return _HEX.sub(lambda match: chr(int(match[1], 16)), xtext)


def _plain(text: str) -> str:
    """One line of printable ASCII: nothing in it begins another field."""
    return "".join(letter if " " <= letter <= "~" else "?" if letter.isprintable() else " " for letter in text)
