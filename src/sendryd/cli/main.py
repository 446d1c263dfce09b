"""`sendryd`: dispatch, options that stand before the command, exit statuses."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sendryd import __version__
from sendryd.cli import domains, keys, queue
from sendryd.cli.demo import demo
from sendryd.cli.migrate import migrate
from sendryd.cli.output import WRONG_USAGE, fail, options, print_json
from sendryd.cli.send import send
from sendryd.cli.serve import serve

app = typer.Typer(
    name="sendryd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A self-hosted email relay: SMTP submission with an API key in, DKIM-signed delivery out.",
)
app.add_typer(keys.app, name="keys")
app.add_typer(domains.app, name="domains")
app.add_typer(queue.app, name="queue")
app.command()(serve)
app.command()(send)
app.command()(demo)
app.command()(migrate)


@app.callback()
def main(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file with settings; the environment wins over it.")] = None,
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


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def suppressions() -> None:
    """Lists, adds and removes suppressed addresses (not available yet)."""
    fail("suppressions is not available yet", WRONG_USAGE)


def run() -> None:
    """The entry point."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
