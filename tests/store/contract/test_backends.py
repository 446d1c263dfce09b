"""The suite is whole: each aggregate has its tests, SQLite has all of them, and no method of the contract is left out."""

import inspect
from pathlib import Path

from sendryd.store.base import Store

from .backends import ALL, BACKENDS, Aggregate

HERE = Path(__file__).parent


def test_each_aggregate_has_a_file_of_tests() -> None:
    files = {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")} - {"backends", "content_store"}
    assert files == set(Aggregate)


def test_sqlite_has_every_aggregate() -> None:
    assert {backend.name: backend.aggregates for backend in BACKENDS}["sqlite"] == ALL


def test_every_method_of_the_contract_is_called() -> None:
    tests = "".join(path.read_text("utf-8") for path in HERE.glob("test_*.py"))
    methods = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")}
    assert {name for name in methods if f".{name}(" not in tests and f'"{name}"' not in tests} == set()


def test_the_tests_name_no_backend() -> None:
    for path in HERE.glob("test_*.py"):
        imported = [line for line in path.read_text("utf-8").splitlines() if line.startswith(("from ", "import ")) and "sqlite" in line]
        assert imported == [], path.name
