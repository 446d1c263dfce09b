"""What replies bring, for how long, and how it goes away."""

from collections import deque
from datetime import UTC, datetime, timedelta

from sendryd.policy.shaping.effects import Matches, make_effect
from sendryd.policy.shaping.limits import NO_LIMITS, Limits, Rate
from sendryd.policy.shaping.rules import ReplyRule, read_rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rule(text: str) -> ReplyRule:
    return read_rules(f'[provider.big]\nmx = ["big.test"]\n[[provider.big.reply]]\nmatch = "x"\nfor = "1h"\n{text}').replies_of("big")[0]


def test_a_limit_holds_for_its_time_and_goes_back_evenly() -> None:
    effect = make_effect("big", rule('connections = 2\nmessage_rate = "10/1m"'), "450 x", NOW)
    usual = Limits(connections=10, message_rate=Rate(110, 60.0))
    assert effect.at(NOW, usual) == effect.at(NOW + 0.9 * HOUR, usual) == Limits(connections=2, message_rate=Rate(10, 60.0))
    assert effect.at(NOW + 1.5 * HOUR, usual) == Limits(connections=6, message_rate=Rate(60, 60.0))
    assert effect.at(NOW + 2 * HOUR, usual) == NO_LIMITS
    assert effect.is_over_at == NOW + 2 * HOUR


def test_where_the_rules_allow_any_number_a_limit_goes_back_to_ten_times_itself() -> None:
    effect = make_effect("big", rule('message_rate = "10/1m"'), "450 x", NOW)
    assert effect.at(NOW + 1.5 * HOUR, NO_LIMITS) == Limits(message_rate=Rate(55, 60.0))
    assert effect.at(NOW + 2 * HOUR, NO_LIMITS) == NO_LIMITS


def test_a_suspension_ends_at_once() -> None:
    effect = make_effect("big", rule("suspend = true"), "550 x", NOW)
    assert (effect.suspends, effect.ends_at, effect.is_over_at) == (True, NOW + HOUR, NOW + HOUR)


def test_it_takes_as_many_matches_in_an_hour_as_the_rule_says() -> None:
    matches, wanted = Matches(deque()), rule("suspend = true\nmatches = 3")
    assert [matches.note(wanted, NOW + timedelta(minutes=minutes), f"{minutes}.test") for minutes in (0, 40, 70, 80)] == [
        False,
        False,
        False,
        True,
    ]
    assert not matches.note(wanted, NOW + timedelta(minutes=81), "81.test")


def test_of_two_limits_the_stricter_holds() -> None:
    one, other = Limits(connections=5, message_rate=Rate(10, 60.0)), Limits(connections=3, message_rate=Rate(1, 1.0))
    assert one.within(other) == Limits(connections=3, message_rate=Rate(10, 60.0))
    assert one.within(NO_LIMITS) == one
