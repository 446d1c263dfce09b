"""Moments as text."""

from datetime import UTC, datetime, timedelta

from sendryd.model.moment import timestamp

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_timestamps_have_milliseconds_and_a_z() -> None:
    assert timestamp(NOW) == "2026-03-01T12:00:00.000Z"
    assert timestamp(NOW + timedelta(microseconds=412_999)) == "2026-03-01T12:00:00.412Z"
