"""`sendryd`: dispatch, options that stand before the command, exit statuses."""

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from sendryd import __version__
from sendryd.cli import domains, keys, queue, suppressions
from sendryd.cli.demo import demo
from sendryd.cli.migrate import migrate
from sendryd.cli.output import FAILED, WRONG_USAGE, complain, fail, options, print_json
from sendryd.cli.send import send
from sendryd.cli.serve import serve

INTERRUPTED = 130  # as shells say it of a command that SIGINT ended
CONFIG_HELP = "TOML file with settings; the environment wins over it. May stand behind the command too."

app = typer.Typer(
    name="sendryd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A self-hosted email relay: SMTP submission with an API key in, DKIM-signed delivery out.",
)
app.add_typer(keys.app, name="keys")
app.add_typer(domains.app, name="domains")
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(queue.app, name="queue")
app.command()(serve)
app.command()(send)
app.command()(demo)
app.command()(migrate)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help=CONFIG_HELP)] = None,
    _version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Reads what stands before the command."""
    options.config = config


@app.command()
def version(as_json: keys.Json = False) -> None:
    """Prints the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        typer.echo(__version__)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def check() -> None:
    """Examines the installation (not available yet)."""
    fail("check is not available yet", WRONG_USAGE)


def run() -> None:
    """The entry point."""
    try:
        app(config_first(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(FAILED)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        complain(f"internal error: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})")
        sys.exit(FAILED)


def config_first(arguments: list[str]) -> list[str]:
    """Moves `--config FILE` before the command, where it is read."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved: list[str] = []
    left: list[str] = []
    rest = iter(arguments[:end])
    for argument in rest:
        if argument == "--config":
            file = next(rest, None)
            moved += [argument] if file is None else [argument, file]
        elif argument.startswith("--config="):
            moved.append(argument)
        else:
            left.append(argument)
    return moved + left + arguments[end:]
