"""CSV that people open in spreadsheets."""

import csv
import io

import pytest

from sendryd.web.tables import csv_text, guard, unguard


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_nothing_is_taken_for_a_formula(cell: str) -> None:
    assert guard(cell) == "'" + cell
    assert unguard(guard(cell)) == cell


@pytest.mark.parametrize("cell", ["", "a=b", "'x", "5", "'"])
def test_other_text_is_left_alone(cell: str) -> None:
    assert guard(cell) == unguard(cell) == cell


def test_rows_are_read_back_by_others() -> None:
    rows = [("a,b", 'say "x"', "two\nlines"), ("=x", "é", "")]
    read = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert read == [["a,b", 'say "x"', "two\nlines"], ["'=x", "é", ""]]


def test_numbers_stay_numbers() -> None:
    assert csv_text([(-1, 0.5)]) == "-1,0.5\r\n"
