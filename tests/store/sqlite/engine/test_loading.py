"""Named statements: what a `queries.sql` may say, and what comes of it."""

import re
from importlib import resources
from pathlib import Path

import apsw
import pytest

from sendryd.store.derived.activity import provider_in_sql
from sendryd.store.drivers.loading import load, read
from sendryd.store.drivers.manyrows import CHUNKS, ManyRows
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows, fetch_value
from sendryd.store.sqlite.engine import migrate

FOLDERS = sorted(path.parent.name for path in Path(str(resources.files("sendryd.store.sqlite"))).glob("*/queries.sql"))
TEXT = """-- What it is for.

-- columns: pair
a, b

-- name: put
-- Stores a pair.
INSERT INTO t ({pair}) VALUES ({:pair});

-- name: list
-- Pairs with
-- the same pair again.
SELECT {pair:x}, {pair:y:other_} FROM t x JOIN t y ON y.a = x.a WHERE {conditions};
"""


@pytest.fixture
def connection() -> apsw.Connection:
    made = apsw.Connection(":memory:")
    made.execute("CREATE TABLE t (a INTEGER, b TEXT)")
    return made


def test_a_list_of_columns_is_written_once() -> None:
    found = read(TEXT)
    assert found["put"] == "INSERT INTO t (a, b) VALUES (:a, :b)"
    assert found["list"].startswith("SELECT x.a, x.b, y.a AS other_a, y.b AS other_b FROM")
    assert found["list"].endswith("WHERE {conditions}")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("-- name: a\n-- One.\nSELECT 1;\n-- name: a\n-- Two.\nSELECT 2;\n", ValueError),
        ("-- columns: a\nb\n-- columns: a\nc\n", ValueError),
        ("-- name: a\nSELECT 1;\n", ValueError),  # no sentence
        ("-- name: a\n-- One.\nSELECT {b};\n", KeyError),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(text)


@pytest.mark.parametrize("folder", FOLDERS)
def test_statements_name_their_parameters_and_say_what_they_do(folder: str) -> None:
    text = resources.files(f"sendryd.store.sqlite.{folder}").joinpath("queries.sql").read_text("utf-8")
    assert not re.search(r"\?\d*", text)
    for name, sentence in re.findall(r"^-- name: (\w+)\n-- (.*(?:\n-- .*)*)", text, re.MULTILINE):
        assert sentence[0].isupper(), name
        assert sentence.endswith("."), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_statement_fits_the_schema(folder: str) -> None:
    made = apsw.Connection(":memory:")
    migrate.apply(made)
    made.create_scalar_function("provider_of", provider_in_sql, 2, deterministic=True)
    made.execute(resources.files("sendryd.store.derived").joinpath("schema.sql").read_text("utf-8"))
    for statement in load(f"sendryd.store.sqlite.{folder}").values():
        whole = statement.replace("{conditions}", "1")
        made.execute(f"EXPLAIN {whole}", dict.fromkeys(re.findall(r":(\w+)", whole))).fetchall()
    made.close()


def test_rows_are_read_by_name(connection: apsw.Connection) -> None:
    assert change(connection, "INSERT INTO t VALUES (:a, :b), (:a + 1, :b)", a=1, b="x") == 2
    assert fetch_rows(connection, "SELECT b AS word, a FROM t WHERE a > :least ORDER BY a", least=0) == [
        {"word": "x", "a": 1},
        {"word": "x", "a": 2},
    ]
    assert fetch_rows(connection, "SELECT a FROM t WHERE a > :least", least=2) == []
    assert fetch_row(connection, "SELECT max(a) AS a FROM t") == {"a": 2}
    assert fetch_row(connection, "SELECT a FROM t WHERE a = :a", a=9) is None
    assert fetch_value(connection, "SELECT count(*) FROM t") == 2
    assert fetch_value(connection, "SELECT a FROM t WHERE a = :a", a=9) is None


def test_a_parameter_that_was_forgotten_is_an_error(connection: apsw.Connection) -> None:
    with pytest.raises(KeyError):
        change(connection, "INSERT INTO t VALUES (:a, :b)", a=1)


@pytest.mark.parametrize("count", [0, 1, CHUNKS[0] - 1, CHUNKS[0], 3 * CHUNKS[0] + 5])
def test_many_rows_are_stored_in_order(connection: apsw.Connection, count: int) -> None:
    # The order of the names in a row is of no matter, nor are those that the statement has no use for.
    ManyRows("INSERT INTO t (a, b) VALUES (:a, :b)").run(connection, [{"b": f"b{number}", "c": 0, "a": number} for number in range(count)])
    assert connection.execute("SELECT a, b FROM t ORDER BY rowid").fetchall() == [(number, f"b{number}") for number in range(count)]
