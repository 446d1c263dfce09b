"""Delivery status notifications, read again with the parser of the standard library."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import Message
from typing import Any

from sendryd.message.statusreport import MAX_RETURNED, StatusReport, compose_report

ORIGINAL = b"From: a@shop.example\r\nSubject: hello\r\n\r\nthe body\r\n"
REPORT = StatusReport(
    author="mailer-daemon@shop.example",
    to="app@shop.example",
    hostname="relay.example",
    subject="Not delivered: h\u00e9llo\r\nBcc: x@y.example",
    words="Your message failed.\n\nIt is gone.",
    action="failed",
    status="5.1.1",
    recipient="user@example.org",
    orcpt="rfc822;User+2Bone@example.org",
    envid="QQ+2B314",
    arrived_at=datetime(2026, 1, 1, tzinfo=UTC),
    attempted_at=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
    host="mx.example.org",
    reply="550 5.1.1 No\r\nAction: delivered",
    retries_until=None,
    original=ORIGINAL,
    is_whole=False,
)


def parts(report: StatusReport) -> tuple[Message, list[Any], list[Any]]:
    """The message, its parts, and the groups of fields of its status."""
    whole = message_from_bytes(compose_report(report, "b0undary"), policy=policy.compat32)
    found: Any = whole.get_payload()
    return whole, found, found[1].get_payload()


def test_a_report_says_what_became_of_the_recipient() -> None:
    whole, found, (of_message, of_recipient) = parts(REPORT)
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "delivery-status"
    assert (whole["To"], whole["Auto-Submitted"], whole["Bcc"]) == ("<app@shop.example>", "auto-replied", None)
    assert [part.get_content_type() for part in found] == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert dict(of_message.items()) == {
        "Original-Envelope-Id": "QQ+314",
        "Reporting-MTA": "dns; relay.example",
        "Arrival-Date": "Thu, 1 Jan 2026 00:00:00 +0000",
    }
    assert of_recipient.items() == [
        ("Original-Recipient", "rfc822;User+one@example.org"),
        ("Final-Recipient", "rfc822; user@example.org"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", "dns; mx.example.org"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 No  Action: delivered"),
        ("Last-Attempt-Date", "Thu, 1 Jan 2026 00:01:00 +0000"),
    ]
    assert found[2].get_payload() == "From: a@shop.example\r\nSubject: hello\r\n"


def test_the_whole_message_is_returned_if_it_is_asked_for_and_small() -> None:
    _, found, _ = parts(replace(REPORT, is_whole=True))
    assert found[2].get_content_type() == "message/rfc822"
    assert b"the body" in compose_report(replace(REPORT, is_whole=True), "b")
    for original in (ORIGINAL + b"x" * MAX_RETURNED, ORIGINAL + b"\xff"):
        assert b"the body" not in compose_report(replace(REPORT, is_whole=True, original=original), "b")
    many = b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n"
    assert MAX_RETURNED < len(compose_report(replace(REPORT, original=many), "b")) < MAX_RETURNED + 2000


def test_an_address_outside_ascii_has_a_form_in_ascii() -> None:
    content = compose_report(replace(REPORT, recipient="b\u00fccher@example.org", original=b""), "b")
    assert b"Final-Recipient: utf-8; b\\x{FC}cher@example.org\r\n" in content
    assert b"rfc822-headers" not in content
