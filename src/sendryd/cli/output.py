"""How commands speak: results on standard output, words for people on standard error, one line and a status for what went wrong."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import typer

from sendryd.app.build import Basics, build_basics
from sendryd.app.settings import Settings, SettingsError, load_settings
from sendryd.runtime.log import does_colour
from sendryd.store.errors import StoreError

FAILED: Final = 1
WRONG_USAGE: Final = 2
WIDEST: Final = 10_000  # columns of a table; more than any has

Result = TypeVar("Result")


@dataclass(slots=True)
class Options:
    """What stands before the command."""

    config: Path | None = None


options: Final = Options()


class CommandFailed(Exception):
    """The command could not do what it was asked; the message is the one line that says why."""


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


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows for people: aligned on a terminal, tab-separated elsewhere."""
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


def read_settings() -> Settings:
    """The settings, or one line and status 2."""
    try:
        return load_settings(config=options.config)
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)


def with_store(work: Callable[[Basics], Awaitable[Result]]) -> Result:
    """Runs a command's work on the opened store; what goes wrong becomes one line."""
    settings = read_settings()

    async def run() -> Result:
        basics = await build_basics(settings)
        try:
            return await work(basics)
        finally:
            with suppress(StoreError):
                await basics.store.aclose()

    try:
        return asyncio.run(run())
    except SettingsError as error:
        fail(str(error), WRONG_USAGE)
    except (StoreError, CommandFailed) as error:
        fail(str(error) or type(error).__name__)
    except OSError as error:
        fail(explain(error))


def explain(error: OSError) -> str:
    """What the system says, in one line."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason
