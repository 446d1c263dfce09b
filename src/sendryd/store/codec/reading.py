"""Reading rows that may be damaged: a fault in a value becomes `RowUnreadable` with the public id of the row."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sendryd.model.ids import format_id
from sendryd.store.errors import RowUnreadable

# Faults of a stored value; OSError: a time beyond all years.
FAULTS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, OSError)

Row = Sequence[Any]
Value = TypeVar("Value")


def row_of(prefix: str) -> Callable[[Callable[[Row], Value]], Callable[[Row], Value]]:
    """Marks the reader of a kind of row whose first column is the id."""

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
    number = row[0] if row else None
    return format_id(prefix, number) if isinstance(number, int) else prefix
