"""A named statement in the words of both engines.

Statements are written once, in the words that SQLite and PostgreSQL share, with some marks for what they say differently. Where PostgreSQL needs another
statement, `postgres.sql` beside `queries.sql` has it under the same name.
"""

import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Final

# Marks: a list of numbers or of words is one parameter, a JSON array.
_LISTS: Final = re.compile(r"\{(not_in|in)_(numbers|words):(\w+)\}")
_INDEXED: Final = re.compile(r"\s+(?:INDEXED BY \w+|NOT INDEXED)\b")  # the other planner takes no orders
_LIKE: Final = re.compile(r"\bLIKE\b")  # which does not tell upper from lower case in SQLite
_NOCASE: Final = re.compile(r"(:?[\w.]+) = (:?[\w.]+) COLLATE NOCASE")
_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_]\w*)")
_CHANGE: Final = re.compile(r"(?<!FOR )\b(INSERT|UPDATE|DELETE)\b")  # a look-up that locks ends with FOR UPDATE
_FORMS: Final = 512  # statements with conditions whose forms are kept


def to_sqlite(text: str) -> str:
    """The text with its marks in SQLite's words."""
    return _LISTS.sub(lambda mark: f"{_word(mark)} (SELECT value FROM json_each(:{mark[3]}))", text)


def to_postgres(text: str) -> str:
    """The text with its marks, and some words, in PostgreSQL's."""
    kinds = {"numbers": "bigint", "words": "text"}

    def expand(mark: re.Match[str]) -> str:
        quantifier = "= ANY" if mark[1] == "in" else "<> ALL"
        return f"{quantifier} (ARRAY(SELECT json_array_elements_text(:{mark[3]}::json)::{kinds[mark[2]]}))"

    text = _LISTS.sub(expand, _INDEXED.sub("", text))
    return _NOCASE.sub(r"lower(\1) = lower(\2)", _LIKE.sub("ILIKE", text))


def _word(mark: re.Match[str]) -> str:
    return "IN" if mark[1] == "in" else "NOT IN"


class Statement:
    """One statement, as each engine takes it. The forms for PostgreSQL are made when they are asked for first: a program with SQLite needs none."""

    def __init__(self, name: str, sqlite: str, postgres: str) -> None:
        """Both texts have `:name` for parameters. The one for SQLite has no marks but `{conditions}`; the other may have marks and words of SQLite."""
        self.name = name
        self.sqlite = sqlite
        self._postgres = postgres

    def __repr__(self) -> str:
        return f"<Statement {self.name}>"

    @cached_property
    def postgres_text(self) -> str:
        """The text for PostgreSQL, still with `:name` for parameters."""
        return to_postgres(self._postgres)

    @cached_property
    def postgres(self) -> str:
        """The text for PostgreSQL with `$1`, `$2` … for parameters."""
        return _numbered(self.postgres_text)[0]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of PostgreSQL's parameters, in the order of their numbers."""
        return _numbered(self.postgres_text)[1]

    @cached_property
    def is_change(self) -> bool:
        """Whether it may change rows."""
        return _CHANGE.search(self._postgres) is not None

    def where(self, text: str) -> "Statement":
        """The statement with a text in place of `{conditions}`, which may have marks."""
        return self.replaced("{conditions}", text)

    def replaced(self, before: str, after: str) -> "Statement":
        """The statement with another text in place of a part of it that has no marks. The new text may have marks."""
        return self._with(before, after)

    @cached_property
    def _with(self) -> Callable[[str, str], "Statement"]:
        return lru_cache(_FORMS)(self._replace)

    def _replace(self, before: str, after: str) -> "Statement":
        return Statement(self.name, self.sqlite.replace(before, to_sqlite(after)), self._postgres.replace(before, after))


def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with `$1`, `$2` … for its parameters, and their names in this order."""
    names: dict[str, int] = {}
    numbered = _PARAMETER.sub(lambda found: f"${names.setdefault(found[1], len(names) + 1)}", text)
    return numbered, tuple(names)
