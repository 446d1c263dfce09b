"""Doubts about names, hosts of DNS, and DKIM keys that replace one another."""

from datetime import UTC, datetime, timedelta

import pytest

from sendryd.policy.dkimkeys import MARGIN, next_selector, safe_to_remove
from sendryd.policy.dnshosts import name_dns_host
from sendryd.policy.domainnames import doubt, find_near, is_mailbox_host

NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("acme-shpo.example", "acme-shop.example"),
        ("acme-shp.example", "acme-shop.example"),
        ("acme-shoop.example", "acme-shop.example"),
        ("acme-shap.example", "acme-shop.example"),
        ("acme-shop.example", ""),
        ("other.example", ""),
        ("gmial.com", "gmail.com"),
        ("outlok.com", "outlook.com"),
        ("ab.de", ""),
    ],
)
def test_a_slip_of_the_fingers_is_noticed(name: str, near: str) -> None:
    assert find_near(name, {"acme-shop.example"}) == near


def test_a_subdomain_and_a_slip_are_doubted_and_a_plain_name_is_not() -> None:
    assert "is a subdomain" in doubt("news.acme.example", "acme.example", ())
    assert doubt("news.acme.example", "acme.example", {"acme.example"}) == ""
    assert doubt("acme.example", "acme.example", {"other.example"}) == ""
    assert "looks like acme.example" in doubt("acne.example", "acne.example", {"acme.example"})


def test_mailbox_hosts_are_known() -> None:
    assert is_mailbox_host("gmail.com")
    assert not is_mailbox_host("acme.example")


@pytest.mark.parametrize(
    ("servers", "host"),
    [
        (("ada.ns.cloudflare.com", "bob.ns.cloudflare.com"), "Cloudflare"),
        (("ns-1.awsdns-01.org",), "Amazon Route 53"),
        (("ns1.dns.example",), "dns.example"),
        (("localhost",), "localhost"),
        ((), ""),
    ],
)
def test_the_host_of_the_dns_is_named(servers: tuple[str, ...], host: str) -> None:
    assert name_dns_host(servers) == host


def test_a_selector_is_never_used_twice() -> None:
    taken = {"sendry"}
    for expected in ("sendry-20261129", "sendry-20261129-2", "sendry-20261129-3"):
        assert next_selector("sendry", NOW, taken) == expected
        taken.add(expected)


def test_a_record_is_safe_to_remove_once_no_queue_holds_mail_of_its_key() -> None:
    assert safe_to_remove(NOW, timedelta(hours=72)) == NOW + timedelta(hours=72) + MARGIN
