"""Loads the named statements of `queries.sql`."""

import re
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load() -> dict[str, str]:
    """All statements by name."""
    parts = _NAME.split(resources.files(__package__).joinpath("queries.sql").read_text("utf-8"))
    return {name: text.strip().rstrip(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)}


SQL: Final = load()
