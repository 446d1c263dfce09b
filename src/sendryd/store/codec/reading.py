"""Reading rows that may be damaged: a fault in a value becomes `RowUnreadable` with the public id of the row."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sendryd.model.ids import format_id
from sendryd.store.errors import RowUnreadable

# Faults of a stored value; OSError: a time beyond all years.
FAULTS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, OSError)

Row = Mapping[str, Any]  # column names to stored values: int, str, bytes, None
Types = Mapping[str, type | tuple[type, ...]]

Value = TypeVar("Value")

TEXT_OR_NONE: Final = (str, type(None))
NUMBER_OR_NONE: Final = (int, type(None))


def row_of(prefix: str) -> Callable[[Callable[[Row], Value]], Callable[[Row], Value]]:
    """Marks the reader of a kind of row whose column `id` has the number of a public id with this prefix."""

    def mark(read: Callable[[Row], Value]) -> Callable[[Row], Value]:
        @functools.wraps(read)
        def checked(row: Row) -> Value:
            try:
                return read(row)
            except FAULTS as error:
                raise RowUnreadable(_name(prefix, row), f"{type(error).__name__}: {error}") from error

        return checked

    return mark


def _name(prefix: str, row: Row) -> str:
    number = row.get("id")
    return format_id(prefix, number) if isinstance(number, int) else prefix


def part(row: Row, prefix: str) -> dict[str, Any]:
    """The columns of another table in a joined row, which have this prefix there, by the names that they have in their table."""
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def check_types(row: Row, types: Types) -> None:
    """Raises `TypeError` if a value is not of its column's type: SQLite keeps what a damaged page says."""
    for name, kind in types.items():
        if not isinstance(row[name], kind):
            raise TypeError("a value of it has the wrong type")
