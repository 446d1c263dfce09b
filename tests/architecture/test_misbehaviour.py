"""The table of what receivers and DNS do wrong: each line names an end-to-end test that exists."""

import ast
import tomllib
from functools import cache
from pathlib import Path

from sendryd.testing.cases import cases

ROOT = Path(__file__).parents[2]
CASES = tomllib.loads((ROOT / "tests/data/misbehaviour.toml").read_text("utf-8"))["case"]
FOLDERS = ("tests/system/", "tests/delivery/misbehaviour/")  # the real program; its door and its delivery engine with all around them
WORLD = "Post"  # the delivery worker between its store and two real servers


@cases("case", CASES, ids=lambda case: case["case"])
def test_each_case_names_a_test_from_an_accepted_message_to_its_fate(case: dict[str, str]) -> None:
    path, _, name = case["test"].partition("::")
    assert name in functions(path)
    assert path.startswith(FOLDERS) or is_end_to_end(path, name), "a unit test: give the case one in tests/delivery/misbehaviour"


@cache
def functions(path: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a file by name."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def is_end_to_end(path: str, name: str) -> bool:
    """Whether a test is given a world, opens one, or calls a function of its file that opens one."""
    known = functions(path)
    called = [known[word] for word in names_in(known[name]) & known.keys()]
    return isinstance(known[name], ast.AsyncFunctionDef) and any(WORLD in names_in(each) for each in (known[name], *called))


def names_in(function: ast.AST) -> set[str]:
    """Every name that a function says, its annotations too."""
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}


def test_a_unit_test_is_told_from_one_with_a_world() -> None:
    assert is_end_to_end("tests/delivery/test_egress.py", "test_the_receiver_sees_the_address_and_its_name")
    assert not is_end_to_end("tests/delivery/test_egress.py", "test_an_address_dials_its_own_family_alone")
    assert not is_end_to_end("tests/delivery/test_plan.py", "test_an_address_inside_is_not_connected_to")
    assert not is_end_to_end("tests/delivery/test_transport.py", "test_silence_ends_after_the_time_of_its_step")


def test_each_case_is_there_once() -> None:
    assert len({case["case"] for case in CASES}) == len(CASES)
