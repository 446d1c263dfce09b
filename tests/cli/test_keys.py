"""`sendryd keys`."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

SECRET = re.compile(r"sn_(live|test)_[A-Za-z0-9]{43}")


def test_a_key_is_full_access_and_live_unless_asked_otherwise(cli: Any) -> None:
    made = cli.json("keys", "create", "--name", "shop")
    assert (made["name"], made["scope"], made["mode"], made["expires_at"], made["revoked_at"]) == (
        "shop",
        "full_access",
        "live",
        None,
        None,
    )
    assert SECRET.fullmatch(made["key"])
    assert made["key_prefix"] == made["key"][:12]
    listed = cli.json("keys", "list")
    assert set(listed) == {"data", "has_more", "next_cursor"}
    assert listed["has_more"] is False
    assert listed["data"] == [{name: value for name, value in made.items() if name != "key"}]


def test_the_secret_alone_is_on_standard_output(cli: Any) -> None:
    result = cli.run("keys", "create", "--name", "shop", "--mode", "test", "--scope", "read_only")
    assert SECRET.fullmatch(result.stdout.rstrip("\n"))
    assert result.stdout.count("\n") == 1
    assert "test, read_only" in result.stderr
    assert result.stdout.strip() not in cli.run("keys", "list").stdout


def test_a_lifetime(cli: Any) -> None:
    made = cli.json("keys", "create", "--name", "short", "--expires", "90d")
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(days=90)
    assert "expires" in cli.run("keys", "list").stdout


@pytest.mark.parametrize("lifetime", ["0s", "soon", "-1d", "999999d"])
def test_a_lifetime_that_is_none(cli: Any, lifetime: str) -> None:
    assert cli.run("keys", "create", "--name", "x", "--expires", lifetime, status=2).stdout == ""
    assert cli.json("keys", "list")["data"] == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_name_that_is_none(cli: Any, name: str) -> None:
    assert "1 to 100" in cli.run("keys", "create", "--name", name, status=2).stderr


@pytest.mark.parametrize("name", ["two\nlines", "tab\there", "\x1b[31mred"])
def test_a_name_is_one_line_as_in_the_api(cli: Any, name: str) -> None:
    assert "line breaks" in cli.run("keys", "create", "--name", name, status=2).stderr
    assert cli.json("keys", "list")["data"] == []


def test_revoke(cli: Any) -> None:
    made = cli.json("keys", "create", "--name", "shop")
    revoked = cli.json("keys", "revoke", made["id"])
    assert revoked["deleted"] is True
    assert revoked["revoked_at"] is not None
    assert cli.json("keys", "list")["data"][0]["revoked_at"] == revoked["revoked_at"]
    assert "revoked" in cli.run("keys", "list").stdout


def test_rotate_revokes_at_once_or_after_the_grace(cli: Any) -> None:
    old = cli.json("keys", "create", "--name", "shop", "--scope", "sending_access", "--mode", "test")
    new = cli.json("keys", "rotate", old["id"])
    assert (new["name"], new["scope"], new["mode"]) == ("shop", "sending_access", "test")
    assert new["key"] != old["key"]
    newest = cli.json("keys", "rotate", new["id"], "--grace", "1h")
    states = {key["id"]: key for key in cli.json("keys", "list")["data"]}
    assert states[old["id"]]["revoked_at"] <= newest["created_at"]
    grace = datetime.fromisoformat(states[new["id"]]["revoked_at"]) - datetime.fromisoformat(newest["created_at"])
    assert timedelta(minutes=59) < grace < timedelta(minutes=61)
    assert states[newest["id"]]["revoked_at"] is None
    cli.run("keys", "rotate", newest["id"], "--grace", "later", status=2)
    assert "is revoked" in cli.fault("keys", "rotate", old["id"])


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_keys_that_are_not_there(cli: Any, verb: str) -> None:
    assert "there is no key" in cli.fault("keys", verb, "key_0000000000000")
    assert "not the id of a key" in cli.fault("keys", verb, "em_0000000000000")


def test_an_account_has_as_many_keys_and_domains_as_the_settings_say(cli: Any) -> None:
    cli.env |= {"SENDRYD_MAX_KEYS": "2", "SENDRYD_MAX_DOMAINS": "1"}
    first, _ = (cli.json("keys", "create", "--name", name) for name in ("one", "two"))
    assert "the account has 2 API keys, the most that it may have: revoke one first" in cli.fault("keys", "create", "--name", "three")
    cli.json("keys", "rotate", first["id"], "--grace", "1h")
    cli.json("domains", "add", "one.test")
    assert "the account has 1 domain, the most that it may have: remove one first" in cli.fault("domains", "add", "two.test")
    assert "exists already" in cli.fault("domains", "add", "one.test")
