"""Records and policy for mail that comes in."""

from collections.abc import Sequence

import pytest

from sendryd.model.domain import RecordPurpose, StsMode
from sendryd.policy.dnsrecords import RecordSettings
from sendryd.policy.inboundrecords import (
    InboundSettings,
    check_sts_host,
    check_sts_record,
    check_tls_reports,
    check_tlsa,
    inbound_records,
    leads_here,
    policy_id,
    write_policy,
)
from sendryd.policy.mtasts import read_policy, read_record
from sendryd.policy.tlsrpt import read_destinations

ALL = InboundSettings(hostname="mx.example.test", web_host="links.example.test", report_domain="b.example.test", tlsa="3 1 1 ab")


@pytest.mark.parametrize("mode", list(StsMode))
def test_the_policy_is_one_that_senders_read(mode: StsMode) -> None:
    policy = read_policy(write_policy(mode, "mx.example.test").encode())
    assert (policy.mode, policy.mx) == (mode, ("mx.example.test",))
    assert policy.max_age >= 86_400


def test_a_changed_mode_or_server_is_another_id() -> None:
    texts = [write_policy(mode, host) for mode in StsMode for host in ("a.test", "b.test")]
    assert len({policy_id(text) for text in texts}) == 6


def test_the_records_are_those_that_senders_read() -> None:
    sts, host, reports, dane = inbound_records("example.test", StsMode.TESTING, ALL)
    assert (sts.name, read_record((sts.value,))) == ("_mta-sts.example.test", policy_id(write_policy(StsMode.TESTING, "mx.example.test")))
    assert (host.type, host.name, host.value) == ("CNAME", "mta-sts.example.test", "links.example.test")
    assert (reports.name, read_destinations((reports.value,))) == ("_smtp._tls.example.test", ("mailto:tls@b.example.test",))
    assert (dane.type, dane.name, dane.value) == ("TLSA", "_25._tcp.mx.example.test", "3 1 1 ab")
    assert not any(record.is_required for record in (sts, host, reports, dane))


def test_what_the_installation_cannot_do_is_not_advised() -> None:
    assert inbound_records("example.test", StsMode.ENFORCE, InboundSettings(hostname="mx.example.test")) == ()
    only = inbound_records("example.test", StsMode.ENFORCE, InboundSettings(hostname="mx.example.test", report_domain="b.test"))
    assert [record.purpose for record in only] == [RecordPurpose.TLS_RPT]


@pytest.mark.parametrize(
    ("hosts", "leads"),
    [(("MX.example.test.",), True), ((), False), (("mx.example.test", "backup.test"), False), (("backup.test",), False)],
)
def test_a_policy_that_names_this_server_needs_every_mx_to_lead_here(hosts: Sequence[str], leads: bool) -> None:
    assert leads_here(hosts, "mx.example.test") is leads


def test_faults_say_what_to_change() -> None:
    sts = "v=STSv1; id=abc;"
    assert check_sts_record((sts,), sts) == ""
    assert "No MTA-STS record" in check_sts_record((), sts)
    assert "leave only the one" in check_sts_record((sts, sts), sts)
    assert "id of another policy" in check_sts_record(("v=STSv1; id=old",), sts)
    assert check_sts_host(("192.0.2.1",), ("192.0.2.1", "2001:db8::1"), "links.test") == ""
    assert "does not exist" in check_sts_host((), ("192.0.2.1",), "links.test")
    assert "another server" in check_sts_host(("192.0.2.9",), ("192.0.2.1",), "links.test")
    reports = "v=TLSRPTv1; rua=mailto:tls@b.test"
    assert check_tls_reports(("v=TLSRPTv1; rua=mailto:x@y.test,mailto:TLS@b.test",), reports) == ""
    assert "No TLS-RPT record" in check_tls_reports((), reports)
    assert "ask for no reports" in check_tls_reports(("anything",), reports)
    assert "another address" in check_tls_reports(("v=TLSRPTv1; rua=mailto:x@y.test",), reports)
    assert check_tlsa(("3 1 1 aa", "3 1 1 ab"), "3 1 1 ab") == ""
    assert "DNSSEC" in check_tlsa((), "3 1 1 ab")
    assert "name another key" in check_tlsa(("3 1 1 aa",), "3 1 1 ab")


def test_dmarc_reports_are_asked_for_where_they_are_taken() -> None:
    assert RecordSettings("mx.test").dmarc == "v=DMARC1; p=none;"
    assert RecordSettings("mx.test", report_address="mailto:dmarc@b.test").dmarc == "v=DMARC1; p=none; rua=mailto:dmarc@b.test;"
