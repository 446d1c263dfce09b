"""Reading rows that may be damaged: a faulty value raises `RowUnreadable` with the public id of the row."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sendryd.model.ids import format_id
from sendryd.store.errors import RowUnreadable

# What a faulty value raises; OSError: a time outside the range of `datetime`.
FAULTS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, OSError)

Row = Mapping[str, Any]  # column names to stored values: int, str, bytes, None
Types = Mapping[str, type | tuple[type, ...]]

Value = TypeVar("Value")

TEXT_OR_NONE: Final = (str, type(None))
NUMBER_OR_NONE: Final = (int, type(None))


def row_of(prefix: str) -> Callable[[Callable[[Row], Value]], Callable[[Row], Value]]:
    """Decorates the reader of a kind of row. The row's column `id` is the number of a public id with this prefix."""

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
    """The columns of one table of a joined row: those that begin with the prefix, by their names without it."""
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def check_types(row: Row, types: Types) -> None:
    """Raises `TypeError` if a value has not its column's type: SQLite does not check the types in a damaged page."""
    for name, kind in types.items():
        if not isinstance(row[name], kind):
            raise TypeError("one of its values has the wrong type")
