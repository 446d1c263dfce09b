"""The table of what receivers and DNS do wrong: each line names a test that exists."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = tomllib.loads((ROOT / "tests/data/misbehaviour.toml").read_text("utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_each_case_names_a_test(case: dict[str, str]) -> None:
    path, _, name = case["test"].partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_case_is_there_once() -> None:
    assert len({case["case"] for case in CASES}) == len(CASES)
