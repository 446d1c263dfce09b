"""Loads the named statements of a folder's `queries.sql`, and those of its `postgres.sql` for the statements that PostgreSQL says differently.

    -- columns: NAME
    a list of columns, written once

    -- name: NAME
    -- A sentence that says what the statement answers or does.
    SELECT {NAME:t} FROM …

In statements `{name}` stands for a list of columns, `{name:t}` for those of the table `t`, `{name:t:prefix_}` for the same under names with
a prefix, `{:name}` for parameters of their names. `{in_numbers:ids}`, `{in_words:names}`, `{not_in_numbers:ids}` and `{not_in_words:names}` compare
with a list that is one parameter, a JSON array. `{conditions}` is left for code whose filters vary. Lists of columns of `queries.sql` are known in
`postgres.sql`, too.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

from sendryd.store.drivers.statement import Statement, to_sqlite

_BLOCK: Final = re.compile(r"^-- (columns|name): (\w+)\n", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)
_LIST: Final = re.compile(r"\{(?!conditions\}|in_|not_in_)(:?)(\w+)(?::(\w+))?(?::(\w+))?\}")


def load(package: str) -> Mapping[str, Statement]:
    """The statements of a package by name. Raises what `read` does, and `ValueError` if `postgres.sql` has a statement that `queries.sql` has not."""
    folder = resources.files(package)
    columns: dict[str, list[str]] = {}
    common = read(folder.joinpath("queries.sql").read_text("utf-8"), columns)
    own = folder.joinpath("postgres.sql")
    others = read(own.read_text("utf-8"), columns) if own.is_file() else {}
    if lone := sorted(others.keys() - common):
        raise ValueError(f"postgres.sql has statements that queries.sql has not: {', '.join(lone)}")
    return {name: Statement(name, to_sqlite(text), others.get(name, text)) for name, text in common.items()}


def read(text: str, columns: dict[str, list[str]] | None = None) -> Mapping[str, str]:
    """The statements of a file by name; adds to known lists of columns. Raises `ValueError` if a name occurs twice or has no sentence, and `KeyError` for
    an unknown list of columns.
    """
    columns = {} if columns is None else columns
    statements: dict[str, str] = {}
    parts = _BLOCK.split(text)
    for kind, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if name in (columns if kind == "columns" else statements):
            raise ValueError(f"{name} occurs twice")
        bare = _COMMENT.sub("", body).strip()
        if kind == "columns":
            columns[name] = [column.strip() for column in bare.split(",")]
        elif not body.startswith("-- "):
            raise ValueError(f"{name} has no sentence that says what it answers or does")
        else:
            statements[name] = bare.rstrip(";")

    def expand(found: re.Match[str]) -> str:
        colon, name, table, prefix = found.groups()
        before = ":" if colon else f"{table}." if table else ""
        return ", ".join(f"{before}{column} AS {prefix}{column}" if prefix else before + column for column in columns[name])

    return {name: _LIST.sub(expand, statement) for name, statement in statements.items()}
