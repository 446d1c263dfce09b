"""Previews are kept for ten minutes, within a bound."""

from datetime import timedelta

from sendryd.dashboard.previews import LIFETIME, MAX_OCTETS, Previews
from sendryd.runtime.rand import SystemRand
from sendryd.testing.clock import ManualClock


def test_a_preview_is_found_by_its_name_for_ten_minutes() -> None:
    clock = ManualClock()
    previews = Previews(clock, SystemRand())
    name = previews.keep(b"one")
    assert previews.find(name) == b"one"
    assert previews.find("another") is None
    clock.advance(timedelta(seconds=LIFETIME + 1))
    assert previews.find(name) is None


def test_the_oldest_go_first() -> None:
    previews = Previews(ManualClock(), SystemRand())
    names = [previews.keep(b"x" * (MAX_OCTETS // 4)) for _ in range(6)]
    assert [previews.find(name) is not None for name in names] == [False, False, True, True, True, True]
