"""The rules of shaping: what their TOML says, and which site a domain is with."""

import pytest

from sendryd.policy.shaping.limits import MAX_CONNECTIONS, Limits, Rate
from sendryd.policy.shaping.rules import EMPTY_RULES, RulesInvalid, read_rules, site_of
from sendryd.testing.cases import cases

RULES = read_rules(
    """
    [default]
    connections = 15

    [provider.big]
    mx = ["big.test", ".mail.big.example"]
    connections = 4
    connection_rate = "30/m"
    message_rate = "100/10s"
    messages_per_connection = 20
    tls = "required"

    [[provider.big.reply]]
    match = "slow down"
    matches = 3
    message_rate = "10/1m"
    for = "30m"

    [[provider.big.reply]]
    match = "go away"
    suspend = true
    for = "2h"

    [provider.club]
    domains = ["club.test", "Other.test"]
    connections = 1
    """
)


def test_a_provider_has_its_limits_and_those_of_all_sites() -> None:
    assert RULES.limits_of("big") == Limits(4, Rate(30, 60.0), Rate(100, 10.0), 20, is_tls_required=True)
    assert RULES.limits_of("club") == Limits(1, messages_per_connection=100)
    assert RULES.limits_of("mx.elsewhere.test") == Limits(15, messages_per_connection=100)
    assert EMPTY_RULES.limits_of("any").connections == MAX_CONNECTIONS


def test_replies_have_their_rules() -> None:
    slow, away = RULES.replies_of("big")
    assert (slow.name, slow.matches, slow.suspends, slow.limits.message_rate, slow.seconds) == ("big/1", 3, False, Rate(10, 60.0), 1800.0)
    assert slow.pattern.search("450 Slow DOWN please")
    assert (away.name, away.suspends, away.seconds) == ("big/2", True, 7200.0)
    assert RULES.replies_of("elsewhere") == ()


@cases(
    ("domain", "hosts", "site"),
    [
        ("a.test", ["mx1.big.test", "mx2.big.test"], "big"),
        ("a.test", ["mx1.big.test", "mx.other.test"], "mx.other.test+1-ac2297"),
        ("a.test", ["notbig.test"], "notbig.test+0"),
        ("a.test", ["big.test"], "big"),
        ("club.test", ["mx1.big.test"], "club"),
        ("other.test", [], "club"),
        ("a.test", [], "a.test"),
        ("big.test", [], "big.test"),
    ],
)
def test_a_domain_is_with_the_site_of_its_servers(domain: str, hosts: list[str], site: str) -> None:
    assert site_of(RULES, domain, hosts) == site


def test_domains_with_the_same_servers_are_one_site_and_others_are_not() -> None:
    sites = {site_of(RULES, domain, hosts) for domain, hosts in [("a.test", ["x.test", "y.test"]), ("b.test", ["y.test", "x.test"])]}
    assert len(sites) == 1
    assert site_of(RULES, "c.test", ["x.test", "z.test"]) not in sites


def test_an_operators_file_overrides_fields_and_adds_providers() -> None:
    own = read_rules('[provider.big]\nconnections = 2\n[provider.new]\nmx = ["new.test"]\n', over=RULES)
    assert own.limits_of("big") == Limits(2, Rate(30, 60.0), Rate(100, 10.0), 20, is_tls_required=True)
    assert len(own.replies_of("big")) == 2
    assert site_of(own, "a.test", ["mx.new.test"]) == "new"
    assert own.limits_of("x").connections == 15
    assert read_rules("[[provider.big.reply]]\nmatch = 'x'\nsuspend = true\nfor = '1m'", over=RULES).replies_of("big")[0].seconds == 60.0


def test_names_are_those_that_deliveries_have() -> None:
    own = read_rules("[provider.x]\ndomains = ['München.test.']\nmx = ['.MX.a.test']")
    assert site_of(own, "xn--mnchen-3ya.test", ["mx.other.test"]) == site_of(own, "b.test", ["in.mx.a.test"]) == "x"


@cases(
    ("text", "reason"),
    [
        ("[provider", "it is not TOML: "),
        ("a = " + "[" * 5000, "it is not TOML that can be read: its lists or tables are too deep"),
        ("[default]\nconnections = " + "9" * 5000, "it is not TOML: "),
        ("[provider.x]\ndomains = ['*.a.test']", "provider.x.domains: '*.a.test' is no name of a domain or host; leave the * out"),
        ("[provider.x]\nmx = [' ']", "provider.x.mx: ' ' is no name of a domain or host"),
        ("[providers]", "providers: there is no such field; there are default, provider"),
        ("default = 3", "default: write it as a table, [default]"),
        ("[default]\nconections = 3", "default.conections: there is no such field"),
        ("[provider.Big]\nmx = ['x']", "provider.Big: write a name of 1 to 40 lower-case letters"),
        ("[provider.x]\nconnections = 3", "provider.x: give it mx, the ends of the names of its mail servers, or domains"),
        ("[provider.x]\nmx = 'a.test'", "provider.x.mx: write a list of names in quotes"),
        ("[provider.x]\nmx = ['']", "provider.x.mx: write a list of names in quotes"),
        ("[provider.big]\nconnections = 0", "provider.big.connections: write a whole number from 1 to 500"),
        ("[provider.big]\nconnections = true", "provider.big.connections: write a whole number from 1 to 500"),
        ("[provider.big]\nmessage_rate = '5 a second'", "provider.big.message_rate: write a rate as 10/1m, 5/s or 100/h"),
        ("[provider.big]\nmessage_rate = '0/s'", "provider.big.message_rate: write a rate as 10/1m, 5/s or 100/h"),
        ("[provider.big]\ntls = 'yes'", "provider.big.tls: write required or opportunistic"),
        ("[provider.big]\nreply = 'x'", "provider.big.reply: begin each of its rules with [[provider.big.reply]]"),
        ("[[provider.big.reply]]\nsuspend = true", "provider.big.reply 1.match: write a regular expression of 1 to 200 characters"),
        ("[[provider.big.reply]]\nmatch = '('\nsuspend = true", "provider.big.reply 1.match: it is not a regular expression: "),
        (
            "[[provider.big.reply]]\nmatch = 'a{99999999999999}'\nsuspend = true",
            "provider.big.reply 1.match: it is not a regular expression: ",
        ),
        ("[default]\ntls = ['required']", "default.tls: write required or opportunistic"),
        ("[[provider.big.reply]]\nmatch = 'x'\nfor = '1m'", "provider.big.reply 1: give it either suspend = true or limits"),
        ("[[provider.big.reply]]\nmatch = 'x'\nsuspend = true", "provider.big.reply 1.for: write a duration as 90s, 30m or 2h"),
        ("[[provider.big.reply]]\nmatch = 'x'\nsuspend = 'y'\nfor = '1m'", "provider.big.reply 1.suspend: write true or false"),
        ("[[provider.big.reply]]\nmatch = 'x'\nsuspend = true\nfor = '1m'\nmatches = 0", "provider.big.reply 1.matches: write a whole"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read_rules(text, over=RULES)
    assert str(caught.value).startswith(reason)
