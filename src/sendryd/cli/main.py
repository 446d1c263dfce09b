"""`sendryd`: dispatch, options before the command, exit statuses."""

import gc
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sendryd import __version__
from sendryd.cli.loading import Commands
from sendryd.cli.options import options
from sendryd.cli.output import FAILED, complain

INTERRUPTED = 130  # the status that shells give a command that SIGINT ended
LOADING_THRESHOLDS = (50_000, 20, 50)  # objects of loaded modules stay: collecting garbage among them takes a sixth of the start
CONFIG_HELP = "TOML file with settings; environment variables override it. May also follow the command."


class _Sendryd(TyperGroup):
    """The program itself."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()


app = typer.Typer(
    name="sendryd",
    cls=_Sendryd,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A self-hosted email platform: takes mail over SMTP and REST, delivers it DKIM-signed, and reports every outcome.",
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help=CONFIG_HELP)] = None,
    _version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Read the options before the command."""
    options.config = config


def run() -> None:
    """The entry point."""
    gc.set_threshold(*LOADING_THRESHOLDS)
    if sys.stdout is None:  # closed by whoever started this: a result, such as a new key's secret, would be lost
        complain("standard output is closed; leave it open, or send it to /dev/null")
        sys.exit(FAILED)
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
