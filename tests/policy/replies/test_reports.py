"""What reports mean for a delivery."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from sendryd.message.reports.read import read_report
from sendryd.message.reports.report import Action, RecipientStatus, Report, ReportKind
from sendryd.policy.replies.reports import judge_status
from sendryd.policy.replies.verdict import Category, Kind, bounce_type
from sendryd.testing.cases import cases

REPORTS = tomllib.loads((Path(__file__).parents[2] / "data" / "reports.toml").read_text("utf-8"))["report"]
STATUSES = [case for case in REPORTS if case["kind"] == "status"]


def status(*recipients: RecipientStatus) -> Report:
    return Report(kind=ReportKind.STATUS, recipients=recipients)


def failed(address: str, diagnostic: str = "550 5.1.1 User unknown", code: str = "5.1.1") -> RecipientStatus:
    return RecipientStatus(action=Action.FAILED, status=code, diagnostic=diagnostic, final_recipient=address)


@cases("case", STATUSES, ids=lambda case: case["from"])
def test_reports_from_the_field(case: dict[str, Any]) -> None:
    report = read_report(case["text"].replace("\n", "\r\n").encode(), is_null_sender=True)
    found = judge_status(report, case["recipient"])
    if case["action"] != "failed":
        assert found is None
        return
    assert found is not None
    assert (found.kind, found.category.value) == (Kind.BOUNCED, case["category"])
    assert bounce_type(found.category) == case["bounce"]
    assert found.suppresses is case.get("suppresses", False)


def test_what_is_said_of_other_recipients_does_not_count() -> None:
    delivered = RecipientStatus(action=Action.DELIVERED, status="2.0.0", final_recipient="Ada@Example.net")
    assert judge_status(status(failed("grace@example.net"), delivered), "ada@example.net") is None
    assert judge_status(status(failed("ADA@example.net"), delivered), "grace@example.net") is None


def test_an_address_that_forwards_bounces_once_nobody_got_the_mail() -> None:
    assert judge_status(status(failed("grace@example.org"), failed("joan@example.org")), "ada@example.net") is not None


def test_a_text_that_names_only_others_suppresses_nobody() -> None:
    found = judge_status(replace(status(failed("bob@example.org")), is_text=True), "ada@example.net")
    assert found is not None
    assert (found.kind, found.suppresses) == (Kind.BOUNCED, False)
    named = judge_status(replace(status(failed("ada@example.net")), is_text=True), "ada@example.net")
    assert named is not None
    assert named.suppresses


def test_a_failure_for_a_while_that_is_final_bounces_without_suppressing() -> None:
    found = judge_status(status(failed("ada@example.net", "451 4.1.1 User unknown for now", "4.1.1")), "ada@example.net")
    assert found is not None
    assert (found.kind, found.suppresses) == (Kind.BOUNCED, False)


def test_a_queue_that_gave_up_is_no_fault_of_the_address() -> None:
    found = judge_status(status(failed("ada@example.net", "delivery temporarily suspended", "4.4.7")), "ada@example.net")
    assert found is not None
    assert (found.category, found.suppresses) == (Category.EXPIRED, False)


def test_words_of_policy_do_not_suppress() -> None:
    said = "550 5.1.1 <ada@example.net> rejected: user unknown; your IP is listed at zen.example"
    found = judge_status(status(failed("ada@example.net", said)), "ada@example.net")
    assert found is not None
    assert not found.suppresses
