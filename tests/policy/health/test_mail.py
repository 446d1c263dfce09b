"""Contents, waiting mail, sending domains."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sendryd.model.domain import DnsRecord, DomainStatus, RecordPurpose, SendingDomain
from sendryd.policy.health import Check, Finding, Verdict, is_sound, worst_first
from sendryd.policy.health.mail import OLD_MAIL, judge_data, judge_domain, judge_no_domain, judge_queue, judge_spool
from sendryd.testing.samples import Samples

RIGHT, ADVISED, WRONG, UNKNOWN = Verdict.RIGHT, Verdict.ADVISED, Verdict.WRONG, Verdict.UNKNOWN


@pytest.mark.parametrize(("exists", "fault", "verdict"), [(True, "", RIGHT), (False, "", WRONG), (True, "it is damaged", WRONG)])
def test_the_database(exists: bool, fault: str, verdict: Verdict) -> None:
    assert judge_data("/srv/mail", exists=exists, fault=fault).verdict is verdict


@pytest.mark.parametrize(("lost", "unknown_files", "verdict"), [(0, 0, RIGHT), (1, 0, WRONG), (0, 2, ADVISED), (3, 2, WRONG)])
def test_the_spool(lost: int, unknown_files: int, verdict: Verdict) -> None:
    assert judge_spool(10, lost, lost * 2, unknown_files).verdict is verdict


@pytest.mark.parametrize(
    ("oldest", "held", "verdict"),
    [(None, 0, RIGHT), (OLD_MAIL, 0, RIGHT), (OLD_MAIL + timedelta(seconds=1), 0, WRONG), (timedelta(0), 3, ADVISED)],
)
def test_the_queue(oldest: timedelta | None, held: int, verdict: Verdict) -> None:
    assert judge_queue(7, oldest, held).verdict is verdict


def domain(status: DomainStatus, *records: DnsRecord) -> SendingDomain:
    made = Samples(datetime(2026, 5, 5, tzinfo=UTC)).domain("acme.example").domain
    return replace(made, status=status, records=records)


def record(purpose: RecordPurpose, reason: str, *, is_required: bool = True) -> DnsRecord:
    return DnsRecord(purpose=purpose, type="TXT", name="acme.example", value="v=spf1 -all", is_required=is_required, reason=reason)


def test_a_domain_that_is_right() -> None:
    (found,) = judge_domain(domain(DomainStatus.VERIFIED), {})
    assert (found.verdict, found.sentence) == (RIGHT, "acme.example is verified.")


def test_a_missing_record_is_named_with_the_line_to_publish() -> None:
    (found,) = judge_domain(domain(DomainStatus.PENDING, record(RecordPurpose.SPF, "There is no SPF record: publish one")), {})
    assert (found.verdict, found.about) == (WRONG, "acme.example")
    assert found.sentence == "acme.example, SPF: There is no SPF record."
    assert found.fix == "Publish a TXT record of the name acme.example with the value v=spf1 -all"


def test_an_advised_record_is_advised_and_a_silent_dns_unknown() -> None:
    found = judge_domain(
        domain(
            DomainStatus.VERIFIED,
            record(RecordPurpose.DMARC, "There is no DMARC record: publish one", is_required=False),
            record(RecordPurpose.DKIM, "sendry._domainkey.acme.example could not be looked up: DNS gave no answer; try again later."),
        ),
        {},
    )
    assert [each.verdict for each in found] == [ADVISED, UNKNOWN]


def test_a_domain_that_nobody_has_checked_is_not_verified() -> None:
    (found,) = judge_domain(domain(DomainStatus.PENDING), {})
    assert (found.verdict, found.fix) == (WRONG, "sendryd domains verify acme.example")
    assert judge_no_domain().verdict is ADVISED


def test_what_is_wrong_comes_first_in_the_order_in_which_to_mend_it() -> None:
    def finding(check: Check, verdict: Verdict) -> Finding:
        return Finding(check=check, verdict=verdict, sentence="…")

    mixed = [
        finding(Check.DATA, RIGHT),
        finding(Check.DOMAIN, WRONG),
        finding(Check.CLOCK, ADVISED),
        finding(Check.PTR, WRONG),
        finding(Check.QUEUE, UNKNOWN),
    ]
    assert [each.check for each in worst_first(mixed)] == [Check.PTR, Check.DOMAIN, Check.QUEUE, Check.CLOCK, Check.DATA]
    assert not is_sound(mixed)
    assert is_sound([each for each in mixed if each.verdict is not WRONG])
