"""Statements with one row of VALUES, run for many rows at once.

Each step of the engine releases and takes back the interpreter lock, so a statement with 32 rows costs far less than 32 statements. SQLite numbers
a statement's parameters, so the names of the row become positions in this module alone.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import apsw

from sendryd.store.codec.reading import Row

# Rows of one statement. The common numbers take one step; each prepared statement holds some kilobytes.
CHUNKS: Final = (32, *range(16, 0, -1))
_NAME: Final = re.compile(r":(\w+)")


class ManyRows:
    """A statement `… VALUES (:a, :b) …` of at least two parameters."""

    def __init__(self, statement: str) -> None:
        before, _, rest = statement.partition("VALUES (")
        values, _, after = rest.partition(")")
        names = _NAME.findall(values)
        row = f"({_NAME.sub('?', values)})"
        self._take = itemgetter(*names)
        self._statements = {size: f"{before}VALUES {', '.join([row] * size)}{after}" for size in CHUNKS}

    def run(self, connection: apsw.Connection, rows: Sequence[Row]) -> None:
        """Runs the statement for all rows."""
        take, position, left = self._take, 0, len(rows)
        for size in CHUNKS:
            while left >= size:
                values: list[Any] = list(chain.from_iterable(map(take, rows[position : position + size])))
                connection.execute(self._statements[size], values)
                position += size
                left -= size


@cache
def many_rows(statement: str) -> ManyRows:
    """The statement for many rows."""
    return ManyRows(statement)
