"""`sendryd account`."""

from typing import Any

import pytest

from sendryd.app.build import DEFAULT_ACCOUNT, Basics

URL = "smtp://user:pass-word-1@relay.test:587"


def stored(cli: Any) -> Any:
    async def read(basics: Basics) -> Any:
        account = await basics.store.get_account(DEFAULT_ACCOUNT)
        assert account is not None
        return account.settings.smarthost

    return cli.store(read)


def test_the_smart_host_is_set_shown_without_its_password_and_kept(cli: Any) -> None:
    shown = cli.json("account", "set", f"smarthost={URL}")
    assert (shown["smarthost"], shown["name"]) == ("smtp://user@relay.test:587", "default")
    assert cli.json("account", "show", "--id", shown["id"]) == shown
    assert "smtp://user@relay.test:587" in cli.run("account", "show").stderr
    assert (stored(cli).password, stored(cli).may_be_private) == ("pass-word-1", True)
    cli.run("account", "set", "smarthost=smtp://user@relay.test:587")  # the same one keeps its password
    assert stored(cli).password == "pass-word-1"
    cli.run("account", "set", "smarthost=smtp://user@other.test:587")
    assert stored(cli).password == ""
    assert cli.json("account", "set", "smarthost=")["smarthost"] is None
    assert "none" in cli.run("account", "show").stderr


def test_each_change_is_in_the_audit_without_the_password(cli: Any) -> None:
    cli.run("account", "set", f"smarthost={URL}")

    async def read(basics: Basics) -> list[tuple[str, Any, Any]]:
        return [(each.action, each.before, each.after) for each in (await basics.store.list_audit(DEFAULT_ACCOUNT, limit=9)).items]

    assert ("account.smarthost", {"smarthost": ""}, {"smarthost": "smtp://user@relay.test:587", "password": "set"}) in cli.store(read)
    assert "pass-word-1" not in str(cli.store(read))


@pytest.mark.parametrize("changes", [("colour=red",), ("smarthost",), ("smarthost=a", "smarthost=b"), ()])
def test_wrong_usage(cli: Any, changes: tuple[str, ...]) -> None:
    assert cli.run("account", "set", *changes, status=2).stdout == ""


def test_what_cannot_be_is_said(cli: Any) -> None:
    assert "there is no account org_9" in cli.fault("account", "show", "--id", "org_9")
    assert "smarthost: write a smart host as" in cli.fault("account", "set", "smarthost=relay.test")
