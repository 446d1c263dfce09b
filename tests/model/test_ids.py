"""Identifiers go out as text and come back as the same number."""

from hypothesis import given
from hypothesis import strategies as st

from sendryd.model.ids import format_id, parse_id
from sendryd.testing.cases import cases


@given(st.integers(min_value=0, max_value=(1 << 63) - 1))
def test_round_trip(number: int) -> None:
    assert parse_id(format_id("em", number), "em") == number


@given(st.integers(min_value=0, max_value=(1 << 63) - 1), st.integers(min_value=0, max_value=(1 << 63) - 1))
def test_texts_sort_as_the_numbers_do(first: int, second: int) -> None:
    assert (first < second) == (format_id("em", first) < format_id("em", second))


def test_one_number_may_be_seen_under_two_prefixes() -> None:
    assert parse_id("te" + format_id("em", 42)[2:], "em", "te") == 42


@given(st.text(max_size=30))
def test_other_texts_are_no_identifiers(text: str) -> None:
    number = parse_id(text, "em")
    assert number is None or format_id("em", number) == text


@cases(
    "text", ["em_", "em_zzzzzzzzzzzzz", "em_000000000000", "key_0000000000001", "em-0000000000001", "em_00000000000u1", "em_000000000000ü"]
)
def test_near_misses(text: str) -> None:
    assert parse_id(text, "em") is None
