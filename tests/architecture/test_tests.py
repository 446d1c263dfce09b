"""House rules for the tests themselves: none waits by the clock where something can be awaited, none replaces a constant of a module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
CONSTANT = re.compile(r"(.*\.)?_?[A-Z][A-Z0-9_]+")


# What is left, by file.
SLEEPS: dict[str, set[str]] = {
    "api/framework/test_connection.py": {"asyncio.sleep(Impatient.check_interval * 4)"},
    "api/framework/test_limits.py": {"asyncio.sleep(0.001)"},
    "delivery/test_contents.py": {"asyncio.sleep(0.001)"},
    "delivery/test_scheduler.py": {"asyncio.sleep(0.001)", "asyncio.sleep(0.01)", "asyncio.sleep(0.05)"},
    "delivery/test_signer.py": {"asyncio.sleep(0.001)"},
    "delivery/test_signing_link.py": {"asyncio.sleep(0.01)", "asyncio.sleep(0.05)"},
    "delivery/test_worker.py": {"asyncio.sleep(0.001)"},
    "notify/test_dispatcher_faults.py": {"asyncio.sleep(0.01)", "asyncio.sleep(0.02)"},
}


def sleeping(tree: ast.Module) -> Iterator[str]:
    """Calls that let real time pass. In virtual time a sleep takes none; `asyncio.sleep(0)` only lets others have their turn."""
    is_all_virtual = any(isinstance(node, ast.Assign) and "virtual_time" in ast.unparse(node) for node in tree.body)
    for part in tree.body:
        marks = [ast.unparse(each) for each in part.decorator_list] if isinstance(part, ast.AsyncFunctionDef) else []
        is_virtual = is_all_virtual or "pytest.mark.virtual_time" in marks
        for node in ast.walk(part):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called == "time.sleep" or (called == "asyncio.sleep" and not is_virtual and ast.unparse(node.args[0]) != "0"):
                    yield ast.unparse(node)


def patching(tree: ast.AST) -> Iterator[str]:
    """Constants of modules that are replaced; they ought to be arguments with the constant for their default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and CONSTANT.fullmatch(str(argument.value)):
                    yield str(argument.value).rpartition(".")[2]


def trees(word: str) -> Iterator[tuple[str, ast.Module]]:
    """The files in which the word stands at all: most need no parsing."""
    for path in FILES:
        text = path.read_text("utf-8")
        if word in text:
            yield path.relative_to(TESTS).as_posix(), ast.parse(text)


def test_no_test_waits_by_the_clock() -> None:
    found = {name: set(sleeping(tree)) for name, tree in trees("sleep")}
    assert {name: calls for name, calls in found.items() if calls - SLEEPS.get(name, set())} == {}


def test_no_test_replaces_a_constant() -> None:
    found = {name: set(patching(tree)) for name, tree in trees("setattr")}
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (sleeping, "time.sleep(1)"),
        (sleeping, "async def f(): await asyncio.sleep(0.01)"),
        (sleeping, "pytestmark = pytest.mark.sockets\nasync def f(): await asyncio.sleep(x)"),
        (patching, 'monkeypatch.setattr(module, "LIMIT", 2)'),
        (patching, 'with m.context() as patch: patch.setattr("sendryd.runtime.scratch._NOWAIT", 0)'),
    ],
)
def test_the_rules_find_what_they_are_for(rule: object, code: str) -> None:
    assert callable(rule)
    assert list(rule(ast.parse(code)))
