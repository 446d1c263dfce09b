"""Runs statements with named parameters on a connection; rows are mappings from column names to values."""

from typing import Any

from sendryd.store.codec.reading import Row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement


def fetch_rows(connection: Connection, statement: Statement, /, **values: Any) -> list[Row]:
    """All rows of a statement."""
    return connection.rows(statement, values)


def fetch_row(connection: Connection, statement: Statement, /, **values: Any) -> Row | None:
    """The first row of a statement."""
    return connection.row(statement, values)


def fetch_value(connection: Connection, statement: Statement, /, **values: Any) -> Any:
    """The value of a statement that returns one row with one column; None if it returns no row."""
    return connection.value(statement, values)


def change(connection: Connection, statement: Statement, /, **values: Any) -> int:
    """Runs a statement that changes rows. Returns how many it changed."""
    return connection.change(statement, values)
