"""Files and functions that a reader takes in at once. A file over the limit gives the reason in its first line: `# Over 400 lines because …`."""

import ast
from collections.abc import Iterator
from pathlib import Path

from sendryd.testing.cases import cases

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sendryd"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_FILE = 400  # lines
MAX_FUNCTION = 50  # lines, from `def` to the last one, with the docstring
REASON = "# Over 400 lines because "


def is_too_long(text: str) -> bool:
    """Whether a file has more lines than it may, and no reason for it."""
    lines = text.splitlines()
    return len(lines) > MAX_FILE and not lines[0].startswith(REASON)


def long_functions(tree: ast.AST) -> Iterator[str]:
    """Names of functions and methods with more lines than they may have."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION:
            yield node.name


def test_no_file_is_too_long() -> None:
    found = {path.relative_to(SOURCE).as_posix() for path in FILES if is_too_long(path.read_text("utf-8"))}
    assert sorted(found) == []


@cases("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_function_is_too_long(path: Path) -> None:
    assert list(long_functions(ast.parse(path.read_text("utf-8")))) == []


def test_the_limits_find_what_they_are_for() -> None:
    lines = '"""Text."""\n' + "x = 1\n" * (MAX_FILE - 1)
    assert not is_too_long(lines)
    assert is_too_long(lines + "x = 1\n")
    assert not is_too_long(f"{REASON}it is a table.\n" + lines)
    body = "    x = 1\n" * (MAX_FUNCTION - 1)
    assert list(long_functions(ast.parse("class A:\n  def f(self):\n" + body))) == []
    assert list(long_functions(ast.parse("async def f():\n" + body + "    x = 1\n"))) == ["f"]
