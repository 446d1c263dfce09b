"""Rows that are read by name, and what a fault in one becomes."""

from typing import Any

import pytest

from sendryd.model.ids import MESSAGE_PREFIX, format_id
from sendryd.store.codec.reading import TEXT_OR_NONE, Row, Types, check_types, part, row_of
from sendryd.store.errors import RowUnreadable


@row_of(MESSAGE_PREFIX)
def read(row: Row) -> int:
    return int(row["number"]) // int(row["by"])


@pytest.mark.parametrize("fault", [{"number": "x", "by": 1}, {"number": None, "by": 1}, {"number": 1, "by": 0}, {"by": 1}])
def test_a_fault_names_the_row(fault: dict[str, Any]) -> None:
    assert read({"id": 5, "number": 6, "by": 3}) == 2
    with pytest.raises(RowUnreadable) as caught:
        read({"id": 5, **fault})
    assert caught.value.public_id == format_id(MESSAGE_PREFIX, 5)


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": "text"}])
def test_a_row_without_a_number_is_named_by_its_kind(row: dict[str, Any]) -> None:
    with pytest.raises(RowUnreadable) as caught:
        read(row)
    assert caught.value.public_id == MESSAGE_PREFIX


def test_a_joined_row_has_its_parts_under_prefixes() -> None:
    assert part({"id": 1, "event_id": 2, "event_type": "sent"}, "event_") == {"id": 2, "type": "sent"}


def test_a_value_has_the_type_of_its_column() -> None:
    types: Types = {"id": int, "tags": TEXT_OR_NONE}
    check_types({"id": 1, "tags": None, "other": b""}, types)
    for row in ({"id": "1", "tags": None}, {"id": 1, "tags": b"x"}):
        with pytest.raises(TypeError):
            check_types(row, types)
