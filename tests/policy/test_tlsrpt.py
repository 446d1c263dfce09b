"""TLS-RPT: who gets a report, which failure it was, and what the report says."""

import json
from datetime import date

import pytest

from sendryd.model.domain import StsMode
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.tls import TlsaRecord, TlsTrouble
from sendryd.policy.tlsrpt import Failure, PolicyType, failure_of, make_report, read_destinations, result_of

STS = StsPolicy(mode=StsMode.TESTING, mx=("mx.a.test", "*.b.test"), max_age=86400)
KEY = TlsaRecord(3, 1, 1, b"\xab" * 32)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("v=TLSRPTv1; rua=mailto:tls@a.test",), ("mailto:tls@a.test",)),
        (("v=TLSRPTv1;rua=https://r.a.test/v1 , mailto:tls@a.test;", "other"), ("https://r.a.test/v1", "mailto:tls@a.test")),
        (("v=TLSRPTv1; rua=https://r.a.test/\ufffd,mailto:\u00fc@a.test,mailto:a b@a.test,mailto:a@a.test?x",), ()),
        (("v=TLSRPTv1; rua=http://r.a.test/v1,ftp://x,mailto:",), ()),
        (("v=TLSRPTv1; rua=" + ",".join(f"mailto:{number}@a.test" for number in range(9)),), tuple(f"mailto:{n}@a.test" for n in range(3))),
        (("v=TLSRPTv1; rua=mailto:a@a.test", "v=TLSRPTv1; rua=mailto:b@a.test"), ()),
        (("v=TLSRPTv2; rua=mailto:a@a.test",), ()),
        ((), ()),
    ],
)
def test_a_record_names_who_gets_reports(texts: tuple[str, ...], found: tuple[str, ...]) -> None:
    assert read_destinations(texts) == found


@pytest.mark.parametrize(
    ("trouble", "detail", "failure"),
    [
        (TlsTrouble.REFUSED, "the server does not offer STARTTLS", Failure.STARTTLS_NOT_SUPPORTED),
        (TlsTrouble.FAILED, "TLS handshake failed: Hostname mismatch, certificate is not valid for 'mx.a.test'.", Failure.HOST_MISMATCH),
        (TlsTrouble.FAILED, "TLS handshake failed: certificate has expired", Failure.EXPIRED),
        (TlsTrouble.FAILED, "TLS handshake failed: self-signed certificate", Failure.NOT_TRUSTED),
        (TlsTrouble.FAILED, "TLS handshake failed: unable to get local issuer certificate", Failure.NOT_TRUSTED),
        (TlsTrouble.FAILED, "its key is not the one that its TLSA records name", Failure.VALIDATION),
        (TlsTrouble.SILENT, "the TLS handshake took too long", Failure.VALIDATION),
    ],
)
def test_a_failure_has_the_word_of_the_standard(trouble: TlsTrouble, detail: str, failure: Failure) -> None:
    assert failure_of(trouble, detail) is failure


def test_a_report_sums_the_sessions_of_each_policy_and_lists_the_failures() -> None:
    counted = [
        (result_of("a.test", STS, ()), 5),
        (result_of("a.test", STS, (), failure=Failure.EXPIRED, host="mx.a.test", address="192.0.2.1"), 2),
        (result_of("a.test", STS, (), failure=Failure.VALIDATION, host="mx.c.test"), 7),
        (result_of("a.test", STS, (KEY,)), 1),
        (result_of("a.test", None, ()), 3),
    ]
    assert [result.policy_type for result, _ in counted] == [PolicyType.STS] * 3 + [PolicyType.TLSA, PolicyType.NONE]
    report = json.loads(
        make_report(counted, day=date(2026, 11, 29), organization="relay.test", contact="tls@x.test", report_id="1@relay.test")
    )
    assert report["date-range"] == {"start-datetime": "2026-11-29T00:00:00Z", "end-datetime": "2026-11-29T23:59:59Z"}
    assert (report["organization-name"], report["contact-info"], report["report-id"]) == ("relay.test", "tls@x.test", "1@relay.test")
    sts, tlsa, none = report["policies"]
    assert sts["policy"] == {
        "policy-type": "sts",
        "policy-domain": "a.test",
        "policy-string": ["version: STSv1", "mode: testing", "mx: mx.a.test", "mx: *.b.test", "max_age: 86400"],
        "mx-host": ["mx.a.test", "*.b.test"],
    }
    assert sts["summary"] == {"total-successful-session-count": 5, "total-failure-session-count": 9}
    assert sts["failure-details"] == [
        {"result-type": "validation-failure", "receiving-mx-hostname": "mx.c.test", "failed-session-count": 7},
        {
            "result-type": "certificate-expired",
            "receiving-mx-hostname": "mx.a.test",
            "receiving-ip": "192.0.2.1",
            "failed-session-count": 2,
        },
    ]
    assert tlsa["policy"]["policy-string"] == ["3 1 1 " + "ab" * 32]
    assert none["policy"] == {"policy-type": "no-policy-found", "policy-domain": "a.test"}
