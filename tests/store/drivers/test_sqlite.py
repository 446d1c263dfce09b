"""A connection of SQLite runs named statements, and reads rows by the names of their columns."""

import apsw
import pytest

from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows, fetch_value


def of(text: str) -> Statement:
    return Statement("some", text, text)


@pytest.fixture
def connection() -> SqliteConnection:
    made = SqliteConnection(":memory:")
    made.execute("CREATE TABLE t (a INTEGER, b TEXT)")
    return made


def test_rows_are_read_by_name(connection: SqliteConnection) -> None:
    assert change(connection, of("INSERT INTO t VALUES (:a, :b), (:a + 1, :b)"), a=1, b="x") == 2
    assert fetch_rows(connection, of("SELECT b AS word, a FROM t WHERE a > :least ORDER BY a"), least=0) == [
        {"word": "x", "a": 1},
        {"word": "x", "a": 2},
    ]
    assert fetch_rows(connection, of("SELECT a FROM t WHERE a > :least"), least=2) == []
    assert fetch_row(connection, of("SELECT max(a) AS a FROM t")) == {"a": 2}
    assert fetch_row(connection, of("SELECT a FROM t WHERE a = :a"), a=9) is None
    assert fetch_value(connection, of("SELECT count(*) FROM t")) == 2
    assert fetch_value(connection, of("SELECT a FROM t WHERE a = :a"), a=9) is None
    assert list(connection.tuples(of("SELECT a, b FROM t ORDER BY a"), {})) == [(1, "x"), (2, "x")]


def test_rows_that_a_change_returns_are_read(connection: SqliteConnection) -> None:
    assert fetch_rows(connection, of("INSERT INTO t VALUES (:a, :b) RETURNING a"), a=1, b="x") == [{"a": 1}]
    assert fetch_rows(connection, of("INSERT INTO t VALUES (:a, :b)"), a=2, b="x") == []


def test_a_parameter_that_was_forgotten_is_an_error(connection: SqliteConnection) -> None:
    with pytest.raises(KeyError):
        change(connection, of("INSERT INTO t VALUES (:a, :b)"), a=1)


def test_a_row_with_a_text_that_is_none_is_set_aside_alone(connection: SqliteConnection) -> None:
    connection.execute("INSERT INTO t VALUES (1, 'x'), (2, CAST(x'ff' AS TEXT)), (3, 'z')")
    statement = of("SELECT a, b FROM t ORDER BY a")
    assert connection.sound_rows(statement, {}) == [{"a": 1, "b": "x"}, None, {"a": 3, "b": "z"}]
    with pytest.raises(UnicodeDecodeError):
        connection.rows(statement, {})


def test_many_rows_are_put_by_statements_of_both_forms(connection: SqliteConnection) -> None:
    connection.execute("CREATE UNIQUE INDEX t_a ON t (a)")
    connection.put(of("INSERT INTO t (a, b) VALUES (:a, :b)"), [{"a": number, "b": "x"} for number in range(40)])
    connection.put(of("INSERT INTO t (a, b) VALUES (:a, :b)"), [])
    connection.put_each(of("UPDATE t SET b = :b WHERE a = :a"), [{"a": 3, "b": "y"}, {"a": 4, "b": "z"}])
    assert fetch_value(connection, of("SELECT count(*) FROM t WHERE b = 'x'")) == 38
    with pytest.raises(apsw.ConstraintError):
        connection.put(of("INSERT INTO t (a, b) VALUES (:a, :b)"), [{"a": 1, "b": "x"}])
