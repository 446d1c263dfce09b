"""What is asked for in DNS, what is wrong with what was found, and what follows."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.domain import DomainSettings, DomainStatus, RecordPurpose, SendingDomain
from sendryd.model.ids import AccountId, DomainId
from sendryd.policy.dnsrecords import (
    FAILURES_TO_FALL,
    TIME_TO_FALL,
    RecordSettings,
    Unknown,
    advise,
    check_dkim,
    check_dmarc,
    evaluate,
    explain_spf,
    find_spf_fault,
    wanted_records,
)
from sendryd.policy.spf import SpfResult, SpfVerdict
from sendryd.testing.cases import cases

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"
RECORDS = wanted_records("example.test", "sendry", KEY, RecordSettings("relay.example.test"))
DOMAIN = SendingDomain(
    id=DomainId(1),
    account_id=AccountId(1),
    name="example.test",
    status=DomainStatus.PENDING,
    selector="sendry",
    public_key=KEY,
    settings=DomainSettings(),
    created_at=NOW,
    records=RECORDS,
)
GOOD: dict[RecordPurpose, str | Unknown] = dict.fromkeys(RecordPurpose, "")
BAD: dict[RecordPurpose, str | Unknown] = {**GOOD, RecordPurpose.DKIM: "wrong"}
UNKNOWN: dict[RecordPurpose, str | Unknown] = {**GOOD, RecordPurpose.SPF: Unknown("no answer")}


def test_three_records_in_the_order_of_the_contract() -> None:
    assert [(record.name, record.type, record.value, record.is_required) for record in RECORDS] == [
        ("_dmarc.example.test", "TXT", "v=DMARC1; p=none;", False),
        ("sendry._domainkey.example.test", "TXT", f"v=DKIM1; k=rsa; p={KEY}", True),
        ("example.test", "TXT", "v=spf1 a:relay.example.test ~all", True),
    ]
    including = wanted_records("example.test", "s", KEY, RecordSettings("relay.example.test", "spf.example.test"))
    assert including[2].value == "v=spf1 include:spf.example.test ~all"


def test_the_records_that_are_asked_for_are_right() -> None:
    dmarc, dkim, spf = RECORDS
    assert check_dmarc([dmarc.value]) == ""
    assert check_dkim([dkim.value], KEY) == ""
    assert find_spf_fault([spf.value]) == ""


@pytest.mark.parametrize(
    "record",
    [
        f"p={KEY}",
        f"v=DKIM1;p={KEY}",
        f" v = DKIM1 ; k = rsa ; p = {KEY[:10]} {KEY[10:]} ; ",
        f"v=DKIM1; h=sha1:sha256; s=email; t=s; p={KEY}",
        f"v=DKIM1; s=*; n=note; p={KEY}\t",
    ],
)
def test_a_key_may_be_written_in_several_ways(record: str) -> None:
    assert check_dkim([record], KEY) == ""
    assert check_dkim(["unrelated=1", record, "v=spf1 -all"], KEY) == ""


@cases(
    ("found", "says"),
    [
        ([], "No DKIM record"),
        (["v=spf1 include:p=x -all"], "not a DKIM key"),
        (["v=DMARC1; p=none"], "not a DKIM key"),
        (["v=DKIM1; k=rsa; p="], "revoked"),
        (["v=DKIM1; k=rsa; p=   "], "revoked"),
        ([f"v=DKIM1; p={KEY[:-4]}"], "cut off"),
        ([f'v=DKIM1; p="{KEY}"'], "stray characters"),
        ([f"v=DKIM1; p={KEY[:-1]}B"], "another one"),
        ([f"v=DKIM1; p={KEY}", "v=DKIM1; p=MII"], "several"),
        ([f"v=DKIM1; k=ed25519; p={KEY}"], "k=rsa"),
        ([f"v=DKIM1; h=sha1; p={KEY}"], "SHA-256"),
        ([f"v=DKIM1; s=other; p={KEY}"], "not for email"),
    ],
)
def test_each_fault_of_a_key_has_its_own_reason(found: list[str], says: str) -> None:
    assert says in check_dkim(found, KEY)


@cases(
    ("found", "says"),
    [
        (["v=DMARC1; p=none"], ""),
        (["v=DMARC1;p=Reject; rua=mailto:a@example.test", "other"], ""),
        ([], "No DMARC record"),
        (["v=spf1 -all"], "No DMARC record"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "several"),
        (["v=DMARC1"], "no policy"),
        (["v=DMARC1; p=maybe"], "no policy"),
    ],
)
def test_dmarc_is_looked_at(found: list[str], says: str) -> None:
    assert says in check_dmarc(found)
    assert bool(check_dmarc(found)) is bool(says)


@cases(
    ("found", "says"),
    [
        (["v=spf1 -all"], ""),
        (["google-site-verification=1", "V=SPF1 a:relay.test -all"], ""),
        ([], "No SPF record"),
        (["v=spf10 -all", "spf1"], "No SPF record|not one for receivers"),
        (["v=spf1 -all", "v=spf1 ~all"], "several"),
        (['"v=spf1 a:relay.test -all"'], "quotation marks"),
        (['v=spf1 "a:relay.test" -all'], "quotation marks"),
        (["v=spf1 a:relay.test \u201c-all\u201d"], "quotation marks"),
        ([" v=spf1 -all"], "not one for receivers"),
    ],
)
def test_an_spf_record_is_looked_at_before_it_is_evaluated(found: list[str], says: str) -> None:
    assert re.search(says, find_spf_fault(found))
    assert bool(find_spf_fault(found)) is bool(says)


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (
            SpfVerdict(SpfResult.FAIL, "-all"),
            "does not authorise this server, relay.test: add a:relay.test before its all term.",
        ),
        (SpfVerdict(SpfResult.NEUTRAL), "does not authorise this server, relay.test: add a:relay.test"),
        (
            SpfVerdict(SpfResult.PERMERROR, "it needs more than 10 look-ups"),
            "permanent error, as it needs more than 10 look-ups: correct it",
        ),
    ],
)
def test_what_receivers_make_of_it_is_said(verdict: SpfVerdict, says: str) -> None:
    assert says in explain_spf(verdict, "relay.test", "a:relay.test")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (f"v=DKIM1\\; k=rsa\\; p={KEY}", "backslashes"),
        (f'"v=DKIM1; k=rsa; p={KEY}"', "quotation marks"),
        (f"\u201cv=DKIM1; p={KEY}\u201d", "quotation marks"),
    ],
)
def test_what_panels_add_to_a_key_is_named(record: str, says: str) -> None:
    assert says in check_dkim([record], KEY)


@pytest.mark.parametrize(("record", "says"), [("v=DMARC1\\; p=none", "backslashes"), ('"v=DMARC1; p=none"', "quotation marks")])
def test_what_panels_add_to_a_policy_is_named(record: str, says: str) -> None:
    assert says in check_dmarc([record])


@given(st.text(max_size=80), st.text(max_size=20))
def test_strangers_texts_are_read_without_errors(text: str, other: str) -> None:
    for found in ([text], [text, other], [f"v=DKIM1; p={text}"], [f"v=DMARC1; p={text}"]):
        assert isinstance(check_dkim(found, KEY), str)
        assert isinstance(check_dmarc(found), str)
    assert isinstance(find_spf_fault([f"v=spf1 {text}", other]), str)


@pytest.mark.parametrize(
    ("reason", "found", "says"),
    [
        ("", ("v=spf1 -all",), ""),
        ("No SPF record was found: publish it.", (), "Publish a TXT record of the name example.test with the value "),
        ("The SPF record does not authorise this server: add a:h before its all term.", ("v=spf1 -all",), "Add a:h before its all term."),
        ("No SPF record was found at b, but one at b.b: your DNS panel appends b to names.", (), "Your DNS panel appends b to names."),
        ("b could not be looked up: DNS gave no answer; try again later.", (), "Check again later."),
    ],
)
def test_every_reason_has_its_advice(reason: str, found: tuple[str, ...], says: str) -> None:
    advice = advise(replace(RECORDS[2], reason=reason), found)
    assert advice.startswith(says)
    assert bool(advice) == bool(says)


def test_a_domain_is_verified_when_dkim_and_spf_are_right_whatever_dmarc_is() -> None:
    for dmarc in ("", "No DMARC record", Unknown("no answer")):
        found = evaluate(DOMAIN, RECORDS, {**GOOD, RecordPurpose.DMARC: dmarc}, NOW)
        assert (found.status, found.verified_at, found.failures) == (DomainStatus.VERIFIED, NOW, 0)
    assert evaluate(DOMAIN, RECORDS, GOOD, NOW).records[1].is_verified


def test_a_record_that_could_not_be_looked_up_keeps_its_mark_and_says_so() -> None:
    verified = replace(DOMAIN, status=DomainStatus.VERIFIED, records=evaluate(DOMAIN, RECORDS, GOOD, NOW).records)
    spf = evaluate(verified, RECORDS, UNKNOWN, NOW).records[2]
    assert (spf.is_verified, spf.reason) == (True, "no answer")
    assert not evaluate(DOMAIN, RECORDS, UNKNOWN, NOW).records[2].is_verified
    changed = wanted_records("example.test", "sendry", KEY, RecordSettings("moved.example.test"))
    assert not evaluate(verified, changed, UNKNOWN, NOW).records[2].is_verified


CHECKS = st.lists(st.tuples(st.sampled_from(["good", "bad", "unknown"]), st.integers(0, 20)), max_size=30)


@given(CHECKS, st.sampled_from(DomainStatus))
def test_a_status_moves_only_by_the_rules(checks: list[tuple[str, int]], start: DomainStatus) -> None:
    domain, now = replace(DOMAIN, status=start), NOW
    missed: list[datetime] = []  # the checks in a row that missed a record
    for word, hours in checks:
        now += timedelta(hours=hours)
        before = domain.status
        found = evaluate(domain, RECORDS, {"good": GOOD, "bad": BAD, "unknown": UNKNOWN}[word], now)
        missed = {"good": [], "bad": [*missed, now], "unknown": missed}[word]
        if word == "good":
            assert found.status is DomainStatus.VERIFIED
        elif word == "unknown" or before is not DomainStatus.VERIFIED:
            assert found.status is before
        else:
            must_fall = len(missed) >= FAILURES_TO_FALL and missed[-1] - missed[0] >= TIME_TO_FALL
            assert found.status is (DomainStatus.FAILED if must_fall else DomainStatus.VERIFIED)
        assert found.is_conclusive is (word != "unknown")
        assert (found.failures, found.failing_since) == (len(missed), missed[0] if missed else None)
        domain = replace(
            domain,
            status=found.status,
            records=found.records,
            verified_at=found.verified_at,
            failing_since=found.failing_since,
            failures=found.failures,
        )
