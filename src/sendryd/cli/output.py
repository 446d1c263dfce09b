"""Output of commands: results on standard output, messages for people on standard error; a failure is one line and an exit status."""

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import typer

from sendryd.runtime.log import does_colour

FAILED: Final = 1
WRONG_USAGE: Final = 2
WIDEST: Final = 10_000  # columns of a table; more than any has


def command(arguments: str) -> str:
    """A command to paste, in backticks. It names the program as it was started, which works also where `sendryd` is not on the PATH."""
    started = Path(sys.argv[0])
    if started.name in {"__main__.py", "-c"}:
        program = f"{shlex.quote(sys.executable)} -m sendryd"
    else:
        found = shutil.which("sendryd")
        program = "sendryd" if found and started.exists() and started.samefile(found) else shlex.quote(sys.argv[0])
    return f"`{program} {arguments}`"


def say(text: str) -> None:
    """Prints lines for people on standard error."""
    typer.echo(_plain(text, keep="\n\t"), err=True)


def fail(text: str, status: int = FAILED) -> NoReturn:
    """Ends the command with one line on standard error and this exit status."""
    complain(text)
    raise typer.Exit(status)


def complain(text: str) -> None:
    """Prints one line that says what went wrong, in red on a terminal."""
    line = f"sendryd: {_plain(text)}"
    typer.echo(typer.style(line, fg=typer.colors.RED) if does_colour() else line, err=True)


def print_line(*cells: str) -> None:
    """Prints one line of a result, its cells separated by tabs."""
    _write("\t".join(_plain(cell) for cell in cells))


def print_json(document: Any) -> None:
    """Prints the one JSON document of a command."""
    _write(json.dumps(document, ensure_ascii=True, separators=(", ", ": ")))


def _write(line: str) -> None:
    try:
        typer.echo(line)
    except BrokenPipeError:  # whoever reads has seen enough
        raise
    except OSError as error:
        fail(f"standard output cannot be written: {error.strerror}")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, if_empty: str) -> None:
    """Prints rows: aligned on a terminal, tab-separated elsewhere. Without rows, prints the sentence `if_empty` on standard error."""
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
    # People copy cells into the next command, so no cell is cut or broken; a narrow terminal wraps the line.
    whole = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, whole)
    console.print(table)


def _plain(text: str, keep: str = "") -> str:
    """The text without control characters: text of strangers must not steer the terminal."""
    return "".join(letter if letter.isprintable() or letter in keep else " " for letter in text)


def explain(error: OSError) -> str:
    """The operating system's message with the file name, in one line."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason
