"""Statements that store many rows at once."""

import apsw
import pytest

from sendryd.store.drivers.manyrows import CHUNKS, ManyRows


@pytest.mark.parametrize("count", [0, 1, CHUNKS[0] - 1, CHUNKS[0], 3 * CHUNKS[0] + 5])
def test_many_rows_are_stored_in_order(count: int) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER, b TEXT)")
    # The order of the names in a row is of no matter, nor are those that the statement has no use for.
    ManyRows("INSERT INTO t (a, b) VALUES (:a, :b)").run(connection, [{"b": f"b{number}", "c": 0, "a": number} for number in range(count)])
    assert connection.execute("SELECT a, b FROM t ORDER BY rowid").fetchall() == [(number, f"b{number}") for number in range(count)]
