"""Runs statements with named parameters on a connection; rows are mappings from column names to values."""

from typing import Any

import apsw

from sendryd.store.codec.reading import Row


def columns_of(cursor: apsw.Cursor) -> list[str]:
    """The column names of a statement that was just executed; none if it returns no rows."""
    try:
        return [name for name, _ in cursor.get_description()]
    except apsw.ExecutionCompleteError:
        return []


def fetch_rows(connection: apsw.Connection, statement: str, /, **values: Any) -> list[Row]:
    """All rows of a statement."""
    cursor = connection.execute(statement, values)
    names = columns_of(cursor)
    return [dict(zip(names, row, strict=True)) for row in cursor]


def fetch_row(connection: apsw.Connection, statement: str, /, **values: Any) -> Row | None:
    """The first row of a statement."""
    cursor = connection.execute(statement, values)
    names = columns_of(cursor)
    row = cursor.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def fetch_value(connection: apsw.Connection, statement: str, /, **values: Any) -> Any:
    """The value of a statement that returns one row with one column; None if it returns no row."""
    row = connection.execute(statement, values).fetchone()
    return None if row is None else row[0]


def change(connection: apsw.Connection, statement: str, /, **values: Any) -> int:
    """Runs a statement that changes rows. Returns how many it changed."""
    connection.execute(statement, values).fetchall()
    return int(connection.changes())
