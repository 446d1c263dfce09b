"""The table of what receivers and DNS do wrong: each line names a test that exists."""

import ast
import tomllib
from functools import cache
from pathlib import Path

from sendryd.testing.cases import cases

ROOT = Path(__file__).parents[2]
CASES = tomllib.loads((ROOT / "tests/data/misbehaviour.toml").read_text("utf-8"))["case"]


@cases("case", CASES, ids=lambda case: case["case"])
def test_each_case_names_a_test(case: dict[str, str]) -> None:
    path, _, name = case["test"].partition("::")
    assert name in functions(path)


@cache
def functions(path: str) -> set[str]:
    """The names of the functions of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_case_is_there_once() -> None:
    assert len({case["case"] for case in CASES}) == len(CASES)
