"""`sendryd queue suspend|resume|addresses`."""

from typing import Any

import pytest

from sendryd.app.build import DEFAULT_ACCOUNT, Basics

POOLS = "default 127.0.0.5 a.example.com weight=3, bulk 127.0.0.5 a.example.com, bulk ::1 six.example.com warmup_from=2999-01-01"


@pytest.fixture
def pools(cli: Any) -> None:
    cli.env |= {"SENDRYD_EGRESS": POOLS}


@pytest.mark.usefixtures("pools")
def test_addresses_are_listed_with_their_pools_and_what_they_may_send(cli: Any) -> None:
    listed = cli.json("queue", "addresses")["data"]
    assert [(each["pool"], each["address"], each["hello_name"], each["weight"], each["cap"]) for each in listed] == [
        ("default", "127.0.0.5", "a.example.com", 3, None),
        ("bulk", "127.0.0.5", "a.example.com", 1, None),
        ("bulk", "::1", "six.example.com", 1, 0),
    ]
    assert "in use" in cli.run("queue", "addresses").stdout


def test_without_the_setting_there_are_none(cli: Any) -> None:
    assert cli.json("queue", "addresses")["data"] == []
    assert "SENDRYD_EGRESS has no address 127.0.0.5: it is empty" in cli.fault("queue", "suspend", "--address", "127.0.0.5")


@pytest.mark.usefixtures("pools")
def test_an_address_is_suspended_in_each_of_its_pools_and_resumed(cli: Any) -> None:
    suspended = cli.json("queue", "suspend", "--address", "127.0.0.5", "--for", "2h", "--reason", "listed at Spamhaus")
    assert (suspended["kind"], suspended["name"], suspended["reason"]) == ("address", "127.0.0.5", "listed at Spamhaus")
    assert suspended["until"] > suspended["since"]
    assert [each["suspension"] is not None for each in cli.json("queue", "addresses")["data"]] == [True, True, False]
    assert "The address 127.0.0.5 is suspended until " in cli.run("queue", "list").stderr
    assert cli.json("queue", "resume", "--address", "127.0.0.5")["count"] == 0
    assert [each["suspension"] for each in cli.json("queue", "addresses")["data"]] == [None, None, None]
    assert "is not suspended" in cli.fault("queue", "resume", "--address", "127.0.0.5")


@pytest.mark.usefixtures("pools")
def test_a_pool_is_suspended_until_it_is_resumed(cli: Any) -> None:
    assert cli.json("queue", "suspend", "--pool", "bulk")["until"] is None
    assert "pool suspended until it is resumed" in cli.run("queue", "addresses").stdout
    assert "SENDRYD_EGRESS has no pool fast: it has default, bulk" in cli.fault("queue", "suspend", "--pool", "fast")
    del cli.env["SENDRYD_EGRESS"]  # what is not configured any more can still be resumed
    cli.run("queue", "resume", "--pool", "bulk")


@pytest.mark.usefixtures("pools")
@pytest.mark.parametrize(
    "options", [(), ("--address", "127.0.0.5", "--pool", "bulk"), ("--pool", "bulk", "--for", "soon"), ("--pool", "bulk", "--for", "0s")]
)
def test_wrong_usage(cli: Any, options: tuple[str, ...]) -> None:
    cli.run("queue", "suspend", *options, status=2)


@pytest.mark.usefixtures("pools")
def test_what_is_no_address_is_said(cli: Any) -> None:
    assert "'mail' is no IP address" in cli.fault("queue", "suspend", "--address", "mail")


@pytest.mark.usefixtures("pools")
def test_changes_are_in_the_audit(cli: Any) -> None:
    cli.run("queue", "suspend", "--address", "127.0.0.5", "--reason", "listed")
    cli.run("queue", "resume", "--address", "127.0.0.5")

    async def look(basics: Basics) -> list[tuple[str, str]]:
        page = await basics.store.list_audit(DEFAULT_ACCOUNT, limit=9)
        return [(each.action, each.target) for each in page.items]

    assert cli.store(look)[:2] == [("egress.resumed", "address 127.0.0.5"), ("egress.suspended", "address 127.0.0.5")]
