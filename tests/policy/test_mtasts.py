"""MTA-STS: what is read of a record and of a policy, and which servers a policy names."""

import pytest

from sendryd.model.domain import StsMode
from sendryd.policy.mtasts import MAX_MAX_AGE, PolicyInvalid, StsPolicy, read_policy, read_record

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\nmx: *.mail.example.org\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("v=STSv1; id=20261129T1;",), "20261129T1"),
        (("v=spf1 -all", "v=STSv1;id=a"), "a"),
        (("v=STSv1; ext=1; id=a; x=y",), "a"),
        ((), None),
        (("v=STSv1; id=a", "v=STSv1; id=b"), None),  # RFC 8461 §3.1: exactly one
        (("v=STSv2; id=a",), None),
        (("v=STSv1",), None),
        (("v=STSv1; id=not-alphanumeric",), None),
        (("v=STSv1; id=" + "a" * 33,), None),
    ],
)
def test_a_record_announces_a_policy_by_its_id(texts: tuple[str, ...], found: str | None) -> None:
    assert read_record(texts) == found


def test_a_policy_is_read() -> None:
    assert read_policy(GOOD) == StsPolicy(mode=StsMode.ENFORCE, mx=("mx1.example.org", "*.mail.example.org"), max_age=604800)
    loose = b"version:STSv1\nfuture: x\nmode: testing\nmode: enforce\nmx: MX.B\xc3\xbccher.example.\nmax_age: 9999999999\n\n"
    assert read_policy(loose) == StsPolicy(mode=StsMode.TESTING, mx=("mx.xn--bcher-kva.example",), max_age=MAX_MAX_AGE)
    assert read_policy(b"version: STSv1\nmode: none\nmax_age: 60").mode is StsMode.NONE


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (b"", "its version is not STSv1"),
        (b"<html>\n<body>: no", "a line has no colon"),
        (GOOD.replace(b"STSv1", b"STSv2"), "its version is not STSv1"),
        (GOOD.replace(b"enforce", b"strict"), "its mode is none of"),
        (GOOD.replace(b"604800", b"week"), "its max_age is not a number"),
        (b"version: STSv1\nmode: enforce\nmax_age: 60", "it names no mail server"),
        (GOOD.replace(b"*.mail", b"a.*"), "no valid name"),
        (GOOD + b"mx: m.example\n" * 1000, "more than 1000"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_reason(found: bytes, reason: str) -> None:
    with pytest.raises(PolicyInvalid, match=reason):
        read_policy(found)


def test_a_pattern_names_one_host_or_all_with_one_more_label() -> None:
    policy = read_policy(GOOD)
    assert policy.names("mx1.example.org")
    assert policy.names("a.mail.example.org")
    for other in ("mail.example.org", "a.b.mail.example.org", "mx2.example.org", "evil-mail.example.org", "*.mail.example.org.evil"):
        assert not policy.names(other)
