"""Retry-After, whatever a stranger writes into it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from sendryd.policy.retryafter import MAX_RETRY_AFTER, parse_retry_after
from sendryd.testing.cases import cases

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@cases(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0000000000000000000000000000000000000009", 9),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 40, 3600),
        ("9" * 5000, 3600),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
        ("Sun Mar  1 12:00:30 2026", 30),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600),
    ],
)
def test_what_can_be_read(value: str, seconds: int) -> None:
    assert parse_retry_after(value, NOW) == timedelta(seconds=seconds)


@cases(
    "value",
    [
        "",
        " ",
        "0",
        "-5",
        "+5",
        "1e9",
        "0x10",
        "NaN",
        "soon",
        "٣٦٠٠",  # Arabic-Indic digits
        "²",
        "5, 7",
        "5;",
        "Sat, 28 Feb 2026 12:00:00 GMT",  # gone by
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Sun, 01 Mar 2026 12:00:30 +9999999999",
        "Sun, 99 Mar 2026 12:00:30 GMT",
        "Sun, 01 Mar 99999999999 12:00:30 GMT",
        "1.5",
        "Sun, 01 Mar 2026 12:00:30 GMT" + " " * 5000 + "x",
        "\ud800",
    ],
)
def test_what_asks_for_nothing(value: str) -> None:
    assert parse_retry_after(value, NOW) is None


@given(st.one_of(st.text(), st.text("0123456789.:,+-GMT SunMar", max_size=40), st.datetimes(timezones=st.just(UTC)).map(format_datetime)))
def test_any_value_is_read_or_not(value: str) -> None:
    wait = parse_retry_after(value, NOW)
    assert wait is None or timedelta(0) < wait <= MAX_RETRY_AFTER
