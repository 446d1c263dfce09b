"""When a message is to be sent."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.send_time import MAX_AHEAD, ScheduleError, parse_scheduled_at
from sendryd.testing.cases import cases

NOW = datetime(2026, 3, 4, 12, 30, 15, tzinfo=UTC)  # a Wednesday, before daylight saving


def at(month: int, day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


@cases(
    ("text", "expected"),
    [
        ("2026-03-10T14:00:00Z", at(3, 10, 14)),
        ("2026-03-10 14:00:00+00", at(3, 10, 14)),
        ("2026-03-10T14:00:00-05", at(3, 10, 19)),
        ("2026-03-10T14:00+0530", at(3, 10, 8, 30)),
        ("2026-03-10T14:00:00.123+02", at(3, 10, 12).replace(microsecond=123000)),
        ("2026-03-10t14:00:00z", at(3, 10, 14)),
        ("2026-03-10 14:00:00 +01", at(3, 10, 13)),
        ("2026-03-10T14:00:00.250+02:00", at(3, 10, 12) + timedelta(milliseconds=250)),
        ("2026-03-10t14:00z", at(3, 10, 14)),
        ("2026-03-10 14:00", at(3, 10, 14)),
        ("2026-03-10", at(3, 10, 0)),
        ("in 2 hours", at(3, 4, 14, 30, 15)),
        ("In 30 Minutes", at(3, 4, 13, 0, 15)),
        ("in an hour", at(3, 4, 13, 30, 15)),
        ("in 1 hour and 15 minutes", at(3, 4, 13, 45, 15)),
        ("in 3 days", at(3, 7, 12, 30, 15)),
        ("in 2 weeks", at(3, 18, 12, 30, 15)),
        ("tomorrow", at(3, 5, 9)),
        ("tomorrow morning", at(3, 5, 9)),
        ("tomorrow at 9am", at(3, 5, 9)),
        ("tomorrow 17:45", at(3, 5, 17, 45)),
        ("tonight", at(3, 4, 20)),
        ("today at 5 pm", at(3, 4, 17)),
        ("noon", at(3, 5, 12)),
        ("at 5pm PT", at(3, 5, 1)),
        ("Friday at 9am EST", at(3, 6, 14)),
        ("Friday at 3pm ET", at(3, 6, 20)),
        ("on Monday at 3pm ET", at(3, 9, 19)),  # daylight saving began on the 8th
        ("Wednesday at 9am", at(3, 11, 9)),
        ("Wednesday at 3pm", at(3, 4, 15)),
        ("next Wednesday at 3pm", at(3, 11, 15)),
        ("next monday", at(3, 9, 9)),
        ("monday 14:30 Europe/Berlin", at(3, 9, 13, 30)),
        ("next week", at(3, 11, 9)),
        ("friday 10:00 +02:00", at(3, 6, 8)),
        ("friday at 12am utc", at(3, 6, 0)),
        ("now", NOW),
        ("2026-03-04T12:29:00Z", NOW),
    ],
)
def test_what_the_contract_shows_and_its_like(text: str, expected: datetime) -> None:
    assert parse_scheduled_at(text, NOW) == expected


@cases(
    "text",
    [
        "",
        "soon",
        "whenever",
        "at 25:00",
        "at 13pm",
        "tomorrow at",
        "friday at 9",
        "in -5 hours",
        "in ٣ hours",
        "2026-02-30T00:00Z",
        "2026-03-10T14:00+26:00",
        "9999-12-31T23:59:59-14:00",
        "monday 9am Mars/Base",
        "monday 9am ../etc/passwd",
        "x" * 10000,
        "in 99999 weeks",
        "next",
        "yesterday",
        "Friday at 9am EST EST",
    ],
)
def test_what_is_not_understood_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ScheduleError, match=r"write|ahead|zone"):
        parse_scheduled_at(text, NOW)


def test_the_past_and_the_far_future_are_refused() -> None:
    with pytest.raises(ScheduleError, match="past"):
        parse_scheduled_at("2026-03-04T12:20:00Z", NOW)
    with pytest.raises(ScheduleError, match="30 days"):
        parse_scheduled_at("in 31 days", NOW)
    assert parse_scheduled_at("in 30 days", NOW) == NOW + MAX_AHEAD


def test_a_zone_can_be_given_beside_the_text() -> None:
    assert parse_scheduled_at("tomorrow at 9am", NOW, zone="Asia/Tokyo") == at(3, 5, 0)
    assert parse_scheduled_at("2026-03-10T14:00", NOW, zone="Asia/Tokyo") == at(3, 10, 5)


def test_a_time_that_a_zone_skips_is_an_hour_later() -> None:
    assert parse_scheduled_at("Sunday at 2:30am ET", NOW) == at(3, 8, 7, 30)


@given(st.text(alphabet="in tomrwfidays0123456789:-+TZ/apmET ", max_size=40))
def test_any_text_is_a_time_ahead_or_refused(text: str) -> None:
    try:
        moment = parse_scheduled_at(text, NOW)
    except ScheduleError as error:
        assert len(str(error)) > 10
    else:
        assert NOW <= moment <= NOW + MAX_AHEAD
