"""`sendryd queue reroute`, on a queue that was filled by hand."""

from datetime import timedelta
from typing import Any

import pytest

from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.model.ids import MESSAGE_PREFIX, format_id
from sendryd.testing.samples import Samples

URL = "smtp://user:pass-word-1@relay.test:587"


@pytest.fixture
def waiting(cli: Any) -> str:
    """A message with two deliveries."""

    async def fill(basics: Basics) -> str:
        now = basics.clock.now()
        samples = Samples(now)
        await basics.store.add_api_key(samples.api_key())
        await basics.store.add_domain(samples.domain())
        new = samples.message(["a@one.test", "b@two.test"], created_at=now, due_at=now + timedelta(hours=1))
        await basics.store.accept(new)
        return format_id(MESSAGE_PREFIX, new.message.id)

    made: str = cli.store(fill)
    return made


def ways(cli: Any) -> list[tuple[str, str | None]]:
    return sorted((each["domain"].partition("~")[0], each["detour"]) for each in cli.json("queue", "list")["data"])


def test_some_are_rerouted_and_shown_and_go_back(cli: Any, waiting: str) -> None:
    cli.env["SENDRYD_EGRESS"] = "bulk 127.0.0.5 b.example.com"
    assert cli.json("queue", "reroute", "--pool", "bulk", "--domain", "two.test") == {"count": 1}
    assert cli.json("queue", "reroute", "--pool", "bulk", "--domain", "two.test") == {"count": 0}
    assert ways(cli) == [("one.test", None), ("two.test", "pool:bulk")]
    assert "  rerouted\tfrom the address pool bulk\n" in cli.run("queue", "show", waiting).stdout
    assert cli.json("queue", "reroute", waiting, "--smarthost", URL) == {"count": 2}
    assert ways(cli) == [("relay.test:587", "smarthost")] * 2
    assert "  rerouted\tto a smart host\n" in cli.run("queue", "show", waiting).stdout
    assert cli.json("queue", "reroute", "--back", "--state", "queued") == {"count": 2}
    assert ways(cli) == [("one.test", None), ("two.test", None)]


def test_the_audit_has_the_way_without_the_password(cli: Any, waiting: str) -> None:
    cli.run("queue", "reroute", waiting, "--smarthost", URL, "--reason", "slow")

    async def read(basics: Basics) -> list[tuple[str, Any]]:
        return [(each.action, each.after) for each in (await basics.store.list_audit(DEFAULT_ACCOUNT, limit=9)).items]

    (entry,) = [after for action, after in cli.store(read) if action == "queue.rerouted"]
    assert entry == {"deliveries": 2, "way": "smtp://user@relay.test:587", "reason": "slow"}


@pytest.mark.parametrize(
    "options",
    [
        ("--domain", "one.test"),
        ("--pool", "bulk", "--back", "--domain", "one.test"),
        ("--back",),
        ("--smarthost", "", "--domain", "one.test"),
        ("--pool", "", "--domain", "one.test"),
        ("--back", "--older-than", "soon"),
        ("--back", "--state", "moon"),
    ],
)
def test_wrong_usage(cli: Any, options: tuple[str, ...]) -> None:
    assert cli.run("queue", "reroute", *options, status=2).stdout == ""


def test_what_cannot_be_is_said(cli: Any, waiting: str) -> None:
    assert "SENDRYD_EGRESS has no pool bulk: it is empty" in cli.fault("queue", "reroute", waiting, "--pool", "bulk")
    cli.env["SENDRYD_EGRESS"] = "other 127.0.0.5 b.example.com"
    assert "SENDRYD_EGRESS has no pool bulk: it has other" in cli.fault("queue", "reroute", waiting, "--pool", "bulk")
    for url in ("relay.test", " ", "http://relay.test", "smtp://:x@relay.test"):
        assert "smart host" in cli.fault("queue", "reroute", waiting, "--smarthost", url)
    assert "there is no em_0000000000000" in cli.fault("queue", "reroute", "em_0000000000000", "--back")
    assert ways(cli) == [("one.test", None), ("two.test", None)]
