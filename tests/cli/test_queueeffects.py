"""`sendryd queue effects` and `relax`, on effects that were stored by hand."""

from datetime import timedelta
from typing import Any

import pytest

from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.shaping.limits import NO_LIMITS, Limits, Rate

HOUR = timedelta(hours=1)
SLOW = Limits(connections=1, message_rate=Rate(10, 60))


@pytest.fixture(autouse=True)
def stored(cli: Any) -> None:
    async def fill(basics: Basics) -> None:
        now = basics.clock.now()

        def effect(site: str, rule: str, *, ago: timedelta = HOUR / 2, suspends: bool = False) -> Effect:
            limits = NO_LIMITS if suspends else SLOW
            return Effect(
                site=site, rule=rule, reply="421 slow down", began_at=now - ago, ends_at=now - ago + HOUR, suspends=suspends, limits=limits
            )

        over = effect("big", "big/3", ago=3 * HOUR)
        await basics.store.put_shaping_effects(
            [effect("big", "big/1", suspends=True), effect("big", "big/2"), over, effect("own", "own/1")]
        )

    cli.store(fill)


def test_effects_are_listed_until_nothing_is_left_of_them(cli: Any) -> None:
    listed = cli.json("queue", "effects")
    assert listed["has_more"] is False
    assert [(each["site"], each["rule"], each["suspends"]) for each in listed["data"]] == [
        ("big", "big/1", True),
        ("big", "big/2", False),
        ("own", "own/1", False),
    ]
    assert (listed["data"][1]["connections"], listed["data"][1]["message_rate"]) == (1, "10/60s")
    first, second, _ = (line.split("\t") for line in cli.run("queue", "effects").stdout.splitlines())
    assert (first[:3], first[4]) == (["big", "big/1", "suspended"], "421 slow down")
    assert second[2] == "1 session at once, messages: 10 in 1 minute"


def test_one_of_a_site_is_ended_or_all_of_them(cli: Any) -> None:
    assert "1 effect is ended" in cli.run("queue", "relax", "big", "--rule", "big/2", "--reason", "they agreed").stderr
    assert [each["rule"] for each in cli.json("queue", "effects")["data"]] == ["big/1", "own/1"]
    assert cli.json("queue", "relax", "BIG") == {"count": 1}
    assert [each["rule"] for each in cli.json("queue", "effects")["data"]] == ["own/1"]
    cli.run("queue", "relax", "own")
    assert cli.run("queue", "effects").stderr == "No site is suspended or limited for what its servers said.\n"

    async def read(basics: Basics) -> list[tuple[str, str, Any]]:
        return [(each.action, each.target, each.after) for each in (await basics.store.list_audit(DEFAULT_ACCOUNT, limit=9)).items]

    assert ("site.relaxed", "big", {"rule": "big/2", "reason": "they agreed"}) in cli.store(read)


def test_what_is_not_there_is_said(cli: Any) -> None:
    assert "replies have brought nothing to the site elsewhere; " in cli.fault("queue", "relax", "elsewhere")
    assert "the rule own/2 has brought nothing to the site own; " in cli.fault("queue", "relax", "own", "--rule", "own/2")
