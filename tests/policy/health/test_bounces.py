"""The bounce domain: what is wrong with it, and what to publish."""

from collections.abc import Sequence

import pytest

from sendryd.policy.dnsrecords import Unknown
from sendryd.policy.health import Verdict
from sendryd.policy.health.bounces import judge_bounce_mx, judge_bounce_spf, judge_no_bounces, judge_report_agreement
from sendryd.policy.health.network import NoAnswer

DOMAIN, HOST = "bounces.example.com", "relay.example.com"


@pytest.mark.parametrize(
    ("hosts", "verdict", "sentence", "fix"),
    [
        ([HOST], Verdict.RIGHT, "reach relay.example.com", ""),
        ([], Verdict.WRONG, "No MX record was found", "Publish bounces.example.com MX 10 relay.example.com"),
        (["mx.other.com"], Verdict.WRONG, "leads to another server", "Publish bounces.example.com MX 10 relay.example.com"),
        ([HOST, "mx.other.com"], Verdict.WRONG, "may go to other servers", "no other MX record"),
        (NoAnswer("time-out"), Verdict.UNKNOWN, "time-out", "Check again"),
    ],
)
def test_bounces_have_to_reach_this_server(hosts: Sequence[str] | NoAnswer, verdict: Verdict, sentence: str, fix: str) -> None:
    found = judge_bounce_mx(DOMAIN, HOST, hosts, is_listening=True)
    assert found.verdict is verdict
    assert sentence in found.sentence
    assert fix in found.fix


def test_bounces_need_an_open_port() -> None:
    found = judge_bounce_mx(DOMAIN, HOST, [HOST], is_listening=False)
    assert (found.verdict, "SENDRYD_INBOUND_LISTEN" in found.fix) == (Verdict.WRONG, True)
    assert judge_no_bounces(is_listening=False) is None
    without = judge_no_bounces(is_listening=True)
    assert without is not None
    assert (without.verdict, "SENDRYD_BOUNCE_DOMAIN" in without.fix) == (Verdict.ADVISED, True)


def test_spf_of_the_bounce_domain() -> None:
    record = "v=spf1 a:relay.example.com ~all"
    assert judge_bounce_spf(DOMAIN, "", record).verdict is Verdict.RIGHT
    assert judge_bounce_spf(DOMAIN, Unknown("no answer"), record).verdict is Verdict.UNKNOWN
    found = judge_bounce_spf(DOMAIN, "No SPF record was found: publish it.", record)
    assert (found.verdict, found.fix) == (Verdict.WRONG, "Publish bounces.example.com TXT v=spf1 a:relay.example.com ~all")
    assert "No SPF record was found." in found.sentence


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [(["v=DMARC1"], Verdict.RIGHT), (["v=DMARC1; p=none"], Verdict.RIGHT), ([], Verdict.ADVISED), (NoAnswer("x"), Verdict.UNKNOWN)],
)
def test_the_bounce_domain_has_to_agree_to_take_reports(texts: Sequence[str] | NoAnswer, verdict: Verdict) -> None:
    found = judge_report_agreement(DOMAIN, "other.test", texts)
    assert found.verdict is verdict
    if verdict is Verdict.ADVISED:
        assert found.fix == "Publish *._report._dmarc.bounces.example.com TXT v=DMARC1"
