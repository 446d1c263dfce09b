"""The lines to delete and to add."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.domain import DnsRecord, RecordPurpose
from sendryd.policy.dnsrecords import NO_ANSWER, RecordSettings, check_dmarc, find_spf_fault, wanted_records
from sendryd.policy.recordedits import Edit, Verdict, edit_record, judge, merge_spf
from sendryd.policy.spfrecord import parse_record
from sendryd.testing.cases import cases

KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"
WANTED = {each.purpose: each for each in wanted_records("acme.example", "sendry", KEY, RecordSettings("relay.acme.example"))}
SPF = "v=spf1 a:relay.acme.example ~all"
DKIM = f"v=DKIM1; k=rsa; p={KEY}"
DMARC = "v=DMARC1; p=none;"


def faulty(purpose: RecordPurpose, reason: str = "Something is wrong: mend it.") -> DnsRecord:
    return replace(WANTED[purpose], reason=reason)


def test_two_spf_records_become_one_line() -> None:
    found = ("v=spf1 include:_spf.google.com ~all", "v=spf1 ip4:198.51.100.7 -all")
    merged = "v=spf1 include:_spf.google.com ip4:198.51.100.7 a:relay.acme.example ~all"
    assert edit_record(faulty(RecordPurpose.SPF), found) == Edit(deletes=found, adds=merged)


@cases(
    "found, merged",
    [
        ([], SPF),
        (["v=spf1 -all"], "v=spf1 a:relay.acme.example -all"),
        (["v=spf1 +all"], SPF),
        (["v=spf1 all"], SPF),
        (["v=spf1"], SPF),
        (["v=spf1 mx ?all"], "v=spf1 mx a:relay.acme.example ?all"),
        (["v=spf1 -a:relay.acme.example mx -all"], "v=spf1 mx a:relay.acme.example -all"),
        (["v=spf1 A:Relay.Acme.Example mx -all", "v=spf1 MX -all"], "v=spf1 A:Relay.Acme.Example mx -all"),
        (["v=spf1 redirect=_spf.other.example"], "v=spf1 a:relay.acme.example redirect=_spf.other.example"),
        (["v=spf1 redirect=a.example", "v=spf1 mx -all"], "v=spf1 mx a:relay.acme.example include:a.example -all"),
        (["v=spf1 redirect=a.example -all"], "v=spf1 a:relay.acme.example -all"),
        (["v=spf1 ip4:1.2.3 mx ip4:192.0.2.0/33 ~all"], "v=spf1 mx a:relay.acme.example ~all"),
        (['"v=spf1 mx ~all"'], "v=spf1 mx a:relay.acme.example ~all"),
        (["v=spf1;mx;~all"], "v=spf1 mx a:relay.acme.example ~all"),
        (["v=spf1include:x.example ~all"], "v=spf1 include:x.example a:relay.acme.example ~all"),
    ],
)
def test_what_each_spf_record_becomes(found: list[str], merged: str) -> None:
    assert merge_spf(found, SPF) == merged


@given(st.lists(st.text(st.sampled_from("v=spf1 al~-+?:ixe.4/redct\"'\u201c;\\<"), max_size=40).map("v=spf1 ".__add__), max_size=4))
def test_a_merged_record_is_valid_and_merging_it_again_changes_nothing(found: list[str]) -> None:
    merged = merge_spf(found, SPF)
    assert find_spf_fault([merged]) == ""
    assert "a:relay.acme.example" in {each.text.removeprefix("+").lower() for each in parse_record(merged).mechanisms}
    assert merge_spf([merged], SPF) == merged


def test_a_record_that_names_the_server_already_has_no_edit() -> None:
    assert (
        edit_record(faulty(RecordPurpose.SPF, "More than ten look-ups: leave some out."), ["v=spf1 mx a:relay.acme.example ~all"]) is None
    )


@cases(
    "found, deletes, adds",
    [
        ([], (), DKIM),
        (["v=DKIM1; k=rsa; p=OTHER"], ("v=DKIM1; k=rsa; p=OTHER",), DKIM),
        ([DKIM, "v=DKIM1; p=OTHER"], ("v=DKIM1; p=OTHER",), ""),
        ([f'"{DKIM}"'], (f'"{DKIM}"',), DKIM),
    ],
)
def test_what_each_dkim_record_becomes(found: list[str], deletes: tuple[str, ...], adds: str) -> None:
    assert edit_record(faulty(RecordPurpose.DKIM), found) == Edit(deletes=deletes, adds=adds)


@cases(
    "found, deletes, adds",
    [
        ([], (), DMARC),
        (["v=DMARC1; p=reject;", DMARC], (DMARC,), ""),
        (
            ["v=DMARC1; rua=mailto:d@acme.example"],
            ("v=DMARC1; rua=mailto:d@acme.example",),
            "v=DMARC1; p=none; rua=mailto:d@acme.example;",
        ),
        (['"v=DMARC1; p=reject"'], ('"v=DMARC1; p=reject"',), "v=DMARC1; p=reject;"),
        (["v=DMARC1\\; p=reject"], ("v=DMARC1\\; p=reject",), "v=DMARC1; p=reject;"),
    ],
)
def test_what_each_dmarc_record_becomes(found: list[str], deletes: tuple[str, ...], adds: str) -> None:
    assert edit_record(faulty(RecordPurpose.DMARC), found) == Edit(deletes=deletes, adds=adds)
    assert not adds or check_dmarc([adds]) == ""


SILENT = f"acme.example {NO_ANSWER}: DNS gave no answer; try again later."
WANTED_SPF, WANTED_DMARC = WANTED[RecordPurpose.SPF], WANTED[RecordPurpose.DMARC]


@cases(
    "record, found, verdict",
    [
        (WANTED_SPF, (), Verdict.UNKNOWN),
        (replace(WANTED_SPF, is_verified=True), (SPF,), Verdict.RIGHT),
        (replace(WANTED_SPF, is_verified=True, reason=SILENT), (), Verdict.UNKNOWN),
        (faulty(RecordPurpose.SPF), (), Verdict.EDIT),
        (faulty(RecordPurpose.DMARC), (), Verdict.ADVISED),
        (faulty(RecordPurpose.DMARC), (DMARC, DMARC), Verdict.EDIT),
    ],
)
def test_verdicts(record: DnsRecord, found: tuple[str, ...], verdict: Verdict) -> None:
    assert judge(record, found) is verdict


def test_what_needs_no_edit_has_none() -> None:
    assert edit_record(replace(WANTED_SPF, reason=SILENT), ()) is None
    assert edit_record(replace(WANTED_SPF, is_verified=True), (SPF,)) is None
