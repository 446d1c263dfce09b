"""What other servers see of this one."""

from dataclasses import replace

import pytest

from sendryd.policy.health import Verdict
from sendryd.policy.health.network import (
    Dialled,
    NamedSmartHost,
    NoAnswer,
    block_list_name,
    judge_block_list,
    judge_host_name,
    judge_http,
    judge_named_smart_host,
    judge_port_25,
    judge_private_smart_host,
    judge_ptr,
    judge_resolver,
    judge_smart_host,
)

SILENT = NoAnswer("DNS gave no answer in time")
RIGHT, ADVISED, WRONG, UNKNOWN = Verdict.RIGHT, Verdict.ADVISED, Verdict.WRONG, Verdict.UNKNOWN


def test_a_resolver_that_answers_nothing_is_named() -> None:
    assert judge_resolver(True, ("a.example",), "").verdict is RIGHT
    found = judge_resolver(False, ("a.example", "b.example"), "192.0.2.1:53")
    assert (found.verdict, found.sentence.startswith("The DNS resolver 192.0.2.1:53 gave no answer about a.example, b.example")) == (
        WRONG,
        True,
    )
    assert "SENDRYD_DNS_RESOLVER" in found.fix


@pytest.mark.parametrize(
    ("hostname", "addresses", "allow_private", "verdict"),
    [
        ("mail.example.com", ("8.8.8.8", "2606:4700::1111"), False, RIGHT),
        ("localhost", ("127.0.0.1",), True, WRONG),
        ("box.localdomain", (), False, WRONG),
        ("mail.example.com", (), False, WRONG),
        ("mail.example.com", ("10.0.0.1",), False, WRONG),
        ("mail.example.com", ("10.0.0.1",), True, RIGHT),
        ("mail.example.com", SILENT, False, UNKNOWN),
    ],
)
def test_the_host_name(hostname: str, addresses: tuple[str, ...] | NoAnswer, allow_private: bool, verdict: Verdict) -> None:
    found = judge_host_name(hostname, addresses, allow_private=allow_private)
    assert found.verdict is verdict
    assert hostname in found.sentence
    assert bool(found.fix) is (verdict is not RIGHT)


@pytest.mark.parametrize(
    ("names", "confirmed", "verdict"),
    [
        (("mail.example.com",), ("mail.example.com",), RIGHT),
        (("other.example", "mail.example.com"), ("other.example", "mail.example.com"), RIGHT),
        (("host-7.isp.example",), ("host-7.isp.example",), ADVISED),
        (("host-7.isp.example",), (), WRONG),
        ((), (), WRONG),
        (SILENT, (), UNKNOWN),
    ],
)
def test_the_ptr_record(names: tuple[str, ...] | NoAnswer, confirmed: tuple[str, ...], verdict: Verdict) -> None:
    found = judge_ptr("mail.example.com", "203.0.113.5", names, confirmed)
    assert (found.verdict, found.about) == (verdict, "203.0.113.5")
    if verdict in {WRONG, ADVISED}:
        assert found.fix == "Have your hosting provider set the PTR record of 203.0.113.5 to mail.example.com."


def test_port_25_is_open_if_one_server_greets() -> None:
    closed, open_ = Dialled(host="mx.a.example", failure="no answer within 10 s"), Dialled(host="mx.b.example")
    assert judge_port_25([closed, open_], 25).verdict is RIGHT
    found = judge_port_25([closed], 25)
    assert found.verdict is WRONG
    assert found.sentence == "No server can be reached on port 25 (mx.a.example: no answer within 10 s)."
    assert judge_port_25([], 25).verdict is UNKNOWN


def test_a_smart_host_that_does_not_answer_is_named() -> None:
    assert judge_smart_host(Dialled(host="out.example:587")).verdict is RIGHT
    found = judge_smart_host(Dialled(host="out.example:587", failure="Connection refused"))
    assert (found.verdict, found.sentence) == (WRONG, "The smart host out.example:587 cannot be reached: Connection refused.")


def test_the_smart_host_of_domains_is_named_with_the_command_that_mends_it() -> None:
    named = NamedSmartHost(
        host="out.example", port=587, is_encrypted=False, may_be_private=False, domains=("a.test", "b.test"), accounts=("org_1",)
    )
    assert judge_named_smart_host(named, "").sentence == "The smart host out.example:587 of a.test, b.test and 1 more answers."
    found = judge_named_smart_host(named, "Connection refused")
    assert (found.verdict, found.about) == (WRONG, "out.example:587")
    assert found.sentence == (
        "The smart host out.example:587 of a.test, b.test and 1 more cannot be reached: Connection refused. Mail waits for it."
    )
    assert "sendryd domains set a.test smarthost=URL" in found.fix
    alone = replace(named, domains=())
    assert "sendryd account set --id org_1 smarthost=URL" in judge_private_smart_host(alone, "10.0.0.1").fix
    assert "of the account org_1 has the private address 10.0.0.1" in judge_private_smart_host(alone, "10.0.0.1").sentence


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [((), RIGHT), (("127.0.0.2",), WRONG), (("127.255.255.254",), UNKNOWN), (SILENT, UNKNOWN), (("192.0.2.9",), RIGHT)],
)
def test_a_block_list(answers: tuple[str, ...] | NoAnswer, verdict: Verdict) -> None:
    assert judge_block_list("zen.example", "203.0.113.5", answers).verdict is verdict


def test_a_block_list_is_asked_by_the_reversed_address() -> None:
    assert block_list_name("zen.example", "203.0.113.5") == "5.113.0.203.zen.example"
    assert block_list_name("zen.example", "2001:db8::1").endswith(".8.b.d.0.1.0.0.2.zen.example")


@pytest.mark.parametrize(
    ("public_url", "is_encrypted", "is_loopback", "verdict"),
    [
        ("https://mail.example.com", False, True, RIGHT),
        ("https://mail.example.com", True, False, RIGHT),
        ("", False, True, ADVISED),
        ("http://mail.example.com", True, False, ADVISED),
        ("https://mail.example.com", False, False, WRONG),
    ],
)
def test_keys_and_links_are_encrypted(public_url: str, is_encrypted: bool, is_loopback: bool, verdict: Verdict) -> None:
    assert judge_http("0.0.0.0:8025", public_url, is_encrypted=is_encrypted, is_loopback=is_loopback).verdict is verdict
