"""Loads the named statements of the `.sql` files beside this one."""

import re
from importlib import resources
from typing import Final

_FILES: Final = ("queries.sql", "queries_lists.sql", "queries_log.sql", "queries_outbox.sql", "queries_reports.sql")
_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load() -> dict[str, str]:
    """All statements by name. Raises `ValueError` if a name is there twice."""
    found: dict[str, str] = {}
    for file in _FILES:
        parts = _NAME.split(resources.files(__package__).joinpath(file).read_text("utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise ValueError(f"the statement {name} is there twice")
            found[name] = text.strip().rstrip(";")
    return found


SQL: Final = load()
