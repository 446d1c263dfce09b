"""Loads the named statements of a folder's `queries.sql`.

    -- columns: NAME
    a list of columns, written once

    -- name: NAME
    -- A sentence that says what the statement answers or does.
    SELECT {NAME:t} FROM …

In statements `{name}` stands for a list of columns, `{name:t}` for those of the table `t`, `{name:t:prefix_}` for the same under names with
a prefix, `{:name}` for parameters of their names. `{conditions}` is left for code whose filters vary.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

_BLOCK: Final = re.compile(r"^-- (columns|name): (\w+)\n", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*--.*\n?", re.MULTILINE)
_LIST: Final = re.compile(r"\{(?!conditions\})(:?)(\w+)(?::(\w+))?(?::(\w+))?\}")


def load(package: str) -> Mapping[str, str]:
    """The statements of a package by name."""
    return read(resources.files(package).joinpath("queries.sql").read_text("utf-8"))


def read(text: str) -> Mapping[str, str]:
    """The statements of a file by name. Raises `ValueError` if a name occurs twice or has no sentence, and `KeyError` for an unknown list of
    columns.
    """
    columns: dict[str, list[str]] = {}
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
