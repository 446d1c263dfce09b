"""Times, counts and receivers as a sentence names them."""

from datetime import UTC, datetime, timedelta

import pytest

from sendryd.policy.explain.words import clock, count, day, listing, receiver, span

NOW = datetime(2026, 5, 5, 13, 58, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=40), "40 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=16), "16 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=72), "3 days"),
    ],
)
def test_a_span_has_one_unit(duration: timedelta, text: str) -> None:
    assert span(duration) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOW.replace(hour=14, minute=5), "14:05 UTC"),
        (NOW + timedelta(days=1), "Wednesday 13:58 UTC"),
        (NOW - timedelta(days=1), "Monday 13:58 UTC"),
        (NOW + timedelta(days=30), "4 June 13:58 UTC"),
    ],
)
def test_a_time_is_as_short_as_it_is_clear(moment: datetime, text: str) -> None:
    assert clock(moment, NOW) == text


def test_a_day_names_another_year() -> None:
    assert day(NOW - timedelta(days=2), NOW) == "3 May"
    assert day(NOW - timedelta(days=365), NOW) == "5 May 2025"


def test_counts_and_lists() -> None:
    assert [count(number, "try", "tries") for number in (1, 2, 1204)] == ["1 try", "2 tries", "1,204 tries"]
    assert [listing(names) for names in ((), ("a",), ("a", "b"), ("a", "b", "c", "d"))] == ["", "a", "a and b", "a, b and 2 more"]
    assert (receiver("gmail.com"), receiver("corp.example")) == ("Gmail", "corp.example")
