"""`sendryd domains`."""

import os
import subprocess
import sys
from typing import Any

import pytest


@pytest.fixture
def example(cli: Any) -> dict[str, Any]:
    added: dict[str, Any] = cli.json("domains", "add", "Example.Test")
    return added


def test_add_and_show_print_the_records(cli: Any, example: dict[str, Any]) -> None:
    assert (example["name"], example["status"]) == ("example.test", "pending")
    assert [record["type"] for record in example["dns_records"]] == ["TXT", "TXT", "TXT"]
    assert {record["name"] for record in example["dns_records"]} == {
        "_dmarc.example.test",
        "sendry._domainkey.example.test",
        "example.test",
    }
    assert cli.json("domains", "show", "EXAMPLE.test.") == example
    shown = cli.run("domains", "show", "example.test")
    assert shown.stderr.count("not checked yet") == 3
    lines = shown.stdout.splitlines()
    assert [line.split("\t") for line in lines] == [[record["name"], record["type"], record["value"]] for record in example["dns_records"]]


def test_a_domain_that_is_not_verified_shows_the_next_step(cli: Any, example: dict[str, Any]) -> None:
    for command in ("show", "verify"):
        shown = cli.run("domains", command, example["name"]).stderr
        assert f"then run `{sys.executable} -m sendryd domains verify example.test`" in shown


@pytest.mark.usefixtures("example")
def test_verify_prints_what_the_api_answers(cli: Any) -> None:
    found = cli.json("domains", "verify", "example.test")
    assert [found[f"{record}_verified"] for record in ("spf", "dkim", "dmarc")] == [False, False, False]
    assert {record: check["verified"] for record, check in found["checks"].items()} == {"spf": False, "dkim": False, "dmarc": False}
    assert cli.json("domains", "show", "example.test").items() <= found.items()


def test_selector_and_spf_are_as_the_settings_say(cli: Any) -> None:
    cli.env |= {"SENDRYD_DKIM_SELECTOR": "s2026", "SENDRYD_SPF_INCLUDE": "_spf.relay.test"}
    values = {record["name"]: record["value"] for record in cli.json("domains", "add", "example.test")["dns_records"]}
    assert "s2026._domainkey.example.test" in values
    assert values["example.test"] == "v=spf1 include:_spf.relay.test ~all"


def test_a_server_without_a_name_in_dns_is_told_so(cli: Any) -> None:
    assert "SENDRYD_HOSTNAME" not in cli.run("domains", "add", "one.test").stderr
    cli.env["SENDRYD_HOSTNAME"] = "localhost"
    assert "SENDRYD_HOSTNAME" in cli.run("domains", "add", "two.test").stderr
    cli.env["SENDRYD_SPF_INCLUDE"] = "_spf.relay.test"
    assert "SENDRYD_HOSTNAME" not in cli.run("domains", "add", "three.test").stderr


@pytest.mark.usefixtures("example")
def test_list(cli: Any) -> None:
    cli.json("domains", "add", "second.test")
    listed = cli.json("domains", "list")
    assert listed["has_more"] is False
    assert {domain["name"] for domain in listed["data"]} == {"example.test", "second.test"}
    assert sorted(cli.run("domains", "list").stdout.splitlines()) == ["example.test\tpending", "second.test\tpending"]


@pytest.mark.usefixtures("example")
def test_set(cli: Any) -> None:
    changes = ("include_subdomains=true", "track_opens=true", "tls_policy=enforced", "custom_return_path=bounces.example.test")
    body = cli.json("domains", "set", "example.test", *changes)
    assert (body["include_subdomains"], body["track_opens"], body["track_clicks"]) == (True, True, False)
    assert (body["tls_policy"], body["custom_return_path"]) == ("enforced", "bounces.example.test")
    assert cli.json("domains", "set", "example.test", "custom_return_path=", "track_opens=false")["custom_return_path"] is None
    assert cli.json("domains", "show", "example.test")["include_subdomains"] is True
    assert cli.json("domains", "show", "example.test")["delivery"] == "live"
    assert cli.json("domains", "set", "example.test", "delivery=copy:Archive@Team.test")["delivery"] == "copy:Archive@team.test"


@pytest.mark.parametrize(
    "change",
    [
        "colour=red",
        "region=true",
        "track_opens",
        "track_opens=perhaps",
        "tls_policy=sometimes",
        "custom_return_path=no name",
        "delivery=copy:me",
    ],
)
@pytest.mark.usefixtures("example")
def test_set_what_cannot_be(cli: Any, change: str) -> None:
    cli.run("domains", "set", "example.test", "include_subdomains=true", change, status=2)
    assert cli.json("domains", "show", "example.test")["include_subdomains"] is False


@pytest.mark.usefixtures("example")
def test_a_return_path_elsewhere_is_refused(cli: Any) -> None:
    assert "subdomain of example.test" in cli.fault("domains", "set", "example.test", "custom_return_path=bounces.other.test")


@pytest.mark.usefixtures("example")
def test_a_pool_is_one_of_the_setting(cli: Any) -> None:
    assert "has none: list addresses in SENDRYD_EGRESS" in cli.fault("domains", "set", "example.test", "pool=bulk")
    cli.env |= {"SENDRYD_EGRESS": "bulk 127.0.0.5 a.example.com, other 127.0.0.6 b.example.com"}
    assert "no address pool 'fast'; the pools are bulk, other" in cli.fault("domains", "set", "example.test", "pool=fast")
    assert cli.json("domains", "set", "example.test", "pool=bulk")["pool"] == "bulk"
    del cli.env["SENDRYD_EGRESS"]  # the pool is gone: other settings can be set all the same
    assert cli.json("domains", "set", "example.test", "track_opens=true")["pool"] == "bulk"
    assert cli.json("domains", "set", "example.test", "pool=")["pool"] is None


@pytest.mark.usefixtures("example")
def test_remove(cli: Any) -> None:
    assert cli.json("domains", "remove", "example.test")["deleted"] is True
    assert cli.json("domains", "list")["data"] == []
    assert "there is no domain" in cli.fault("domains", "remove", "example.test")


@pytest.mark.usefixtures("example")
def test_what_cannot_be_added(cli: Any) -> None:
    assert "exists already" in cli.fault("domains", "add", "example.test")
    for name in ("localhost", "not a domain", "127.0.0.1", ""):
        assert "domain" in cli.fault("domains", "add", name)


@pytest.mark.usefixtures("example")
def test_two_settings_at_once_are_both_kept(cli: Any) -> None:
    changes = ("include_subdomains=true", "track_opens=true", "track_clicks=true", "tls_policy=enforced")
    commands = [
        subprocess.Popen([sys.executable, "-m", "sendryd", "domains", "set", "example.test", change], env={**os.environ, **cli.env})
        for change in changes
    ]
    assert [each.wait(60) for each in commands] == [0] * len(changes)
    body = cli.json("domains", "show", "example.test")
    assert (body["include_subdomains"], body["track_opens"], body["track_clicks"], body["tls_policy"]) == (True, True, True, "enforced")


def test_the_next_dkim_key_is_made_listed_and_called_off(cli: Any, example: dict[str, Any]) -> None:
    (only,) = cli.json("domains", "keys", example["name"])["data"]
    assert (only["selector"], only["state"], only["safe_to_remove_at"]) == ("sendry", "active", None)
    made = cli.json("domains", "rotate", example["name"], "--at", "2099-03-03T09:00Z")
    assert (made["state"], made["starts_at"]) == ("pending", "2099-03-03T09:00:00.000Z")
    assert made["record"]["name"] == f"{made['selector']}._domainkey.example.test"
    assert [key["state"] for key in cli.json("domains", "keys", example["name"])["data"]] == ["pending", "active"]
    assert "has a pending key" in cli.run("domains", "rotate", example["name"], status=1).stderr
    assert cli.json("domains", "rotate", example["name"], "--cancel")["selector"] == made["selector"]
    assert [key["state"] for key in cli.json("domains", "keys", example["name"])["data"]] == ["active"]
    assert "has no pending key" in cli.run("domains", "rotate", example["name"], "--cancel", status=1).stderr
    assert "write a time as" in cli.run("domains", "rotate", example["name"], "--at", "soon", status=2).stderr
