"""Words that make a reader decode a sentence, in comments, docstrings and documents. `docs/glossary.md` has the words to use instead."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sendryd.testing.cases import cases

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sendryd"
WALLS: Final = "fences?|proxy|proxies|firewall|NAT|filter|name check|load balancer"  # whatever can be behind them is in a place
BANNED: Final = {
    "say what it is": r"\bwhat waits\b",
    "name who says it": r"\b(?:is|are|was|were|be|been) told\b(?! apart| from)",
    "is, becomes, means": r"\b(?:comes?|came|coming) to\b(?! (?:an end|rest|light|this|that|the (?:server|host|port|relay|door)))",
    "again": r"\banew\b",
    "after; in place only": rf"\bbehind\b(?! (?:(?:a|an|the|one|its|such a|runtime\.)\s?)?(?:[\w`-]+ )?(?:{WALLS})\b)",
    "give the number or its name": r"\b(?:so many\b(?! that)|as many\b(?! [\w ]*\bas\b))",
    "no process, no client, another worker": r"\bnobody\b|\beverybody\b",
    "by": r"\bdoes so by\b",
    "a sentence of its own": r"(?:^|[.] )The same,",
}  # fmt: skip


def paragraphs(text: str) -> Iterator[str]:
    """Text without code, each paragraph on a line of its own."""
    text = re.sub(r"(?s)```.*?```|`[^`\n]*`|(?<=\])\([^)]*\)", "`", text)
    yield from (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))


def prose(path: Path) -> Iterator[str]:
    """Docstrings and comments of a Python file; comments of SQL; all of a document but its code."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from paragraphs(ast.get_docstring(node) or "")
        comments = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT]
        yield from paragraphs("\n".join(f"{'' if token.line.strip().startswith('#') else chr(10)}{token.string[1:]}" for token in comments))
    elif path.suffix == ".sql":
        yield from (line.partition("--")[2] for line in text.splitlines())
    else:
        yield from paragraphs(text)


def found(text: str) -> list[str]:
    """What is banned, with the place and the word to use."""
    return [
        f"{text[max(0, match.start() - 40) : match.end() + 30]!r}: {better}"
        for better, pattern in BANNED.items()
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]


PAGES = [
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "fuzz/README.md") if path.name != "daemons.md"
]  # made of docstrings
FILES = [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.sql")]


@cases("path", sorted(PAGES), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_words_of_documents(path: Path) -> None:
    assert [each for text in prose(path) for each in found(text)] == []


@cases("path", sorted(FILES), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_words_of_the_source(path: Path) -> None:
    assert [each for text in prose(path) for each in found(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "What waits is claimed.",
        "The client is told so.",
        "What it comes to.",
        "Made anew.",
        "A pause behind each.",
        "So many at once.",
        "As many again.",
        "Nobody asks.",
        "The same, for rows.",
    ],
)
def test_what_the_rules_find(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "text",
    ["A parser behind the fence.", "A host behind a proxy.", "Tags are told apart.", "As many lanes as domains.", "It comes to an end."],
)
def test_what_the_rules_leave(text: str) -> None:
    assert found(text) == []
