"""One statement in the words of two engines."""

import pytest

from sendryd.store.drivers.statement import Statement, to_sqlite


def made(text: str) -> Statement:
    return Statement("some", to_sqlite(text), text)


@pytest.mark.parametrize(
    ("mark", "sqlite", "postgres"),
    [
        (
            "{in_numbers:ids}",
            "IN (SELECT value FROM json_each(:ids))",
            "= ANY (ARRAY(SELECT json_array_elements_text(:ids::json)::bigint))",
        ),
        ("{in_words:ids}", "IN (SELECT value FROM json_each(:ids))", "= ANY (ARRAY(SELECT json_array_elements_text(:ids::json)::text))"),
        (
            "{not_in_numbers:ids}",
            "NOT IN (SELECT value FROM json_each(:ids))",
            "<> ALL (ARRAY(SELECT json_array_elements_text(:ids::json)::bigint))",
        ),
        (
            "{not_in_words:ids}",
            "NOT IN (SELECT value FROM json_each(:ids))",
            "<> ALL (ARRAY(SELECT json_array_elements_text(:ids::json)::text))",
        ),
    ],
)
def test_a_list_is_one_parameter_in_both_engines(mark: str, sqlite: str, postgres: str) -> None:
    statement = made(f"SELECT a FROM t WHERE a {mark} AND b = :b")
    assert statement.sqlite == f"SELECT a FROM t WHERE a {sqlite} AND b = :b"
    assert statement.postgres_text == f"SELECT a FROM t WHERE a {postgres} AND b = :b"
    assert statement.parameters == ("ids", "b")


@pytest.mark.parametrize(
    ("common", "postgres"),
    [
        ("SELECT a FROM t WHERE b LIKE :b ESCAPE '!'", "SELECT a FROM t WHERE b ILIKE :b ESCAPE '!'"),
        ("SELECT a FROM t WHERE b NOT LIKE :b", "SELECT a FROM t WHERE b NOT ILIKE :b"),
        ("SELECT a FROM t WHERE t.b = :b COLLATE NOCASE", "SELECT a FROM t WHERE lower(t.b) = lower(:b)"),
        ("SELECT a FROM t INDEXED BY t_listed WHERE a = 1", "SELECT a FROM t WHERE a = 1"),
        ("SELECT a FROM t NOT INDEXED WHERE a = 1", "SELECT a FROM t WHERE a = 1"),
    ],
)
def test_words_of_sqlite_become_those_of_postgres(common: str, postgres: str) -> None:
    statement = made(common)
    assert statement.sqlite == common
    assert statement.postgres_text == postgres


def test_parameters_of_postgres_are_numbered_in_their_order_and_once() -> None:
    statement = made("SELECT :b::bigint, c::text FROM t WHERE a = :a AND b > :b AND d = :a_1")
    assert statement.postgres == "SELECT $1::bigint, c::text FROM t WHERE a = $2 AND b > $1 AND d = $3"
    assert statement.parameters == ("b", "a", "a_1")


def test_conditions_take_their_place_in_both_texts_and_may_have_marks() -> None:
    statement = made("SELECT a FROM t WHERE {conditions} AND b = :b")
    whole = statement.where("a {in_numbers:ids} AND c LIKE :c")
    assert whole.sqlite == "SELECT a FROM t WHERE a IN (SELECT value FROM json_each(:ids)) AND c LIKE :c AND b = :b"
    assert whole.postgres.endswith("($1::json)::bigint)) AND c ILIKE $2 AND b = $3")
    assert whole.parameters == ("ids", "c", "b")
    assert whole.name == statement.name
    assert statement.where("a = 1").sqlite == "SELECT a FROM t WHERE a = 1 AND b = :b"


def test_a_part_can_be_replaced_for_one_engine_or_both() -> None:
    statement = made("SELECT a FROM t ORDER BY a")
    assert statement.replaced("FROM t", "FROM t INDEXED BY t_listed").sqlite == "SELECT a FROM t INDEXED BY t_listed ORDER BY a"
    assert statement.replaced("FROM t", "FROM t INDEXED BY t_listed").postgres == statement.postgres
    assert statement.replaced("BY a", "BY a DESC").postgres == "SELECT a FROM t ORDER BY a DESC"


@pytest.mark.parametrize(
    ("text", "is_change"),
    [
        ("SELECT a FROM t", False),
        ("SELECT updated_at FROM inserted", False),
        ("INSERT INTO t (a) VALUES (:a)", True),
        ("UPDATE t SET a = :a", True),
        ("WITH old AS (SELECT a FROM t) DELETE FROM t WHERE a IN (SELECT a FROM old)", True),
    ],
)
def test_changes_are_told_from_reads(text: str, is_change: bool) -> None:
    assert made(text).is_change == is_change
