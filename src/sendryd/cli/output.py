"""How commands speak: results on standard output, words for people on standard error, one line and a status for what went wrong."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import typer

from sendryd.runtime.log import does_colour

FAILED: Final = 1
WRONG_USAGE: Final = 2
WIDEST: Final = 10_000  # columns of a table; more than any has


def say(text: str) -> None:
    """Lines for people."""
    typer.echo(_plain(text, keep="\n\t"), err=True)


def fail(text: str, status: int = FAILED) -> NoReturn:
    """Ends the command with one line."""
    complain(text)
    raise typer.Exit(status)


def complain(text: str) -> None:
    """The one line that says what went wrong."""
    line = f"sendryd: {_plain(text)}"
    typer.echo(typer.style(line, fg=typer.colors.RED) if does_colour() else line, err=True)


def print_line(*cells: str) -> None:
    """A line of a result, for people and for `cut`."""
    typer.echo("\t".join(_plain(cell) for cell in cells))


def print_json(document: Any) -> None:
    """The one JSON document of a command."""
    typer.echo(json.dumps(document, ensure_ascii=True, separators=(", ", ": ")))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, if_empty: str) -> None:
    """Rows for people: aligned on a terminal, tab-separated elsewhere. Without rows, the sentence `if_empty` on standard error."""
    if not rows:
        say(if_empty)
        return
    if not sys.stdout.isatty():
        for row in rows:
            print_line(*row)
        return
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    console = Console()
    # Cells are copied into the next command, so none is cut or broken: on a narrow terminal it is the terminal that wraps.
    whole = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, whole)
    console.print(table)


def _plain(text: str, keep: str = "") -> str:
    """Strangers' text must not steer the terminal."""
    return "".join(letter if letter.isprintable() or letter in keep else " " for letter in text)


def explain(error: OSError) -> str:
    """What the system says, in one line."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason
