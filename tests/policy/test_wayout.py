"""The way out of a domain: how it is written, and which domain decides."""

from datetime import UTC, datetime

import pytest

from sendryd.model.domain import DomainSettings, DomainStatus, SendingDomain
from sendryd.model.ids import AccountId, DomainId
from sendryd.policy.wayout import MAX_ADDRESSES, BadWayOut, parse_way_out, way_out
from sendryd.testing.cases import cases

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def domain(name: str, delivery: str = "live", *, status: DomainStatus = DomainStatus.VERIFIED, subdomains: bool = True) -> SendingDomain:
    return SendingDomain(
        id=DomainId(1),
        account_id=AccountId(1),
        name=name,
        status=status,
        selector="s",
        public_key="p",
        settings=DomainSettings(include_subdomains=subdomains, delivery=delivery),
        created_at=NOW,
    )


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("live", "live"),
        (" Capture ", "capture"),
        ("redirect:Dev@Example.ORG", "redirect:Dev@example.org"),
        ("copy: a@x.example , b@x.example,a@X.example", "copy:a@x.example,b@x.example"),
        ("redirect:dev@bücher.example", "redirect:dev@xn--bcher-kva.example"),
    ],
)
def test_a_way_has_one_spelling(text: str, stored: str) -> None:
    assert str(parse_way_out(text)) == stored
    assert str(parse_way_out(stored)) == stored


@cases(
    ("text", "says"),
    [
        ("", "write live, capture"),
        ("nowhere", "write live, capture"),
        ("live:a@x.example", "takes no address"),
        ("capture:", "takes no address"),
        ("redirect", "needs an address"),
        ("copy: ,", "needs an address"),
        ("redirect:dev", "no address"),
        ("redirect:dev@localhost", "no address"),
        ("copy:bücher@x.example", "outside ASCII"),
        ("copy:" + ",".join(f"a{number}@x.example" for number in range(MAX_ADDRESSES + 1)), "at most 10"),
    ],
)
def test_what_is_no_way_says_what_to_change(text: str, says: str) -> None:
    with pytest.raises(BadWayOut, match=says):
        parse_way_out(text)


def test_the_domain_that_signs_decides_and_a_nearer_one_that_is_not_live() -> None:
    above = domain("example.test", "capture")
    pending = DomainStatus.PENDING
    for covering, way in (
        ([], "live"),
        ([above], "capture"),
        ([domain("example.test", "capture", subdomains=False)], "live"),
        ([domain("s.example.test"), above], "live"),
        ([domain("s.example.test", status=pending), above], "capture"),
        ([domain("s.example.test", "redirect:a@x.example", status=pending), domain("example.test")], "redirect:a@x.example"),
    ):
        assert str(way_out("s.example.test", covering)) == way, covering
