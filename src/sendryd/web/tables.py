"""Tables as CSV (RFC 4180) that people open in spreadsheets. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

# What spreadsheets read as the beginning of a formula. The tables have text of strangers: an address may begin with any of these.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def guard(cell: str) -> str:
    """A text that no spreadsheet takes for a formula: with an apostrophe before it if it could be one."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def unguard(cell: str) -> str:
    """The text before `guard`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def csv_text(rows: Iterable[Sequence[str | float]]) -> str:
    """Rows as CSV. Texts are guarded; numbers are numbers."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([guard(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return out.getvalue()
