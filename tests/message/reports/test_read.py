"""What comes back is told apart, in the styles of those who write it."""

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.message.reports.read import read_report
from sendryd.message.reports.report import MAX_RECIPIENTS, MAX_TEXT, Action, Report, ReportKind
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

REPORTS = tomllib.loads((Path(__file__).parents[2] / "data" / "reports.toml").read_text("utf-8"))["report"]


def read(case: dict[str, Any]) -> Report:
    return read_report(case["text"].replace("\n", "\r\n").encode(), is_null_sender=case.get("null", False))


@cases("case", REPORTS, ids=lambda case: case["from"])
def test_reports_are_told_apart(case: dict[str, Any]) -> None:
    found = read(case)
    assert found.kind.value == case["kind"]
    assert found.feedback_type == case.get("feedback", "")
    assert case.get("quotes", "") in found.returned
    if found.kind is ReportKind.STATUS:
        said = next(each for each in found.recipients if each.final_recipient == case["recipient"])
        assert (said.action.value, said.status) == (case["action"], case["status"])


@cases("case", REPORTS, ids=lambda case: case["from"])
def test_a_null_sender_alone_makes_no_bounce_of_what_people_and_programs_write(case: dict[str, Any]) -> None:
    if case["kind"] != "status":
        assert read(case | {"null": True}).kind is not ReportKind.STATUS


def test_many_styles_have_been_seen() -> None:
    assert len({case["from"] for case in REPORTS if case["kind"] == "status"}) >= 25
    assert {case["kind"] for case in REPORTS} == {each.value for each in ReportKind}


def test_a_status_part_is_read_with_its_facts() -> None:
    report = read(next(case for case in REPORTS if case["from"] == "Postfix"))
    (said,) = report.recipients
    assert report.reporting_mta == "mx.example.net"
    assert said.action is Action.FAILED
    assert (said.original_recipient, said.remote_mta) == ("ada@example.net", "store.example.net")
    assert said.diagnostic == "550 5.1.1 <ada@example.net>: Recipient address rejected: User unknown in virtual mailbox table"


def test_the_envelope_id_is_read() -> None:
    report = read(next(case for case in REPORTS if case["from"] == "Postfix, delivered on request"))
    assert report.envelope_id == "em_0c2w5k9mzq4xg"


WRAPPING = (
    b"From: mailer-daemon@x.test\r\nContent-Type: multipart/report; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\n%b\r\n--b--\r\n"
)


@cases(
    "content",
    (
        WRAPPING % (b"Final-Recipient: rfc822;a@b.test\r\nAction: failed\r\n\r\n" * 20_000),
        WRAPPING % (b"Status: " + b"5." * 200_000),
        WRAPPING % (b"Final-Recipient: rfc822;" + b"<a@" * 200_000),
        WRAPPING % (b"\r\n " * 300_000),
        b"From: mailer-daemon@x.test\r\n\r\nYour message could not be delivered to " + b"a@b.test " * 200_000,
        b"From: mailer-daemon@x.test\r\n\r\nYour message could not be delivered\r\n" + b"a@b.test 5.1.1 " * 20_000 + b"\r\n" * 50_000,
        b"From: mailer-daemon@x.test\r\n\r\n" + b"mail that you sent to " * 100_000,
        b"From: mailer-daemon@x.test\r\n\r\n" + b"-- - " * 200_000,
        b"From: mailer-daemon@x.test\r\nX-Failed-Recipients: " + b"a@b.test, " * 90 + b"\r\n\r\n" + b"will \n" * 300_000,
        b"x" * 2_000_000,
        b"Subject: " + b"auto " * 150_000 + b"\r\n\r\n",
        (b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n" * 200_000),
    ),
)  # fmt: skip
def test_hostile_reports_cost_little(content: bytes) -> None:
    report = read_report(content, is_null_sender=True)
    assert len(report.recipients) <= MAX_RECIPIENTS
    assert all(len(each.diagnostic) <= MAX_TEXT for each in report.recipients)


LINES = st.sampled_from(
    ["Content-Type: multipart/report; boundary=b", "--b", "--b--", "Content-Type: message/delivery-status", "Final-Recipient: rfc822;a@b.test",
     "Action: failed", "Status: 5.1.1", "", "Feedback-Type: abuse", "From: mailer-daemon@x.test", "could not be delivered", "<a@b.test>: 550 no"]
)  # fmt: skip


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.one_of(LINES, st.text(max_size=40)), max_size=25), st.booleans())
def test_whatever_comes_is_read(lines: list[str], is_null: bool) -> None:
    report = read_report("\r\n".join(lines).encode("utf-8", "replace"), is_null_sender=is_null)
    assert report.kind is not ReportKind.STATUS or report.recipients
