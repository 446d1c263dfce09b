"""Named statements: what a `queries.sql` and a `postgres.sql` may say, and what comes of it."""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import pytest

from sendryd.store.drivers.loading import load, read
from sendryd.store.drivers.sqlite import SqliteConnection
from sendryd.store.drivers.statement import Statement
from sendryd.store.sqlite.engine import migrate
from sendryd.testing.cases import cases

STORE = Path(str(resources.files("sendryd.store")))
PACKAGES = sorted(".".join(("sendryd.store", *path.parent.relative_to(STORE).parts)) for path in STORE.rglob("queries.sql"))
SERVER = "sendryd.store.postgres"  # whose statements SQLite never runs
OF_PROCESSES = {"shards"}  # parameters of a database that several processes deliver from
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


class Folder:
    """A package that has statements."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, **files: str) -> Mapping[str, Statement]:
        """The statements of a package of these files, each named without its ending."""
        self._path.mkdir()
        (self._path / "__init__.py").touch()
        for name, text in files.items():
            (self._path / f"{name}.sql").write_text(text, "utf-8")
        return load(self._path.name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.syspath_prepend(tmp_path)
    yield Folder(tmp_path / "statements_of_a_test")
    sys.modules.pop("statements_of_a_test", None)


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


def test_marks_are_left_for_the_engines() -> None:
    text = "SELECT a FROM t WHERE a {in_numbers:ids} AND b {not_in_words:names}"
    assert read(f"-- name: some\n-- Some.\n{text};\n") == {"some": text}


def test_a_statement_has_one_text_for_both_engines(folder: Folder) -> None:
    found = folder.load(queries=TEXT)
    assert found["put"].sqlite == found["put"].postgres_text == "INSERT INTO t (a, b) VALUES (:a, :b)"
    assert found["put"].name == "put"


def test_postgres_takes_its_own_text_where_there_is_one(folder: Folder) -> None:
    own = "-- name: put\n-- Stores a pair once.\nINSERT INTO t ({pair}) VALUES ({:pair}) ON CONFLICT DO NOTHING;\n"
    found = folder.load(queries=TEXT, postgres=own)
    assert found["put"].sqlite == "INSERT INTO t (a, b) VALUES (:a, :b)"
    assert found["put"].postgres_text == "INSERT INTO t (a, b) VALUES (:a, :b) ON CONFLICT DO NOTHING"
    assert found["list"].postgres_text == found["list"].sqlite


def test_a_statement_of_postgres_alone_is_refused(folder: Folder) -> None:
    with pytest.raises(ValueError, match="that queries.sql has not: puts"):
        folder.load(queries=TEXT, postgres="-- name: puts\n-- Stores a pair.\nINSERT INTO t ({pair}) VALUES ({:pair});\n")


@cases("package", PACKAGES)
def test_statements_name_their_parameters_and_say_what_they_do(package: str) -> None:
    for file in ("queries.sql", "postgres.sql"):
        path = resources.files(package).joinpath(file)
        text = path.read_text("utf-8") if path.is_file() else ""
        assert not re.search(r"\?\d*", text)
        for name, sentence in re.findall(r"^-- name: (\w+)\n-- (.*(?:\n-- .*)*)", text, re.MULTILINE):
            assert sentence[0].isupper(), name
            assert sentence.endswith("."), name


@pytest.fixture
def schema() -> Iterator[SqliteConnection]:
    """A database with the schema and that of the derived file."""
    made = SqliteConnection(":memory:")
    migrate.apply(made)
    made.execute(resources.files("sendryd.store.derived").joinpath("schema.sql").read_text("utf-8"))
    yield made
    made.close()


@cases("package", [each for each in PACKAGES if each != SERVER])
def test_every_statement_fits_the_schema(schema: SqliteConnection, package: str) -> None:
    for statement in load(package).values():
        whole = statement.where("1").sqlite
        schema.execute(f"EXPLAIN {whole}", dict.fromkeys(re.findall(r":(\w+)", whole))).fetchall()


@cases("package", PACKAGES)
def test_both_texts_of_a_statement_have_the_same_parameters(package: str) -> None:
    for statement in load(package).values():
        known = set(re.findall(r"(?<!:):([a-z_]\w*)", statement.sqlite)) | OF_PROCESSES
        assert set(statement.parameters) <= known, statement
